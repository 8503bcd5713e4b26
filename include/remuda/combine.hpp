// Several futures as one: wait, as_completed, when_all, when_any.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "remuda/detail/completion_set.hpp"
#include "remuda/future.hpp"

namespace remuda {

enum class wait_until {
  first_completed,  ///< any of them is done
  first_failed,     ///< any of them ended with an error (a cancellation is none), or all are done
  all_completed,
};

template <class T>
struct wait_result {
  std::vector<future<T>> done;
  std::vector<future<T>> pending;
};

namespace detail {

template <class R>
struct future_value;
template <class T>
struct future_value<future<T>> {
  using type = T;
};
template <class Range>
using value_of_futures = typename future_value<std::ranges::range_value_t<Range>>::type;

/// The distinct futures in their order. Throws invalid_state_error for an empty handle.
template <class Range>
auto distinct(Range&& range) {
  using T = value_of_futures<Range>;
  std::vector<future<T>> out;
  std::unordered_set<const void*> seen;
  for (const future<T>& f : range) {
    if (!f.valid()) throw invalid_state_error("a future in the list is empty");
    if (seen.insert(f.state()).second) out.push_back(f);
  }
  return out;
}

template <class T>
std::vector<state*> states_of(const std::vector<future<T>>& futures) {
  std::vector<state*> out;
  out.reserve(futures.size());
  for (const auto& f : futures) out.push_back(f.state());
  return out;
}

template <class T>
bool failed(const future<T>& f) {
  return f.state()->word.current() == status::error;
}

template <class T>
void wait_for_condition(const std::vector<future<T>>& futures, wait_until condition, const deadline& until) {
  if (condition == wait_until::all_completed) {
    for (const auto& f : futures) {
      if (!is_final(detail::wait(f.state(), until))) return;
    }
    return;
  }
  const auto enough = [condition](const future<T>& f) {
    return condition == wait_until::first_completed ? f.done() : failed(f);
  };
  if (std::ranges::any_of(futures, enough)) return;
  completion_set set(states_of(futures));
  for (std::size_t seen = 0; seen < futures.size(); ++seen) {
    const auto index = set.next(until);
    if (!index || enough(futures[*index])) return;
  }
}

template <class Range>
auto wait_until_deadline(Range&& range, wait_until condition, const deadline& until) {
  using T = value_of_futures<Range>;
  wait_result<T> result;
  auto futures = distinct(std::forward<Range>(range));
  wait_for_condition(futures, condition, until);
  for (auto& f : futures) (f.done() ? result.done : result.pending).push_back(std::move(f));
  return result;
}

}  // namespace detail

/// Waits for a range of future<T>; duplicates count once, an empty range returns at once. Returns who is done and who
/// is not, each in input order. Blocks; inside a task the pool's other work goes on.
template <std::ranges::input_range Range>
auto wait(Range&& range, wait_until condition = wait_until::all_completed) {
  return detail::wait_until_deadline(std::forward<Range>(range), condition, {});
}

/// The same, for at most `timeout`. A time-out is no error: what is not done is in `pending`.
template <std::ranges::input_range Range, class Rep, class Period>
auto wait(Range&& range, wait_until condition, std::chrono::duration<Rep, Period> timeout) {
  return detail::wait_until_deadline(std::forward<Range>(range), condition, detail::after(timeout));
}

/// The futures in order of completion, each once, as an input range that is walked once. It keeps no reference to those
/// that it has yielded.
template <class T>
class completion_range {
 public:
  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = future<T>;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    future<T> operator*() const { return std::move(range_->current_); }
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return range_->finished_; }

