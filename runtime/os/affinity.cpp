#include "runtime/os/affinity.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace remuda::os {
namespace {

constexpr unsigned bits_per_word = 8 * sizeof(unsigned long);

// cpu_set_t is a type of fixed size only by name: the kernel and glibc look at the bytes that the size argument covers.
cpu_set_t* as_kernel_set(unsigned long* words) { return reinterpret_cast<cpu_set_t*>(words); }
const cpu_set_t* as_kernel_set(const unsigned long* words) { return reinterpret_cast<const cpu_set_t*>(words); }

}  // namespace

cpu_mask::cpu_mask(const std::vector<unsigned>& cpus) {
  for (const unsigned cpu : cpus) add(cpu);
}

void cpu_mask::add(unsigned cpu) {
  const std::size_t word = cpu / bits_per_word;
  if (word >= words_.size()) words_.resize(word + 1);
  words_[word] |= 1UL << (cpu % bits_per_word);
}

bool cpu_mask::contains(unsigned cpu) const noexcept {
  const std::size_t word = cpu / bits_per_word;
  return word < words_.size() && (words_[word] >> (cpu % bits_per_word) & 1UL) != 0;
}

bool cpu_mask::empty() const noexcept {
  return std::all_of(words_.begin(), words_.end(), [](unsigned long word) { return word == 0; });
}

std::vector<unsigned> cpu_mask::cpus() const {
  std::vector<unsigned> members;
  const auto limit = static_cast<unsigned>(words_.size()) * bits_per_word;
  for (unsigned cpu = 0; cpu < limit; ++cpu) {
    if (contains(cpu)) members.push_back(cpu);
  }
  return members;
}

bool operator==(const cpu_mask& a, const cpu_mask& b) noexcept {
  const std::vector<unsigned long>& shorter = a.words_.size() < b.words_.size() ? a.words_ : b.words_;
  const std::vector<unsigned long>& longer = a.words_.size() < b.words_.size() ? b.words_ : a.words_;
  const auto rest = longer.begin() + static_cast<std::ptrdiff_t>(shorter.size());
  return std::equal(shorter.begin(), shorter.end(), longer.begin()) &&
         std::all_of(rest, longer.end(), [](unsigned long word) { return word == 0; });
}

int get_affinity(cpu_mask& mask) noexcept try {
  // The kernel refuses a mask smaller than its own with EINVAL and does not say how large that is.
  constexpr std::size_t first_try = 1024 / bits_per_word;
  constexpr std::size_t give_up = 1024 * first_try;  // a million CPUs: EINVAL has another reason
  for (std::size_t size = first_try;; size *= 2) {
    std::vector<unsigned long> words(size);
    if (sched_getaffinity(0, size * sizeof(unsigned long), as_kernel_set(words.data())) == 0) {
      mask.words_ = std::move(words);
      return 0;
    }
    if (errno != EINVAL || size >= give_up) return errno;
  }
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int set_affinity(const cpu_mask& mask, pid_t thread) noexcept {
  const std::size_t bytes = mask.words_.size() * sizeof(unsigned long);
  return sched_setaffinity(thread, bytes, as_kernel_set(mask.words_.data())) == 0 ? 0 : errno;
}

int pin_to_cpu(unsigned cpu, pid_t thread) noexcept try {
  cpu_mask mask;
  mask.add(cpu);
  return set_affinity(mask, thread);
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int set_thread_name(std::string_view name) noexcept {
  char text[16] = {};  // the kernel's limit, with its terminating zero
  name.copy(text, sizeof text - 1);
  return pthread_setname_np(pthread_self(), text);
}

}  // namespace remuda::os
