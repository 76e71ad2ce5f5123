#include "proxy/store/spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "proxy/store/error.h"

namespace reef::proxy {

Result<> write_at(int fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("write a body"));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

Result<> read_at(int fd, std::span<std::byte> out, std::uint64_t offset) {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("read a body"));
    }
    if (got == 0) return fail(store_error(StoreError::damaged, "file too short"));
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

std::shared_ptr<SpoolFile> SpoolFile::adopted(Fd fd, std::shared_ptr<Spool> spool) {
  return std::make_shared<SpoolFile>(std::move(fd), std::string{}, false, true, std::move(spool));
}

SpoolFile::SpoolFile(Fd fd, std::string path, bool in_memory, bool is_adopted, std::shared_ptr<Spool> spool)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      in_memory_(in_memory),
      spool_(std::move(spool)),
      adopted_(is_adopted) {}

SpoolFile::~SpoolFile() {
  const bool unlinks = !in_memory_ && !adopted_.load(std::memory_order_acquire);
  const std::string to_unlink = unlinks ? path_ : std::string{};
  if (in_memory_ || !spool_->discard_ || !spool_->discard_(fd_, to_unlink)) {
    fd_.reset();
    if (!to_unlink.empty()) ::unlink(to_unlink.c_str());
  }
  spool_->release(in_memory_, reserved_bytes_);
}

Result<> SpoolFile::write(ByteView bytes, std::uint64_t offset) {
  if (!spool_->reserve(in_memory_, bytes.size())) return fail(store_error(StoreError::no_space, "spool"));
  reserved_bytes_ += bytes.size();
  auto written = write_at(fd_.get(), bytes, offset);
  if (!written) spool_->failures_.fetch_add(1, std::memory_order_relaxed);
  return written;
}

void SpoolFile::adopt() {
  spool_->release(in_memory_, reserved_bytes_);
  reserved_bytes_ = 0;
  adopted_.store(true, std::memory_order_release);
}

Spool::Spool(std::string directory, Limits limits) : directory_(std::move(directory)), limits_(limits) {}

Result<std::shared_ptr<SpoolFile>> Spool::create_on_disk() {
  if (directory_.empty()) return fail(store_error(StoreError::no_space, "no directory"));
  std::string path = directory_ + "/" + std::to_string(next_name_.fetch_add(1, std::memory_order_relaxed));
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.is_open()) {
    failures_.fetch_add(1, std::memory_order_relaxed);
    return fail(errno_error(path));
  }
  return std::make_shared<SpoolFile>(std::move(fd), std::move(path), false, false, shared_from_this());
}

Result<std::shared_ptr<SpoolFile>> Spool::create_in_memory() {
  Fd fd(::memfd_create("reef-body", MFD_CLOEXEC));
  if (!fd.is_open()) return fail(errno_error("memfd_create"));
  return std::make_shared<SpoolFile>(std::move(fd), std::string{}, true, false, shared_from_this());
}

bool Spool::reserve(bool in_memory, std::uint64_t bytes) {
  auto& used = in_memory ? memory_bytes_ : disk_bytes_;
  const std::uint64_t max = in_memory ? limits_.memory_bytes_max : limits_.disk_bytes_max;
  const std::uint64_t before = used.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= max) return true;
  used.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

void Spool::release(bool in_memory, std::uint64_t bytes) {
  (in_memory ? memory_bytes_ : disk_bytes_).fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace reef::proxy
