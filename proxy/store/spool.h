// Files that hold bodies too long for memory: written while a response arrives, later adopted by the disk
// tier or removed with the last reader.
//
// Where the disk refuses, a file in memory (memfd) takes its place within a budget shared by all fills:
// readers see a descriptor either way.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/io/fd.h"
#include "base/result.h"

namespace reef::proxy {

class Spool;

// One open file. Its last owner closes it, and unlinks it unless it was adopted. Shared between threads; only
// the BodyWriter that made it writes.
class SpoolFile {
 public:
  // A file that belongs to the disk tier already.
  static std::shared_ptr<SpoolFile> adopted(Fd fd, std::shared_ptr<Spool> spool);
  SpoolFile(Fd fd, std::string path, bool in_memory, bool is_adopted, std::shared_ptr<Spool> spool);
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool in_memory() const { return in_memory_; }
  // Writes all of `bytes` at `offset`, where nothing was written before. Errors: StoreError::no_space (over
  // the spool's budget), or the system's. What a failed call wrote is not to be read. Writer's thread.
  [[nodiscard]] Result<> write(ByteView bytes, std::uint64_t offset);
  // The disk tier has renamed the file into its own folder and charges it to its own budget. Once, after the
  // writer has finished.
  void adopt();

 private:
  Fd fd_;
  const std::string path_;
  const bool in_memory_;
  const std::shared_ptr<Spool> spool_;
  std::uint64_t reserved_bytes_ = 0;
  std::atomic<bool> adopted_;
};

class Spool : public std::enable_shared_from_this<Spool> {
 public:
  struct Limits {
    std::uint64_t disk_bytes_max;
    std::uint64_t memory_bytes_max;
  };
  // Takes over the closing of a file and, when `path` is not empty, its unlinking: freeing the blocks of a
  // large file takes milliseconds, which a worker's turn does not have. False: refused, the spool does it on
  // the spot.
  using Discard = std::function<bool(Fd& fd, const std::string& path)>;

  // `directory` exists and is ours alone; empty: memory only.
  Spool(std::string directory, Limits limits);
  // Before the first file is made.
  void set_discard(Discard discard) { discard_ = std::move(discard); }

  [[nodiscard]] Result<std::shared_ptr<SpoolFile>> create_on_disk();
  [[nodiscard]] Result<std::shared_ptr<SpoolFile>> create_in_memory();

  [[nodiscard]] std::uint64_t disk_bytes() const { return disk_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  friend class SpoolFile;
  [[nodiscard]] bool reserve(bool in_memory, std::uint64_t bytes);
  void release(bool in_memory, std::uint64_t bytes);

  const std::string directory_;
  const Limits limits_;
  Discard discard_;
  std::atomic<std::uint64_t> next_name_{0};
  std::atomic<std::uint64_t> disk_bytes_{0};
  std::atomic<std::uint64_t> memory_bytes_{0};
  std::atomic<std::uint64_t> failures_{0};
};

// Writes all of `bytes` at `offset`; a short write is carried on.
[[nodiscard]] Result<> write_at(int fd, ByteView bytes, std::uint64_t offset);
// Reads exactly out.size() bytes at `offset`; the end of the file before that is StoreError::damaged.
[[nodiscard]] Result<> read_at(int fd, std::span<std::byte> out, std::uint64_t offset);

}  // namespace reef::proxy
