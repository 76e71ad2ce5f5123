#include "proxy/store/ring.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "proxy/store/spool.h"

namespace reef::proxy {

Result<> Ring::open(const std::string& path, std::uint64_t bytes) {
  bytes_ = bytes;
  file_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat status {};
  if (!file_.is_open() || ::fstat(file_.get(), &status) != 0) return fail(errno_error(path));
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  return {};
}

void Ring::start_at(std::uint64_t cursor, std::optional<std::uint64_t> oldest) {
  run_at_ = cursor_ = cursor;
  has_wrapped_ = oldest && *oldest >= cursor;
  set_oldest(oldest);
}

void Ring::set_oldest(std::optional<std::uint64_t> oldest) {
  // A record behind the cursor is the oldest only when all those ahead of it are gone.
  if (!oldest || *oldest < cursor_) has_wrapped_ = false;
  oldest_ = oldest;
  if (oldest) return;
  run_at_ = cursor_ = 0;
  // What is left of another size, or of another index.
  if (::ftruncate(file_.get(), 0) == 0) file_bytes_ = 0;
}

std::uint64_t Ring::free_bytes(std::optional<std::uint64_t> oldest) const {
  if (!oldest) return bytes_;
  if (has_wrapped_ && *oldest >= cursor_) return *oldest - cursor_;
  return bytes_ - cursor_ + *oldest;
}

std::uint64_t Ring::append(ByteView head, ByteView body) {
  const std::uint64_t size = head.size() + body.size();
  if (parts_.empty()) {
    run_at_ = cursor_;
    wrap_part_ = SIZE_MAX;
  }
  if (cursor_ + size > bytes_ && !has_wrapped_) {
    wrap_part_ = parts_.size();
    cursor_ = 0;
    has_wrapped_ = oldest_.has_value();
  }
  const std::uint64_t at = cursor_;
  if (!oldest_) oldest_ = at;
  for (const ByteView part : {head, body}) {
    if (!part.empty()) parts_.push_back({const_cast<std::byte*>(part.data()), part.size()});
  }
  cursor_ += size;
  return at;
}

Result<> Ring::write() {
  const std::size_t wrap = std::min(wrap_part_, parts_.size());
  auto written = write_run(0, wrap, run_at_);
  if (written) written = write_run(wrap, parts_.size(), 0);
  parts_.clear();
  return written;
}

Result<> Ring::write_run(std::size_t first, std::size_t end, std::uint64_t at) {
  while (first < end) {
    const std::size_t count = std::min<std::size_t>(end - first, IOV_MAX);
    const ssize_t written =
        ::pwritev(file_.get(), parts_.data() + first, static_cast<int>(count), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(errno_error("small objects"));
    at += static_cast<std::uint64_t>(written);
    file_bytes_ = std::max(file_bytes_, at);
    auto left = static_cast<std::size_t>(written);
    while (first < end && left >= parts_[first].iov_len) left -= parts_[first++].iov_len;
    if (left == 0) continue;
    parts_[first].iov_base = static_cast<std::byte*>(parts_[first].iov_base) + left;
    parts_[first].iov_len -= left;
  }
  return {};
}

Result<> Ring::read(std::uint64_t at, std::span<std::byte> out) const {
  return read_at(file_.get(), out, at);
}

}  // namespace reef::proxy
