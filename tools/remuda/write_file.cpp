#include "tools/remuda/write_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "runtime/os/unique_fd.hpp"
#include "tools/remuda/verbs.hpp"

namespace remuda::tool {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& path, int error) {
  const char* advice = "";
  if (error == ENOSPC || error == EDQUOT) advice = "; make room there, or name another place with -o";
  if (error == EACCES || error == EPERM || error == EROFS) advice = "; name another place with -o";
  throw ending(failed,
               fmt::format("cannot write {}: {}{}", path, std::generic_category().message(error), advice));
}

/// Gone when it ends, unless it has been kept.
class temporary {
 public:
  explicit temporary(const fs::path& beside) : path_(beside.native() + ".XXXXXX") {
    fd_.reset(mkostemp(path_.data(), O_CLOEXEC));
    error_ = fd_ ? 0 : errno;
  }
  ~temporary() {
    if (fd_ && !kept_) unlink(path_.c_str());
  }
  temporary(const temporary&) = delete;
  temporary& operator=(const temporary&) = delete;

  /// 0, or an errno value.
  int fill(std::string_view contents) {
    if (error_ != 0) return error_;
    while (!contents.empty()) {
      const ssize_t n = write(fd_.get(), contents.data(), contents.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno;
      contents.remove_prefix(static_cast<std::size_t>(n));
    }
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd_.get(), 0666 & ~mask) != 0) return errno;
    return fsync(fd_.get()) != 0 ? errno : 0;
  }
  int become(const fs::path& path) {
    if (rename(path_.c_str(), path.c_str()) != 0) return errno;
    kept_ = true;
    return 0;
  }

 private:
  std::string path_;
  os::unique_fd fd_;
  int error_ = 0;
  bool kept_ = false;
};

}  // namespace

void write_file(const std::string& path, const std::string& contents) {
  std::error_code error;
  fs::path target = fs::weakly_canonical(path, error);
  if (error) refuse(path, error.value());
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), error);
  if (error) refuse(path, error.value());
  struct stat there {};
  if (stat(target.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    throw ending(failed, fmt::format("cannot write {}: it is there and no plain file; name another with -o", path));
  }
  temporary file(target);
  if (const int e = file.fill(contents); e != 0) refuse(path, e);
  if (const int e = file.become(target); e != 0) refuse(path, e);
  // The name is on the disk when its folder is. Where a folder cannot be synced, there is nothing to be done about it.
  const os::unique_fd folder(open(target.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) fsync(folder.get());
}

}  // namespace remuda::tool
