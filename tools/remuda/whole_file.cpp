#include "tools/remuda/whole_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "runtime/os/unique_fd.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw ending(failed,
               "cannot write " + path.native() + ": " + std::error_code(error, std::generic_category()).message());
}

struct close_file {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// 0 or an errno value.
int write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    done += static_cast<std::size_t>(written);
  }
  return 0;
}

}  // namespace

void write_whole_file(const std::filesystem::path& path, const std::string& text) {
  struct stat there = {};
  if (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    const os::unique_fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const int error = fd ? write_all(fd.get(), text) : errno;
    if (error != 0) fail(path, error);
    return;
  }
  // A name that leads somewhere else keeps doing so: the file at its end is replaced.
  std::error_code no_link;
  const std::filesystem::path end = std::filesystem::canonical(path, no_link);
  const std::filesystem::path& target = no_link ? path : end;
  std::string temporary = target.native() + ".XXXXXX";
  os::unique_fd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) fail(path, errno);
  const mode_t mask = umask(0);
  umask(mask);
  int error = write_all(fd.get(), text);
  if (error == 0 && fchmod(fd.get(), 0666 & ~mask) != 0) error = errno;
  if (error == 0 && fsync(fd.get()) != 0 && errno != EINVAL) error = errno;
  fd.reset();
  if (error == 0 && rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) return;
  unlink(temporary.c_str());
  fail(path, error);
}

std::string read_whole_file(const std::string& path, std::size_t most, const std::string& too_large) {
  const auto reason = [](int error) { return std::generic_category().message(error); };
  const std::unique_ptr<std::FILE, close_file> file(std::fopen(path.c_str(), "re"));
  if (!file) throw std::runtime_error(reason(errno));
  std::string text;
  std::vector<char> part(std::size_t{1} << 16);
  errno = 0;
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), file.get())) != 0;) {
    text.append(part.data(), got);
    if (text.size() > most) throw std::runtime_error(too_large);
  }
  if (std::ferror(file.get()) != 0) throw std::runtime_error(reason(errno));
  return text;
}

}  // namespace remuda::tool
