// P31: a hostile worker. The input says which tasks are submitted, what their workers write where into the memory that
// they share with the parent, when they die, and what the parent does in between. Whatever it is, each task ends once,
// with what its own worker answered to it if it ends with a value, and nothing is left in the end.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "remuda/process_pool.hpp"
#include "tests/fuzz/hostile_writes.hpp"
#include "tests/fuzz/process_core_harness.hpp"
#include "tests/fuzz/watched_task.hpp"

namespace {

using namespace std::chrono_literals;
using namespace remuda;
using namespace remuda::detail;
using namespace remuda::test;
using pool_harness = process_core_harness;

constexpr std::size_t payload = std::size_t{64} << 10;
constexpr std::size_t most_tasks = 900;

std::size_t reported = 0;

pool_harness& the_pool() {
  static pool_harness pool([] {
    process_pool_options o;
    o.workers = 2;
    o.pin = false;
    o.policy = wait_policy::efficient;
    o.profile = "";  // a ring of the size that is built in
    o.max_payload = payload;
    o.max_shared = payload;
    o.max_pending = 1000;
    o.full = when_full::fail;
    o.max_deaths_in_a_row = 12;
    o.on_error = [](std::exception_ptr) { ++reported; };
    return o;
  }());
  return pool;
}

// --- tasks, of which none ever runs

int number(int n) { return n; }
std::string text(const std::string& s) { return s; }
std::vector<std::string> texts(const std::vector<std::string>& s) { return s; }
shared_buffer<int> buffer(shared_buffer<int> b) { return b; }
void nothing_back(int) {}

// --- one run

class run {
 public:
  explicit run(const std::uint8_t* data, std::size_t size) : in_(data, size) {
    reported = 0;
    pool_.start_over();
    const unsigned first = in_.byte();
    for (std::size_t i = 0; i < pool_.lanes(); ++i) {
      if ((first >> i & 1U) == 0) answer_honestly(pool_.at(i), 1);
    }
    parent([&] { pool_.look(); });
  }

  void go() {
    while (!in_.empty()) step();
    finish(in_end_);
    for (const auto& t : tasks_) {
      if (t != nullptr) require(is_final(t->now()) && t->callbacks == 1, "a task has not ended once");
    }
    require(reported <= posted_, "more errors were reported than tasks were posted");
    require(live_.empty(), "an end was not seen");
    tasks_.clear();
    if (const char* const what = pool_.left_over()) require(false, what);
  }

 private:
  /// Lets the parent do something, and looks what has ended thereby.
  template <class F>
  void parent(F&& f, bool may_cancel = false) {
    note_answers();
    std::forward<F>(f)();
    for (const watched_task* const t : live_) {
      if (is_final(t->now())) settle(*t, may_cancel);
    }
    std::erase_if(live_, [](const watched_task* t) { return is_final(t->now()); });
  }
  template <class F>
  void supervisor(F&& f, bool may_cancel = false) {
    parent(
        [&] {
          const pool_harness::as_supervisor here(pool_);
          std::forward<F>(f)();
        },
        may_cancel);
  }

  /// What the words say, in terms of the protocol and not of the code that is tested.
  void note_answers() {
    for (watched_task* const t : live_) {
      if (t->part->place.load() == remote_part::in_no_ring) t->answered.reset();
    }
    for (std::size_t i = 0; i < pool_.lanes(); ++i) {
      lane& l = pool_.at(i);
      bool reached = true;  // answers count in order
      for (std::uint64_t p = l.ring.tail(); p < l.ring.head(); ++p) {
        const call_slot& slot = l.ring.at(p);
        reached = reached && slot.word.load() == word(p, slot_state::done);
        watched_task* const t = task_in(l, p);
        if (t == nullptr) continue;
        t->answered.reset();
        if (!reached) continue;
        answer& a = t->answered.emplace();
        a.kind = slot.kind;
        const segment_layout& layout = l.memory.layout();
        const bool fits = slot.where == 0 ? slot.size <= call_slot::inline_bytes
                                          : slot.where >= layout.results && slot.where <= layout.total &&
                                                slot.size <= layout.total - slot.where;
        a.in_order = fits && slot.id == t->part->id;
        if (!a.in_order) continue;
        const std::byte* const from = slot.where == 0 ? slot.bytes : l.memory.base() + slot.where;
        a.payload.assign(from, from + slot.size);
      }
    }
  }

  void settle(const watched_task& t, bool may_cancel) {
    require(t.callbacks == 1, "a task has ended, and its callback was not called once");
    switch (t.now()) {
      case status::value:
        require(t.answered && t.answered->in_order && t.answered->kind == slot_kind::value,
                "a value that the task's worker did not answer");
        require(t.same_value(t.answered->payload), "another value than the worker answered");
        break;
      case status::error:
        try {
          std::rethrow_exception(t.error());
        } catch (const worker_died& e) {
          require(e.what() != nullptr, "no text");
        } catch (const broken_pool_error&) {
          require(pool_.broken() || t.answered, "a pool that is not broken says so");
        } catch (const timeout_error&) {
          require(t.answered || t.part->timeout > 0s, "too late without a limit");
        } catch (const std::exception& e) {
          require(e.what() != nullptr && t.answered.has_value(), "an error that the task's worker did not answer");
        } catch (...) {
          require(false, "an exception that is none");
        }
        break;
      case status::cancelled:
        require(may_cancel || pool_.broken(), "cancelled without a reason");
        break;
      default:
        require(false, "no outcome");
    }
  }

