// Completion: publishing an outcome, waking who waits for it, running the callbacks.
#include "remuda/detail/state.hpp"

#include <cxxabi.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>

#include "remuda/error.hpp"
#include "remuda/future.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/sched/dispatch.hpp"
#include "runtime/sched/pool_core.hpp"

namespace remuda::detail {

static_assert(std::endian::native == std::endian::little, "the futex compares the low half of the completion word");

/// Callbacks of one block, to be run in order.
struct batch {
  state* of;
  callback_node* oldest;
  batch* next = nullptr;
};

namespace {

constinit thread_local trampoline* running = nullptr;

callback_node* in_order(callback_node* newest) {
  callback_node* oldest = nullptr;
  for (callback_node* n = newest; n != nullptr; n = n->next) {
    n->in_order = oldest;
    oldest = n;
  }
  return oldest;
}

void run_batch(state* of, callback_node* oldest) {
  for (callback_node* n = oldest; n != nullptr;) {
    callback_node* const after = n->in_order;
    n->ops->invoke(n, of);
    n = after;
  }
}

/// Runs the callbacks, or, inside another callback, leaves them to the loop that runs that one: a chain of futures then
/// uses the stack of one link.
void dispatch(state* of, callback_node* newest) {
  callback_node* const oldest = in_order(newest);
  if (running != nullptr) {
    void* const memory = [] {
      try {
        return allocate(sizeof(batch));
      } catch (...) {
        return static_cast<void*>(nullptr);
      }
    }();
    if (memory == nullptr) return run_batch(of, oldest);  // out of memory: deeper stack is better than lost callbacks
    add_reference(of);
    auto* b = ::new (memory) batch{of, oldest};
    (running->last == nullptr ? running->first : running->last->next) = b;
    running->last = b;
    return;
  }
  const callbacks_at_end here;
  run_batch(of, oldest);
}

void publish(state* s, const completion_word::closed& c) {
  if (c.waiters) os::futex_wake(s->word.address(), os::futex_wake_all);
  if (c.newest == nullptr) return;
  add_reference(s);  // a callback may drop the last one, for example the promise that is being fulfilled
  dispatch(s, c.newest);
  release_reference(s);
}

bool cancel_unguarded(state* s) noexcept {
  completion_word::closed c{};
  if (!s->word.try_cancel(c)) return s->word.current() == status::cancelled;
  if (s->ops->discard != nullptr) s->ops->discard(s);
  publish(s, c);
  return true;
}

bool cancel_remote(state* s, bool force) noexcept {
  const auto home = pool_registry::find_remote(*s);
  if (home == nullptr) return cancel_unguarded(s);
  const pool_home::guest_visit visit(*home);
  return cancel_unguarded(s) || home->take_back(s, force) || s->word.current() == status::cancelled;
}

/// Readable name of the exception being handled; allocates only what the demangler does, and never throws.
class type_name {
 public:
  type_name() noexcept {
    const std::type_info* type = abi::__cxa_current_exception_type();
    if (type == nullptr) return;
    raw_ = type->name();
    int failed = 0;
    readable_.reset(abi::__cxa_demangle(raw_, nullptr, nullptr, &failed));
  }
  const char* c_str() const noexcept { return readable_ != nullptr ? readable_.get() : raw_; }

 private:
  struct free_memory {
    void operator()(char* p) const noexcept { std::free(p); }
  };
  const char* raw_ = "unknown type";
  std::unique_ptr<char, free_memory> readable_;
};

const char* name_of(status s) {
  switch (s) {
    case status::pending:
      return "pending";
    case status::running:
      return "running";
    case status::value:
      return "value";
    case status::error:
      return "error";
    case status::cancelled:
      return "cancelled";
    default:
      return "taken";
  }
}

}  // namespace

void run_deferred_callbacks() {
  while (running != nullptr && running->first != nullptr) {
    batch* const b = running->first;
    running->first = b->next;
    if (running->first == nullptr) running->last = nullptr;
    run_batch(b->of, b->oldest);
    release_reference(b->of);
    deallocate(b, sizeof(batch));
  }
}

callbacks_at_end::callbacks_at_end() {
  if (running == nullptr) running = &mine_;
}
callbacks_at_end::~callbacks_at_end() {
  if (running != &mine_) return;
  run_deferred_callbacks();
  running = nullptr;
}

fresh_dispatch::fresh_dispatch() : outer_(running) { running = nullptr; }
fresh_dispatch::~fresh_dispatch() { running = static_cast<trampoline*>(outer_); }

void release_reference(state* s) noexcept {
  // acquire: whoever frees it comes after all that others did with it. A single owner needs no locked instruction.
  if (s->refs.load(std_sync::acquire) != 1 && s->refs.fetch_sub(1, std_sync::acq_rel) != 1) return;
  for (callback_node* n = completion_word::list_of(s->word.load()); n != nullptr;) {
    callback_node* const next = n->next;
    n->ops->destroy(n);
    n = next;
  }
  s->ops->destroy(s);
}

void complete(state* s, status final) noexcept { publish(s, s->word.finish(final)); }

bool cancel(state* s, bool force) noexcept {
  if (s->ops->remote != nullptr) return cancel_remote(s, force);
  // A shutdown that finds the task cancelled waits for its callbacks, wherever they run.
  const auto core = s->ops->run == nullptr ? nullptr : pool_registry::find(s->home);
  if (core == nullptr || core->inside()) return cancel_unguarded(s);
  const pool_home::guest_visit visit(*core);
  return cancel_unguarded(s);
}

status observe(state* s) noexcept {
  const status now = s->word.current();
  if (now != status::running || s->ops->remote == nullptr) return now;
  const auto home = pool_registry::find_remote(*s);
  return home == nullptr || home->begun(s) ? now : status::pending;
}

void attach(state* s, callback_node* node) noexcept {
  if (s->word.push(node)) return;
  {
    const callbacks_at_end here;  // what the callback completes has its callbacks run after it, here as elsewhere
    node->ops->invoke(node, s);
  }
  node->ops->destroy(node);
}

void report_error(std::uint64_t home, std::exception_ptr error) noexcept {
  const auto core = pool_registry::find(home);
  if (core == nullptr) return print_error(error);
  const pool_home::guest_visit visit(*core);  // the pool object, and what its hook refers to, stays that long
  core->report(std::move(error));
}

void print_error(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "remuda: uncaught %s in a callback or posted task: %s\n", type_name().c_str(), e.what());
  } catch (...) {
    std::fprintf(stderr, "remuda: uncaught %s in a callback or posted task\n", type_name().c_str());
  }
}

void throw_for(status s, const char* operation) {
  const std::string what = operation;
  switch (s) {
    case status::cancelled:
      if (what == "get" || what == "take") throw cancelled_error("the task was cancelled before it started");
      [[fallthrough]];
    case status::pending:
    case status::running:
    case status::value:
    case status::error:
      throw invalid_state_error(what + ": the state is already \"" + name_of(s) + "\"");
    default:
      throw invalid_state_error(what + ": the value was taken out by take() before");
  }
}

std::string describe(status s, const std::exception_ptr* error) {
  if (error == nullptr) return name_of(s);
  try {
    std::rethrow_exception(*error);
  } catch (...) {
    return std::string("error (") + type_name().c_str() + ")";
  }
}

void print(std::ostream& out, const std::string& text) { out << text; }

}  // namespace remuda::detail