   private:
    friend class completion_range;
    explicit iterator(completion_range* r) : range_(r) {}
    completion_range* range_ = nullptr;
  };

  completion_range(std::vector<future<T>> futures, detail::deadline until)
      : futures_(std::move(futures)), until_(until), set_(detail::states_of(futures_)) {}
  completion_range(completion_range&&) noexcept = default;
  completion_range& operator=(completion_range&& other) noexcept {
    set_ = std::move(other.set_);  // first: the old tickets stand in the old futures
    futures_ = std::move(other.futures_);
    until_ = other.until_;
    current_ = std::move(other.current_);
    yielded_ = other.yielded_;
    finished_ = other.finished_;
    return *this;
  }

  /// Waits for the first. Throws timeout_error, as ++ does, when nothing more is done at the time-out.
  iterator begin() {
    advance();
    return iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void advance() {
    current_ = {};
    finished_ = yielded_ == futures_.size();
    if (finished_) return;
    const auto index = set_.next(until_);
    if (!index) {
      throw timeout_error(std::to_string(futures_.size() - yielded_) + " (of " + std::to_string(futures_.size()) +
                          ") futures unfinished");
    }
    ++yielded_;
    current_ = std::exchange(futures_[*index], {});
  }

  std::vector<future<T>> futures_;
  detail::deadline until_;
  detail::completion_set set_;  // after futures_: its tickets stand in their states
  future<T> current_;
  std::size_t yielded_ = 0;
  bool finished_ = false;
};

/// for (future<T> f : as_completed(futures)) ...
/// Duplicates are yielded once; what is done already comes first. Blocks while walking.
template <std::ranges::input_range Range>
auto as_completed(Range&& range) {
  return completion_range<detail::value_of_futures<Range>>(detail::distinct(std::forward<Range>(range)), {});
}

/// The same; at the time-out (counted from this call) it yields what is done and then throws timeout_error, which says
/// how many are unfinished.
template <std::ranges::input_range Range, class Rep, class Period>
auto as_completed(Range&& range, std::chrono::duration<Rep, Period> timeout) {
  const auto until = detail::after(timeout);
  return completion_range<detail::value_of_futures<Range>>(detail::distinct(std::forward<Range>(range)), until);
}

namespace detail {

/// Completes `out` with `all` when `remaining` callbacks have come.
template <class Tuple>
struct gather {
  promise<Tuple> out;
  Tuple all;
  atomic<std::size_t> remaining;

  gather(promise<Tuple> p, Tuple t, std::size_t n) : out(std::move(p)), all(std::move(t)), remaining(n) {}

  static void arrive(gather* self, std::size_t n = 1) {
    if (remaining_after(self, n) != 0) return;
    // copied, not moved: the futures that `all` names are the very ones whose callbacks are running
    self->out.fulfil([self] { return self->all; });
    free_block(self);
  }
  static std::size_t remaining_after(gather* self, std::size_t n) {
    return self->remaining.fetch_sub(n, std_sync::acq_rel) - n;  // acq_rel: the last one frees what all have used
  }

  template <class Futures>
  static future<Tuple> start(Tuple all, std::uint64_t home, std::size_t count, Futures&& each) {
    promise<Tuple> out(make_block<plain_state<Tuple>>(1U, home));
    future<Tuple> result = out.get_future();
    auto* self = make_block<gather>(std::move(out), all, count + 1);
    std::size_t attached = 0;
    try {
      each(all, [&](state* s) {
        detail::attach(s, make_node([self](state*) { arrive(self); }));
        ++attached;
      });
    } catch (...) {
      arrive(self, count - attached + 1);
      throw;
    }
    arrive(self);
    return result;
  }
};

}  // namespace detail

/// Completes when all are done, whatever their outcomes, with the futures themselves in input order. Never an error of
/// its own. Lock-free. Throws invalid_state_error for an empty handle, std::bad_alloc.
template <class T>
future<std::vector<future<T>>> when_all(std::vector<future<T>> futures) {
  using list = std::vector<future<T>>;
  for (const auto& f : futures) static_cast<void>(f.done());  // throws for an empty handle
  const std::size_t count = futures.size();
  const std::uint64_t home = count == 0 ? 0 : futures.front().state()->home;
  return detail::gather<list>::start(std::move(futures), home, count, [](const list& all, auto&& attach) {
    for (const auto& f : all) attach(f.state());
  });
}

