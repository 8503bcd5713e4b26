// map: a function over a range on a pool, results in input order, lazily.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "remuda/executor.hpp"
#include "remuda/future.hpp"

namespace remuda {

struct map_options {
  /// Inputs that travel as one task. More of them amortise the cost of a task over short calls.
  std::size_t chunk_size = 1;
  /// Inputs drawn from the range ahead of the result that is being read, so an endless range works. Default: four
  /// chunks for each worker. Counted in whole chunks, at least one: up to chunk_size - 1 inputs more may be drawn.
  std::optional<std::size_t> window = std::nullopt;
};

namespace detail {

/// What became of one input; void results are kept as monostate.
template <class R>
using outcome =
    std::variant<std::conditional_t<std::is_void_v<R>, std::monostate, std::remove_cvref_t<R>>, std::exception_ptr>;

/// The task of a chunk. A failed item does not spoil its neighbours. Stateless, so that function and inputs are
/// arguments and travel on their own.
template <class F, class In, class R>
struct map_chunk {
  std::vector<outcome<R>> operator()(F f, std::vector<In> inputs) const {
    std::vector<outcome<R>> out;
    out.reserve(inputs.size());
    for (In& input : inputs) {
      try {
        if constexpr (std::is_void_v<R>) {
          std::invoke(f, std::move(input));
          out.emplace_back(std::in_place_index<0>);
        } else {
          out.emplace_back(std::in_place_index<0>, std::invoke(f, std::move(input)));
        }
      } catch (...) {
        out.emplace_back(std::in_place_index<1>, std::current_exception());
      }
    }
    return out;
  }
};

}  // namespace detail

/// The results, walked once. Destroying it cancels what has not started.
template <class E, class F, class View>
class map_range {
  using input = std::ranges::range_value_t<View>;
  using result = std::invoke_result_t<F&, input>;
  using chunk_result = std::vector<detail::outcome<result>>;

 public:
  using value_type = std::variant_alternative_t<0, detail::outcome<result>>;

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = map_range::value_type;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    /// The result, which may be moved from. Rethrows what the call for this item threw; ++ goes on to the next item.
    value_type& operator*() const { return range_->current(); }
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return range_->at_end(); }

   private:
    friend class map_range;
    explicit iterator(map_range* r) : range_(r) {}
    map_range* range_ = nullptr;
  };

  map_range(E& pool, F f, View inputs, const map_options& options)
      : pool_(&pool), f_(std::move(f)), inputs_(std::move(inputs)), chunk_size_(options.chunk_size) {
    const std::size_t window = options.window ? *options.window : 4 * std::size_t{pool.size()} * chunk_size_;
    chunks_ahead_ = std::max<std::size_t>(1, window / chunk_size_);
    position_.emplace(std::ranges::begin(inputs_));
    refill();
  }
  map_range(const map_range&) = delete;  // it holds an iterator into itself; returned by guaranteed elision
  map_range& operator=(const map_range&) = delete;
  ~map_range() {
    for (auto& chunk : chunks_) chunk.cancel();
  }

  iterator begin() {
    load();
    return iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  /// Draws inputs until the window is full. An error of the range or of submit is kept for its own place.
  void refill() {
    while (!failure_ && chunks_.size() < chunks_ahead_) {
      std::vector<input> inputs;
      try {
        if (*position_ == std::ranges::end(inputs_)) return;
        inputs.reserve(chunk_size_);
        // not past the last one that is needed: reading further may block for ever on an input stream
        for (;;) {
          inputs.push_back(**position_);
          ++*position_;
          if (inputs.size() == chunk_size_ || *position_ == std::ranges::end(inputs_)) break;
        }
      } catch (...) {
        failure_ = std::current_exception();
      }
      if (inputs.empty()) return;
      try {
        chunks_.push_back(pool_->submit(detail::map_chunk<F, input, result>{}, f_, std::move(inputs)));
      } catch (...) {
        failure_ = std::current_exception();
      }
    }
  }

  /// Makes the item at hand readable: takes the next chunk where the last one is used up.
  void load() {
    while (index_ == values_.size() && !chunks_.empty()) {
      future<chunk_result> chunk = std::move(chunks_.front());
      chunks_.pop_front();
      refill();
      index_ = 0;
      values_.clear();
      try {
        values_ = chunk.take();
      } catch (...) {  // the chunk was cancelled, or its inputs could not be moved: an error at its own place
        values_.clear();
        values_.emplace_back(std::in_place_index<1>, std::current_exception());
      }
    }
  }
  bool at_end() const { return index_ == values_.size() && chunks_.empty() && !failure_; }
  void advance() {
    if (index_ == values_.size()) {
      failure_ = nullptr;  // it was thrown at its place; nothing can follow
      chunks_ahead_ = 0;
      return;
    }
    ++index_;
    load();
  }
  value_type& current() {
    if (index_ == values_.size()) std::rethrow_exception(failure_);
    auto& o = values_[index_];
    if (o.index() == 1) std::rethrow_exception(std::get<1>(o));
    return std::get<0>(o);
  }

  E* pool_;
  F f_;
  View inputs_;
  std::size_t chunk_size_;
  std::size_t chunks_ahead_ = 1;
  std::optional<std::ranges::iterator_t<View>> position_;
  std::deque<future<chunk_result>> chunks_;
  chunk_result values_;
  std::size_t index_ = 0;
  std::exception_ptr failure_;
};

/// Calls f(input) for every input on the pool. Returns a range of the results in input order: for (auto& r : map(...)).
/// f is copied into each task; a failed item throws at its own place, after the results before it, and the items after
/// it can still be read. The pool starts on the first window at once. After shutdown the results of what was drawn
/// come, then shutdown_error. Reading blocks. Throws std::invalid_argument for a chunk_size or window of 0.
template <class E, class F, std::ranges::viewable_range Range>
  requires std::ranges::input_range<Range>
auto map(E& pool, F f, Range&& range, map_options options = {}) {
  if (options.chunk_size == 0) throw std::invalid_argument("map: chunk_size is 0; it must be at least 1");
  if (options.window && *options.window == 0) throw std::invalid_argument("map: window is 0; it must be at least 1");
  using view = std::views::all_t<Range>;
  return map_range<E, F, view>(pool, std::move(f), std::views::all(std::forward<Range>(range)), options);
}

}  // namespace remuda
