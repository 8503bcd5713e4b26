#include "runtime/os/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <limits>
#include <string>

#include "runtime/os/error.hpp"

namespace remuda::os {
namespace {

// Newer than the headers of the oldest supported system; an older kernel says EINVAL.
constexpr unsigned noexec_seal = 8;  // MFD_NOEXEC_SEAL, Linux 6.3
constexpr int wanted_seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

int create(const char* name) noexcept {
  const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | noexec_seal);
  return fd >= 0 || errno != EINVAL ? fd : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

}  // namespace

unique_fd make_memfd(const char* name, std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<off_t>::max())) {
    throw_errno(EFBIG, "cannot make " + std::to_string(bytes) + " bytes of shared memory");
  }
  rlimit files{};
  // Beyond it the kernel would send SIGXFSZ.
  if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur != RLIM_INFINITY && bytes > files.rlim_cur) {
    throw_errno(EFBIG, "cannot make " + std::to_string(bytes) + " bytes of shared memory; see ulimit -f");
  }
  unique_fd fd(create(name));
  if (!fd) throw_errno(errno, "cannot make shared memory");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    throw_errno(errno, "cannot make " + std::to_string(bytes) + " bytes of shared memory");
  }
  if (fcntl(fd.get(), F_ADD_SEALS, wanted_seals) != 0) throw_errno(errno, "cannot seal shared memory");
  return fd;
}

bool is_sealed(int memfd) noexcept {
  const int seals = fcntl(memfd, F_GET_SEALS);
  return seals >= 0 && (seals & wanted_seals) == wanted_seals;
}

}  // namespace remuda::os