  watched_task* task_in(lane& l, std::uint64_t position) {
    state* const s = l.task_at(position).load();
    return s == nullptr ? nullptr : tasks_.at(s->ops->remote(s)->id - 1).get();
  }
  watched_task* some_task() {
    const unsigned back = in_.byte();
    return back < tasks_.size() ? tasks_[tasks_.size() - 1 - back].get() : nullptr;
  }
  lane& some_lane() { return pool_.at(in_.byte()); }
  // --- submitting

  template <class R, bool Detached = false, class F, class... Args>
  static auto* make(F f, Args... args) {
    using closure = bound<F, Args...>;
    return make_block<remote_task<closure, R, Detached>>(
        [&] {
          return closure{f, std::tuple<Args...>(std::move(args)...)};
        },
        the_pool().core->id());
  }

  template <class R, class F, class... Args>
  void submit(unsigned how, bytes honest, F f, Args... args) {
    if (tasks_.size() >= most_tasks) return;
    auto* const task = make<R>(f, std::move(args)...);
    task->part.retries = how & 3U;
    if ((how & 4U) != 0) task->part.timeout = 100ms;
    auto made = std::make_unique<watched<R>>();
    made->f = future<R>(task);
    made->part = &task->part;
    made->honest = std::move(honest);
    made->cancels_next = (how & 56U) == 56;
    const std::size_t at = tasks_.size();
    tasks_.emplace_back();
    try {
      pool_.core->schedule(task, task->part);
    } catch (const error&) {  // full or broken
      return;
    }
    made->f.on_done([t = made.get(), at, this](const future<R>&) {
      ++t->callbacks;
      if (t->cancels_next && at + 1 < tasks_.size() && tasks_[at + 1] != nullptr) tasks_[at + 1]->cancel(true);
    });
    live_.push_back(made.get());
    tasks_[at] = std::move(made);
  }

  void submit_some() {
    const unsigned kind = in_.byte();
    const unsigned how = in_.byte();
    const int n = in_.byte();
    switch (kind % 6) {
      case 0:
        return submit<int>(how, encoded(n), number, n);
      case 1: {
        const std::string s(static_cast<std::size_t>(n) * 16, 'x');
        return submit<std::string>(how, encoded(s), text, s);
      }
      case 2: {
        const std::vector<std::string> s(static_cast<std::size_t>(n % 8),
                                         std::string(static_cast<std::size_t>(n), 'y'));
        return submit<std::vector<std::string>>(how, encoded(s), texts, s);
      }
      case 3: {
        block_ptr block;
        try {
          block = pool_.core->allocate_shared(static_cast<std::size_t>(n) * 64 + 4);
        } catch (const std::bad_alloc&) {
          return;
        }
        bytes place = watched<shared_buffer<int>>::encoded_place(*block);
        return submit<shared_buffer<int>>(how, std::move(place), buffer, buffer_access::make<int>(std::move(block)));
      }
      case 4: {
        if (tasks_.size() >= most_tasks) return;
        auto* const task = make<void, true>(nothing_back, n);
        tasks_.emplace_back();
        try {
          pool_.core->schedule(task, task->part);
          ++posted_;
        } catch (const error&) {
        }
        return;
      }
      default:
        for (int i = 0; i < 2 * n; ++i) submit<int>(how & 7U, encoded(i), number, i);
    }
  }

  // --- what workers write

  void answer_honestly(lane& l, std::size_t n) {
    for (std::uint64_t p = l.ring.tail(); p < l.ring.head() && n != 0; ++p) {
      call_slot& slot = l.ring.at(p);
      if (slot.word.load() == word(p, slot_state::done)) continue;
      if (slot.word.load() == word(p, slot_state::withdrawn)) {
        slot.kind = slot_kind::skipped;
      } else {
        const watched_task* const t = task_in(l, p);
        put(l, p, slot_kind::value, slot.id, t == nullptr ? bytes{} : t->honest);
        --n;
      }
      slot.word.store(word(p, slot_state::done));
    }
  }

