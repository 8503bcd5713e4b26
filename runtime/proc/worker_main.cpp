#include "runtime/proc/worker_main.hpp"

#include <malloc.h>
#include <stdio_ext.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "remuda/detail/remote_exception.hpp"
#include "remuda/detail/remote_task.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/os/memfd.hpp"
#include "runtime/proc/code_ref.hpp"
#include "runtime/proc/fault_point.hpp"
#include "runtime/proc/harden.hpp"
#include "runtime/proc/limits.hpp"
#include "runtime/proc/payload_area.hpp"
#include "runtime/proc/segment.hpp"
#include "runtime/proc/shared_heap.hpp"
#include "runtime/sync/spin.hpp"

namespace remuda::detail {
namespace {

using std::chrono::steady_clock;

/// How long a result may lie before the pool's own thread is woken for it: a thread of the parent that polls takes it
/// in a fraction of that.
constexpr nanoseconds grace{2'000};

std::uint64_t pages_of(int field) {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return read == 2 ? (field == 0 ? total : resident) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

class worker {
 public:
  worker(const worker_settings& settings, const worker_fds& fds)
      : settings_(settings),
        bell_(fds.bell),
        layout_(static_cast<std::uint32_t>(settings.ring_capacity), settings.argument_bytes, settings.result_bytes),
        memory_(layout_),
        results_(fds.segment, memory_.base(), layout_.results, layout_.results + settings.result_bytes,
                 layout_.capacity + 1),
        heap_(fds.heap, settings.heap_bytes),
        calls_(memory_.slots(), layout_.capacity),
        budget_(nanoseconds(settings.spin_ns)) {
    memory_.map(fds.segment);
    // Touched before the first task needs them. Kernels before 5.14 leave it to the first use.
    constexpr std::size_t warm = std::size_t{64} << 10;
    madvise(memory_.base(), std::min(layout_.arguments + warm, layout_.total), MADV_POPULATE_WRITE);
    madvise(memory_.base() + layout_.results, std::min(warm, layout_.total - layout_.results), MADV_POPULATE_WRITE);
    results_.commit(layout_.results + std::min(warm, settings.result_bytes));
  }

  void run() {
    fault_point(fault::at_start);
    for (;;) {
      if (has_fault_points && calls_.ready()) fault_point(fault::before_claim);
      call_slot* const slot = calls_.take([](call_slot& s) {
        fault_point(fault::answering_withdrawn);
        s.kind = slot_kind::skipped;
      });
      if (slot == nullptr) {
        if (!idle()) return;
        continue;
      }
      fault_point(fault::after_claim);
      // This call may take long: nobody shall wait for earlier results meanwhile.
      if (noticed_ < calls_.position() && !received()) ring_supervisor();
      if (slot->started_at != 0) {
        slot->started_at = std::chrono::nanoseconds(steady_clock::now().time_since_epoch()).count();
      }
      if (slot->kind == slot_kind::module) {
        learn(*slot);
      } else {
        call(*slot);
        ++done_;
      }
      flush_output();
      fault_point(fault::before_publish);
      calls_.finish();
      fault_point(fault::after_publish);
      // The first call is the initializer's. A worker that ended before it has run a task would never run one.
      const bool last = done_ > 1 && ((settings_.max_tasks != 0 && done_ > settings_.max_tasks) || too_large());
      if (last) header().retired.store(1, std_sync::relaxed);  // relaxed: looked at when the process is gone
      notify();
      if (last) return ring_supervisor();
    }
  }

 private:
  segment_header& header() { return memory_.header(); }

  void answer(call_slot& slot, slot_kind kind, payload_writer& out) {
    slot.size = out.size();
    slot.where = out.keep(calls_.position());
    slot.kind = kind;
  }

  payload_writer writer_for(call_slot& slot) {
    free_received();
    results_.trim();
    return {slot.bytes, call_slot::inline_bytes,
            results_,   [](void* self) { static_cast<worker*>(self)->wait_for_room(); },
            this,       &heap_};
  }

  wire_reader reader_of(const call_slot& slot) {
    return {slot.where == 0 ? slot.bytes : memory_.base() + slot.where, slot.size, &heap_};
  }

  void call(call_slot& slot) {
    wire_reader in = reader_of(slot);
    payload_writer out = writer_for(slot);
    call_stage stage = call_stage::argument;
    try {
      const auto function = reinterpret_cast<remote_function>(const_cast<void*>(function_of(slot.function)));
      function(in, out, stage);
      answer(slot, slot_kind::value, out);
    } catch (...) {
      answer_error(slot, out, stage);
    }
  }

  /// In a handler.
  void answer_error(call_slot& slot, payload_writer& out, call_stage stage) {
    std::exception_ptr error = std::current_exception();
    if (stage != call_stage::running) {
      const std::string what = stage == call_stage::argument
                                   ? "the task's function and arguments could not be decoded in the worker"
                                   : "the task's result could not be encoded in the worker";
      try {
        std::throw_with_nested(serialization_error(what + text_of(error)));
      } catch (...) {
        error = std::current_exception();
      }
    }
    try {
      out.start_over(slot.bytes, call_slot::inline_bytes);
      write_exception(out, error);
    } catch (...) {
      out.start_over(slot.bytes, call_slot::inline_bytes);
      write_exception(out, std::make_exception_ptr(serialization_error("an error that is too large to travel")));
    }
    answer(slot, slot_kind::error, out);
  }

  static std::string text_of(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      return std::string(": ") + e.what();
    } catch (...) {
      return "";
    }
  }

  void learn(call_slot& slot) {
    wire_reader in = reader_of(slot);
    payload_writer out = writer_for(slot);
    try {
      const auto number = wire_read<std::uint16_t>(in);
      module_id id;
      id.path = wire_read<std::string>(in);
      id.build_id = wire_read<std::vector<std::byte>>(in);
      learn_module(number, id);
      answer(slot, slot_kind::value, out);
    } catch (...) {  // the calls that need the module say so once more
      answer_error(slot, out, call_stage::running);
    }
  }

  /// resolve() looks through tables; programs call the same function again and again.
  const void* function_of(code_ref ref) {
    if (ref != last_ref_ || last_function_ == nullptr) {
      last_function_ = resolve(ref);
      last_ref_ = ref;
    }
    return last_function_;
  }

  static void flush_output() {
    if (__fpending(stdout) != 0) std::fflush(stdout);
  }

  /// Whether the process has grown beyond its bound; looked at once a millisecond.
  bool too_large() {
    if (settings_.max_resident == 0) return false;
    const auto now = steady_clock::now();
    if (now < next_look_) return false;
    next_look_ = now + std::chrono::milliseconds(1);
    return pages_of(1) > settings_.max_resident;
  }

  /// After a result was published: whoever sleeps for it is woken, unless somebody is about to take it anyway.
  void notify() {
    if (header().getters.ring() == 0) return;
    // Who was woken takes all results there are, also if it leaves for another reason. Nobody may have been: the bit of
    // one that is gone stays.
    if (os::futex_wake_shared(header().getters.address(), os::futex_wake_all) > 0) noticed_ = calls_.position();
  }

  void ring_supervisor() {
    noticed_ = calls_.position();
    if (header().supervisor.ring() == 0) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(bell_, &one, sizeof one);
  }

  bool received() { return header().received.load(std_sync::relaxed) >= calls_.position(); }  // relaxed: a look

  /// Nothing is in the ring. Returns when something may be; false at the end.
  bool idle() {
    const auto since = steady_clock::now();
    spinner spin(std::max(budget_.next(), noticed_ < calls_.position() ? grace : never_spin));
    bool in_time = true;
    while (!calls_.ready()) {
      if (noticed_ < calls_.position()) {
        if (received()) {
          noticed_ = calls_.position();
        } else if (steady_clock::now() - since >= grace) {
          ring_supervisor();
        }
      }
      // acquire: whatever was sent before the parent said quit is in the ring
      if (header().quit.load(std_sync::acquire) != 0) return calls_.ready();
      if (!(in_time = spin.turn())) break;
    }
    if (!in_time && !calls_.ready()) {
      if (noticed_ < calls_.position() && !received()) ring_supervisor();
      noticed_ = calls_.position();
      flush_remote();
      const std::uint32_t word = header().worker.announce(1);
      fault_point(fault::before_sleep);
      if (!calls_.ready() && header().quit.load(std_sync::relaxed) == 0) {
        os::futex_wait_shared(header().worker.address(), word);
      }
      header().worker.withdraw(1);
    }
    if (calls_.ready()) budget_.observed(steady_clock::now() - since);
    return true;
  }

  static void flush_remote() {
    if (__fpending(stderr) != 0) std::fflush(stderr);
  }

  /// Earlier results fill the area: the parent has to take them first.
  void wait_for_room() {
    ring_supervisor();
    const std::uint32_t word = header().room.announce(1);
    fault_point(fault::waiting_for_room);
    // Compared with what was freed, not with a look just now: all may have been received since, and nothing comes then.
    if (header().received.load(std_sync::relaxed) == freed_) os::futex_wait_shared(header().room.address(), word);
    header().room.withdraw(1);
    free_received();
  }

  void free_received() {
    freed_ = header().received.load(std_sync::acquire);  // acquire: the parent has read them
    results_.free_before(freed_);
  }

  worker_settings settings_;
  int bell_;
  segment_layout layout_;
  segment memory_;
  payload_area results_;
  mapped_heap heap_;
  call_ring_server<std_sync, call_slot> calls_;
  spin_budget budget_;
  std::uint64_t freed_ = 0;    // the area has the room of the results before this position back
  std::uint64_t noticed_ = 0;  // results before this position are taken, or somebody was woken for them
  std::uint64_t done_ = 0;
  steady_clock::time_point next_look_{};
  code_ref last_ref_ = 0;
  const void* last_function_ = nullptr;
};

}  // namespace

void rehearse_worker() noexcept try {
  if (has_fault_points) return;  // those are for workers
  constexpr std::uint32_t calls = 2;
  constexpr std::size_t bytes = std::size_t{64} << 10;
  const segment_layout layout(calls, bytes, bytes);
  const os::unique_fd file = os::make_memfd("remuda", layout.total);
  segment memory(layout);
  memory.map(file.get());
  // A call that is taken back: a real one would name a function, and with it perhaps a module by a number that is
  // the parent's to give.
  call_ring_caller<std_sync, call_slot> ring(memory.slots(), calls);
  ring.withdraw(ring.publish());
  memory.header().quit.store(1, std_sync::relaxed);
  worker_settings settings;
  settings.ring_capacity = calls;
  settings.argument_bytes = bytes;
  settings.result_bytes = bytes;
  worker_fds fds;
  fds.segment = file.get();
  worker(settings, fds).run();
  [[maybe_unused]] const std::uint16_t looked_up = modules_known();  // of the program itself, at the first look
} catch (const std::exception&) {                                    // the real one tells of it
}

void worker_main(const worker_settings& settings, worker_fds fds) {
  try {
    // Not freed: what is registered with atexit() belongs to the program, and does not run in workers.
    auto* const self = new worker(settings, fds);
    only_learn_modules();
    // Large arguments and results come and go: without this each of them would be mapped and unmapped anew.
    constexpr int keep_below = 64 << 20;
    mallopt(M_MMAP_THRESHOLD, keep_below);
    mallopt(M_TRIM_THRESHOLD, keep_below);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    worker_settings limits = settings;
    if (limits.address_space != 0 || limits.max_resident != 0) {
      const std::uint64_t there = pages_of(0);
      if (there == 0) {
        throw error("the limits on its memory need /proc/self/statm, which cannot be read: mount /proc, or set none");
      }
      if (limits.address_space != 0) limits.address_space += there;  // what is there is not the tasks'
    }
    apply_limits(limits);
    if (settings.harden != 0) harden(settings.harden);
    self->run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "remuda: a worker process could not start: %s\n", e.what());
    std::fflush(stderr);
    _exit(EXIT_FAILURE);
  }
  std::fflush(stdout);
  std::fflush(stderr);
  _exit(EXIT_SUCCESS);
}

}  // namespace remuda::detail
