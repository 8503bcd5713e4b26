// The zygote and the workers begin. All of the supervisor, except where it says otherwise.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "remuda/error.hpp"
#include "runtime/os/error.hpp"
#include "runtime/os/memfd.hpp"
#include "runtime/os/memory_node.hpp"
#include "runtime/os/pidfd.hpp"
#include "runtime/proc/code_ref.hpp"
#include "runtime/proc/harden.hpp"
#include "runtime/proc/process_core.hpp"
#include "runtime/proc/supervisor.hpp"

namespace remuda::detail {
namespace {

void no_initializer(wire_reader&, wire_writer&, call_stage& stage) { stage = call_stage::result; }

void watch(int epoll, int fd, std::uint64_t tag, std::uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) os::throw_errno(errno, "process_pool: cannot watch a worker");
}

struct two_ends {
  os::unique_fd read, write;
};

two_ends make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) os::throw_errno(errno, "process_pool: cannot make a pipe for a worker's output");
  two_ends p{os::unique_fd(ends[0]), os::unique_fd(ends[1])};
  fcntl(p.read.get(), F_SETFL, O_NONBLOCK);  // ours alone: the worker's end is another description
  return p;
}

/// All of it for the worker's CPU, whichever side touches a page first: from its node, or, where that has no memory or
/// none for this process, from the nearest that has.
void take_memory_near(const topology& machine, unsigned node, const segment& memory) {
  for (const unsigned each : machine.nodes_by_distance(node)) {
    if (os::prefer_node(memory.base(), memory.layout().total, each)) return;
  }
}

}  // namespace

/// Of the constructor, before the supervisor runs. The requests go ahead while the zygote comes up. Throws what the
/// constructor throws.
void process_core::start_workers() {
  zygote_ = std::make_unique<zygote>(options_.start, zygote::without_waiting{});
  for (const auto& l : lanes_) spawn(*l);
  zygote_->await_ready();
  watch_zygote();
}

void process_core::replace_zygote() {
  zygote_.reset();
  zygote_ = std::make_unique<zygote>(options_.start);
  watch_zygote();
}

void process_core::watch_zygote() { watch(events_.get(), zygote_->socket(), tag_of(0, watched::zygote)); }

/// The zygote had this error when it was asked for a worker.
void process_core::not_spawned(int error) {
  const bool descriptors = error == EMFILE || error == ENFILE;
  const std::system_error cause(error, std::generic_category(), "cannot start a worker process");
  break_pool(
      "the system starts no more worker processes: " + cause.code().message() + "; look at the limits on " +
          (descriptors ? "descriptors (ulimit -n)" : "processes (ulimit -u, the cgroup's pids.max) and on memory"),
      std::make_exception_ptr(cause));
}

/// Asks for a process for the lane, with memory of its own. Throws std::system_error.
void process_core::spawn(lane& l) {
  os::unique_fd file = os::make_memfd("remuda", l.memory.layout().total);
  os::unique_fd bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) os::throw_errno(errno, "process_pool: cannot make an eventfd for a worker");
  two_ends out = make_pipe();
  two_ends err = make_pipe();

  new_ring(l, std::move(file));
  l.bell = std::move(bell);
  l.out = std::move(out.read);
  l.err = std::move(err.read);
  const auto line = [&l](output_stream stream) {
    return [&l, stream](std::string_view text) { l.lines.emplace_back(stream, text); };
  };
  l.out_lines.emplace(line(output_stream::out));
  l.err_lines.emplace(line(output_stream::error));
  // The worker has the same open file and so may clear O_NONBLOCK. With edges nothing has to be read here.
  watch(events_.get(), l.bell.get(), tag_of(l.index, watched::bell), EPOLLIN | EPOLLET);
  watch(events_.get(), l.out.get(), tag_of(l.index, watched::out));
  watch(events_.get(), l.err.get(), tag_of(l.index, watched::err));
  zygote_->spawn(settings_for(l), {l.file.get(), heap_->file(), l.bell.get(), out.write.get(), err.write.get()});
}