  /// Good but for what the input makes of it.
  void answer_somehow() {
    lane& l = some_lane();
    const std::uint64_t p = some_position(l, in_);
    call_slot& slot = l.ring.at(p);
    const unsigned lies = in_.byte();
    const watched_task* const t = p < l.ring.head() ? task_in(l, p) : nullptr;
    bytes what = (lies & 1U) != 0 ? some_error(in_) : t != nullptr ? t->honest : bytes{};
    if ((lies & 2U) != 0) {
      for (unsigned n = in_.byte() % 8; n != 0 && !what.empty(); --n) {
        const std::size_t at = in_.number<std::uint16_t>() % what.size();
        what[at] = static_cast<std::byte>(in_.byte());
      }
    }
    if ((lies & 4U) != 0) what.resize(in_.byte());
    put(l, p, (lies & 1U) != 0 ? slot_kind::error : slot_kind::value, t != nullptr ? t->part->id : 0, what);
    const segment_layout& layout = l.memory.layout();
    if ((lies & 8U) != 0) slot.id += in_.byte() % 16 - 8U;
    if ((lies & 16U) != 0) slot.where = in_.place(layout);
    if ((lies & 32U) != 0) slot.size = in_.place(layout);
    if ((lies & 64U) != 0) slot.kind = static_cast<slot_kind>(in_.byte() % 16);
    if ((lies & 128U) == 0) slot.word.store(word(p, slot_state::done));
  }

  // --- what happens

  void step() {
    switch (in_.byte() % 20) {
      case 0:
      case 1:
        return parent([&] { submit_some(); });
      case 2:
        return scribble(some_lane(), in_);
      case 3:
        return set_word(some_lane(), in_);
      case 4:
      case 5:
        return answer_somehow();
      case 6: {
        lane& l = some_lane();
        return answer_honestly(l, in_.byte());
      }
      case 7:
        return supervisor([&] { pool_.receive(some_lane()); }, true);
      case 8:
        return supervisor([&] { pool_.look(); }, true);
      case 9:  // a thread that waits takes results, and leaves the others' callbacks to the supervisor
        return parent([&] { pool_.receive(some_lane()); }, true);
      case 10:
        if (const watched_task* const t = some_task()) {
          parent([&] { pool_.core->poll(t->handle()); }, true);
        }
        return;
      case 11:
        if (const watched_task* const t = some_task()) parent([&] { t->ask(in_.byte()); }, true);
        return;
      case 12:
        if (const watched_task* const t = some_task()) parent([&] { t->cancel(in_.byte() % 2 == 0); }, true);
        return;
      case 13:
        return supervisor([&] { pool_.audit(); });
      case 14:
        pool_.now += 10ms * in_.byte();
        return supervisor([&] { pool_.check_times(); }, true);
      case 15:
        return supervisor([&] {
          pool_.share_out();
          pool_.share_out();
        });
      case 16:
      case 17: {
        lane& l = some_lane();
        const unsigned how = in_.byte();
        if ((how & 2U) != 0) l.memory.header().retired.store(1);
        return replace(l, (how & 1U) != 0 ? static_cast<int>(in_.number<std::uint16_t>()) : 0, (how & 4U) == 0);
      }
      case 18: {  // the start of a call
        lane& l = some_lane();
        call_slot& slot = l.ring.front();
        slot.started_at = in_.byte() % 2 == 0 ? pool_.now.time_since_epoch().count() : in_.number<std::int64_t>();
        slot.word.store(word(l.ring.tail(), slot_state::taken));
        return;
      }
      default:
        in_end_ = in_.byte();
    }
  }

  void replace(lane& l, int status, bool honest) {
    bool there = false;
    supervisor([&] { there = pool_.die(l, status); }, true);
    if (there && honest) answer_honestly(l, 1);
    supervisor([&] { pool_.look(); }, true);
  }

  /// An end of the pool.
  void finish(unsigned how) {
    if (how % 3 == 1) supervisor([&] { pool_.break_pool(); }, true);
    supervisor([&] { pool_.core->shutdown(how % 3 == 2 ? shutdown_mode::cancel_pending : shutdown_mode::wait); }, true);
    supervisor([&] { pool_.look(); }, true);
    // The hostile workers die, and honest ones do what is left.
    for (std::size_t i = 0; i < pool_.lanes(); ++i) replace(pool_.at(i), 9, true);
    for (unsigned turns = 0; !pool_.drained(); ++turns) {
      require(turns < 64, "the pool does not drain with honest workers");
      for (std::size_t i = 0; i < pool_.lanes(); ++i) {
        lane& l = pool_.at(i);
        if (l.phase == lane_phase::ending) replace(l, 9, true);
        for (unsigned k = 0; k < 256 && l.ring.in_flight() != 0; ++k) {
          answer_honestly(l, 16);  // so many have a place each
          supervisor([&] { pool_.receive(l); }, true);
        }
      }
      supervisor([&] { pool_.look(); }, true);
    }
    supervisor([&] { pool_.end_workers(); }, true);
  }
  pool_harness& pool_ = the_pool();
  input in_;
  unsigned in_end_ = 0;
  std::size_t posted_ = 0;
  std::vector<watched_task*> live_;                   // not ended
  std::vector<std::unique_ptr<watched_task>> tasks_;  // by id; null: posted, or not taken
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run(data, size).go();
  return 0;
}
