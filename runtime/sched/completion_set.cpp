// Tickets in futures, and the set that hands out futures as they complete.
#include "remuda/detail/completion_set.hpp"

#include "runtime/os/futex.hpp"
#include "runtime/sched/wait.hpp"

namespace remuda::detail {

/// A callback node whose content can be taken out and put in again. `place` is: a ticket; null, free for the next
/// ticket; or `closed`, once the future has completed.
struct ticket_node final : callback_node {
  ticket_node();
  atomic<ticket*> place{nullptr};
};

namespace {

ticket closed_mark;
ticket* const closed = &closed_mark;

void fire(callback_node* n, state*) noexcept {
  // acquire: pairs with the release that put the ticket in
  ticket* const t = static_cast<ticket_node*>(n)->place.exchange(closed, std_sync::acq_rel);
  if (t != nullptr) t->fire(t);
}

void free_node(callback_node* n) noexcept { free_block(static_cast<ticket_node*>(n)); }

constexpr callback_node::operations ticket_operations{&fire, &free_node};

/// Puts the ticket into a node that an earlier waiter has left, if there is one.
ticket_node* reuse(ticket* t) {
  for (callback_node* n = completion_word::list_of(t->target->word.load()); n != nullptr; n = n->next) {
    if (n->ops != &ticket_operations) continue;
    auto* node = static_cast<ticket_node*>(n);
    ticket* expected = nullptr;
    // release: publishes the ticket to fire(); relaxed on failure: somebody else's
    if (node->place.compare_exchange_strong(expected, t, std_sync::release, std_sync::relaxed)) return node;
  }
  return nullptr;
}

}  // namespace

ticket_node::ticket_node() : callback_node{&ticket_operations} {}

bool attach(ticket* t) {
  if (is_final(t->target->word.current())) return false;
  refuse_if_forked(*t->target);
  t->node = reuse(t);
  if (t->node != nullptr) {
    // The node was in the list before, so the completing thread may be past it: then the word is final by now.
    if (!is_final(completion_word::status_of(t->target->word.recheck()))) return true;
    if (!detach(t)) return true;  // fired, or firing
    t->node = nullptr;
    return false;
  }
  auto* node = make_block<ticket_node>();
  node->place.store(t, std_sync::relaxed);  // relaxed: push() publishes the node
  t->node = node;
  if (t->target->word.push(node)) return true;
  free_block(node);
  t->node = nullptr;
  return false;
}

bool detach(ticket* t) noexcept {
  ticket* expected = t;
  // relaxed: nothing is read from the node; the ticket is the caller's own
  return t->node->place.compare_exchange_strong(expected, nullptr, std_sync::relaxed, std_sync::relaxed);
}

struct completion_set::member : ticket {
  shared* owner = nullptr;
  std::size_t index = 0;
  member* next_ready = nullptr;
};

/// Counted: the set holds a reference, and so does each ticket that may fire.
struct completion_set::shared {
  explicit shared(std::size_t n) : members(n) {}

  std::vector<member> members;
  atomic<member*> ready{nullptr};  // newest first
  atomic<std::uint32_t> arrivals{0};
  atomic<std::size_t> references{1};

  void drop(std::size_t n = 1) {
    // acq_rel: the last one frees what all have used
    if (n != 0 && references.fetch_sub(n, std_sync::acq_rel) == n) delete this;
  }
  void push(member* m) {
    member* head = ready.load(std_sync::relaxed);  // relaxed: only the address is used
    do {
      m->next_ready = head;
      // release: publishes the link. The consumer takes the whole list, so there is no ABA
    } while (!ready.compare_exchange_weak(head, m, std_sync::release, std_sync::relaxed));
  }
  static void arrived(ticket* t) noexcept {
    auto* m = static_cast<member*>(t);
    shared* const self = m->owner;
    self->push(m);
    self->arrivals.fetch_add(1, std_sync::release);  // release: who sees it finds the member in the list
    os::futex_wake(&self->arrivals, os::futex_wake_all);
    self->drop();
  }
};

void completion_set::release::operator()(shared* s) const noexcept {
  std::size_t taken_back = 0;
  for (member& m : s->members) taken_back += m.node != nullptr && detach(&m) ? 1U : 0U;
  s->drop(taken_back + 1);
}

completion_set::completion_set(const std::vector<state*>& states) : shared_(new shared(states.size())) {
  ready_.reserve(states.size());
  std::vector<std::size_t> finished;
  for (std::size_t i = 0; i < states.size(); ++i) {
    member& m = shared_->members[i];
    m.fire = &shared::arrived;
    m.target = states[i];
    m.owner = shared_.get();
    m.index = i;
    shared_->references.fetch_add(1, std_sync::relaxed);  // relaxed: we hold one
    bool attached = false;
    try {
      attached = attach(&m);
    } catch (...) {
      shared_->references.fetch_sub(1, std_sync::relaxed);
      throw;
    }
    if (attached) continue;
    shared_->references.fetch_sub(1, std_sync::relaxed);  // relaxed: not the last
    finished.push_back(i);
  }
  ready_.assign(finished.rbegin(), finished.rend());
}

completion_set::~completion_set() = default;

std::optional<std::size_t> completion_set::next(const deadline& until) {
  for (;;) {
    if (!ready_.empty()) {
      const std::size_t index = ready_.back();
      ready_.pop_back();
      return index;
    }
    const std::uint32_t seen = shared_->arrivals.load(std_sync::acquire);
    // acquire: the links; the stack is newest first, as ready_ is
    for (member* m = shared_->ready.exchange(nullptr, std_sync::acquire); m != nullptr; m = m->next_ready) {
      ready_.push_back(m->index);
      m->node = nullptr;  // the caller may let go of this future now, and its nodes go with it
    }
    if (ready_.empty() && !wait_for_change(shared_->arrivals, seen, until)) return {};
  }
}

}  // namespace remuda::detail