worker_settings process_core::settings_for(const lane& l) const {
  worker_settings settings;
  settings.lane = l.index;
  settings.cpu = settings_.pin ? static_cast<int>(placement_.cpu_of(l.index).os_index) : -1;
  settings.address_space = options_.limits.memory;
  settings.cpu_seconds = static_cast<std::uint64_t>(options_.limits.cpu_time.count());
  settings.open_files = options_.limits.open_files;
  settings.max_resident = options_.limits.resident;
  settings.max_tasks = options_.max_tasks_per_worker;
  settings.harden = options_.harden ? std::uint32_t{harden_all} : 0;
  const std::string name = options_.name + "/" + std::to_string(l.index);
  name.copy(settings.name, sizeof settings.name - 1);
  settings.ring_capacity = layout_.capacity;
  settings.argument_bytes = options_.max_payload;
  settings.result_bytes = options_.max_payload;
  settings.heap_bytes = heap_->bytes();
  settings.spin_ns = settings_.spin.count();
  return settings;
}

/// The lane starts over with this memory and the first call in it. Throws std::system_error.
void process_core::new_ring(lane& l, os::unique_fd file) {
  {
    const std::lock_guard lock(l.sending);
    l.memory.map(file.get());
    if (const unsigned node = placement_.cpu_of(l.index).numa_node; settings_.pin && node != unknown_id) {
      take_memory_near(machine_, node, l.memory);
    }
    l.ring.reset(l.memory.slots());
    l.arguments.emplace(file.get(), l.memory.base(), l.memory.layout().arguments,
                        l.memory.layout().arguments + options_.max_payload, l.memory.layout().capacity + 1);
    l.modules_told = 1;
    l.timed.store(false, std_sync::relaxed);  // relaxed: under the lock
    l.timed_front.reset();
    l.doomed = false;
    l.phase = lane_phase::starting;
    l.run_before = l.run.load(std_sync::relaxed);
    first_call(l);
  }
  l.file = std::move(file);
}

/// It comes before all modules, so that the initializer has to be the program's own; see process_pool_options.
/// REQUIRES: `sending` is held, the ring is fresh.
void process_core::first_call(lane& l) {
  call_slot& slot = l.ring.next();
  payload_writer out(
      slot.bytes, call_slot::inline_bytes, *l.arguments, [](void*) { throw no_room_now(); }, nullptr);
  slot.function = options_.initializer ? options_.initializer.function()
                                       : code_ref_of(reinterpret_cast<const void*>(&no_initializer));
  out.write(options_.initializer.bytes().data(), options_.initializer.bytes().size());
  slot.kind = slot_kind::call;
  slot.id = 0;
  slot.size = out.size();
  slot.where = out.keep(0);
  slot.started_at = 0;
  busy_[l.index].store(1, std_sync::relaxed);
  l.ring.publish();
}

/// The lane's process is there. False: it cannot be watched, so that nobody could end it but with the zygote.
bool process_core::begin(lane& l, zygote::event& spawned) {
  {
    const std::lock_guard lock(l.sending);
    if (l.phase == lane_phase::empty) return true;
    l.pid = spawned.pid;
    l.pidfd = std::move(spawned.pidfd);
    if (l.pidfd && l.doomed) os::send_signal(l.pidfd.get(), SIGKILL);
    if (l.pidfd) return true;
  }
  // No descriptor was free to receive it. By its number it cannot be had: that may be another process's by now, and
  // always is where the zygote lives in a process namespace of its own.
  const std::system_error cause(EMFILE, std::generic_category(), "no descriptor is free");
  break_pool("a worker cannot be watched: " + cause.code().message() + "; look at the limit on descriptors (ulimit -n)",
             std::make_exception_ptr(cause));
  return false;
}

/// Any thread: the initializer has run.
void process_core::open_lane(lane& l) {
  bool first = false;
  {
    const std::lock_guard lock(l.sending);
    if (l.phase != lane_phase::starting || l.doomed) return;
    l.phase = lane_phase::open;
    l.open.store(true, std_sync::relaxed);
    l.failed_starts = 0;
    first = !std::exchange(l.opened_before, true);
  }
  std_sync::full_fence();  // a task that found no lane open is in the queue by now, or finds this one
  if (first) {             // the constructor waits once for each place
    const std::lock_guard lock(mutex_);
    if (--starting_ == 0) changed_.notify_all();
  }
  kick();  // there may be something to share out
}

}  // namespace remuda::detail