template <class T, class... Us>
future<std::tuple<future<T>, future<Us>...>> when_all(future<T> first, future<Us>... rest) {
  using list = std::tuple<future<T>, future<Us>...>;
  static_cast<void>(first.done());
  (static_cast<void>(rest.done()), ...);
  const std::uint64_t home = first.state()->home;
  return detail::gather<list>::start(
      list(std::move(first), std::move(rest)...), home, 1 + sizeof...(Us),
      [](const list& all, auto&& attach) { std::apply([&](const auto&... f) { (attach(f.state()), ...); }, all); });
}

template <class T>
struct when_any_result {
  std::size_t index;  ///< the one that was done first
  std::vector<future<T>> futures;
};

namespace detail {

/// One ticket in each future; the first to fire fulfils and takes the others back, so that futures which go on for long
/// keep nothing of this race.
template <class T>
struct race {
  struct entry : ticket {
    race* owner = nullptr;
    std::size_t index = 0;
  };
  promise<when_any_result<T>> out;
  std::vector<future<T>> futures;
  std::vector<entry> entries;
  atomic<bool> decided{false};
  atomic<std::size_t> references{1};  // of the starter, and one of each attached ticket

  race(promise<when_any_result<T>> p, std::vector<future<T>> f)
      : out(std::move(p)), futures(std::move(f)), entries(futures.size()) {}

  void release(std::size_t n = 1) {
    // acq_rel: the last one destroys what all have used
    if (n != 0 && references.fetch_sub(n, std_sync::acq_rel) == n) free_block(this);
  }
  void decide(std::size_t winner) {
    if (decided.exchange(true, std_sync::acq_rel)) return;  // acq_rel: one winner, who sees the entries
    out.fulfil([&] { return when_any_result<T>{winner, futures}; });
  }
  void withdraw() {
    std::size_t taken_back = 0;
    for (entry& e : entries) taken_back += e.node != nullptr && detail::detach(&e) ? 1U : 0U;
    release(taken_back);
  }
};

}  // namespace detail

/// Completes as soon as one of them is done, with its index and all the futures. Lock-free. Throws
/// std::invalid_argument for an empty list, invalid_state_error for an empty handle, std::bad_alloc.
template <class T>
future<when_any_result<T>> when_any(std::vector<future<T>> futures) {
  using race = detail::race<T>;
  if (futures.empty()) throw std::invalid_argument("when_any: the list of futures is empty, so none can ever be done");
  for (const auto& f : futures) static_cast<void>(f.done());
  promise<when_any_result<T>> out(
      detail::make_block<detail::plain_state<when_any_result<T>>>(1U, futures.front().state()->home));
  auto result = out.get_future();
  auto* r = detail::make_block<race>(std::move(out), std::move(futures));
  detail::callback_node* at_end = nullptr;
  try {
    at_end = detail::make_node([r](detail::state*) {
      r->withdraw();
      r->release();
    });
  } catch (...) {
    r->release();
    throw;
  }
  for (std::size_t i = 0; i < r->entries.size(); ++i) {
    auto& e = r->entries[i];
    e.owner = r;
    e.index = i;
    e.target = r->futures[i].state();
    e.fire = [](detail::ticket* t) noexcept {
      auto* self = static_cast<typename race::entry*>(t);
      race* owner = self->owner;
      owner->decide(self->index);
      owner->release();
    };
  }
  for (auto& e : r->entries) {
    r->references.fetch_add(1, detail::std_sync::relaxed);  // relaxed: we hold one
    bool attached = false;
    try {
      attached = detail::attach(&e);
    } catch (...) {
      r->release();
      at_end->ops->invoke(at_end, result.state());  // takes the tickets back and lets go of the block
      at_end->ops->destroy(at_end);
      throw;
    }
    if (!attached) {
      r->decide(e.index);
      r->release();
      break;
    }
  }
  // Whoever decides, now or later, the tickets of the others are taken back then.
  detail::attach(result.state(), at_end);
  return result;
}

}  // namespace remuda
