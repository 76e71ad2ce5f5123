// The bytes of one response, readable while they still arrive.
//
// One writer (a BodyWriter) appends; any number of readers on any thread see a prefix that only grows and
// never changes. A reader looks at progress(), then asks for pieces below progress().bytes:
//
//        arriving ──finish()──► complete            every byte is there, length and digest agreed
//            └──────abort()───► broken              no more will come; what is there must not pass as a whole
//            body
//
// Where the bytes are: bodies up to Options::ram_object_bytes_max are in memory (one block when the length
// was announced, else blocks of doubling size that are compacted when the body is complete); longer ones are
// in a file, so that neither a large object nor a slow reader holds memory. A Body tells nobody that it grew:
// the fill's owner wakes its readers by message.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"

namespace reef::proxy {

class SpoolFile;

enum class BodyState : std::uint8_t { arriving, complete, broken };

struct Progress {
  std::uint64_t bytes = 0;  // readable so far; final once the state is not `arriving`
  BodyState state = BodyState::arriving;
};

// A run of body bytes: either `memory`, or `size` bytes of file `fd` from `offset` (for sendfile or pread;
// the descriptor's own position is meaningless and shared). Both are valid while the Body lives.
struct Piece {
  ByteView memory;  // empty when the bytes are in a file
  int fd = -1;      // borrowed; -1 when the bytes are in memory
  std::uint64_t offset = 0;
  std::size_t size = 0;
  // The file's pages may have left the page cache (the body was loaded from disk, not just received): a
  // reader that must not wait reads it through the disk pool.
  bool may_be_cold = false;
  [[nodiscard]] bool in_memory() const { return fd < 0; }
};

class Body {
 public:
  // A complete body in one block of memory, which it copies.
  [[nodiscard]] static std::shared_ptr<const Body> of(ByteView bytes);
  // A complete body that is the first `bytes` of a file, whose digest is known.
  [[nodiscard]] static std::shared_ptr<const Body> of_file(std::shared_ptr<SpoolFile> file,
                                                           std::uint64_t bytes, const Sha256Digest& digest,
                                                           bool may_be_cold);
  ~Body();
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  // Lock-free, any thread.
  [[nodiscard]] Progress progress() const;
  // The bytes from `offset` that lie together, at most `max`; empty (size 0) when `offset` is not below
  // progress().bytes. Any thread.
  [[nodiscard]] Piece piece(std::uint64_t offset, std::size_t max) const;
  // All of a complete body that is one block of memory: what a hit writes with one writev. Empty otherwise.
  [[nodiscard]] ByteView block() const;
  // SHA-256 of a complete body. One in memory is digested by the first who asks (peers do, of few objects):
  // 1 MiB takes about half a millisecond. Not of a window. Any thread.
  [[nodiscard]] const Sha256Digest& digest() const;
  // The length that was announced (Content-Length), or nullopt.
  [[nodiscard]] std::optional<std::uint64_t> expected_bytes() const { return expected_bytes_; }
  // Only its latest bytes are there, in a ring that the writer fills as its one reader, on the writer's own
  // loop, says with release() that those before `offset` are not read again.
  [[nodiscard]] bool is_window() const { return window_bytes_ > 0; }
  void release(std::uint64_t offset) const { released_ = std::max(released_, offset); }
  // Memory that this body holds, for the RAM tier's budget. The bytes of a file on disk do not count.
  [[nodiscard]] std::size_t ram_bytes() const;
  // It was asked for again: by whoever serves it from memory, for whoever decides what is worth the disk.
  // Any thread.
  void note_reuse() const {
    if (!was_reused()) reused_.store(true, std::memory_order_relaxed);  // no cache line is written in vain
  }
  [[nodiscard]] bool was_reused() const { return reused_.load(std::memory_order_relaxed); }
  // The file that holds the whole of it, or null.
  [[nodiscard]] const std::shared_ptr<SpoolFile>& file() const { return file_; }

 private:
  friend class BodyWriter;

  // Block i of a body without announced length holds kFirstBlockBytes << i bytes from kFirstBlockBytes * (2^i
  // - 1): an offset finds its block by its highest bit, and the table never moves under a reader.
  static constexpr std::size_t kFirstBlockBytes = 4096;
  static constexpr std::size_t kBlocksMax = 20;  // 4 GiB: above any sensible ram_object_bytes_max
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  Body() = default;
  struct Place {
    std::size_t block;
    std::size_t offset;  // within the block
    std::size_t room;    // from there to the block's end
  };
  [[nodiscard]] Place place(std::uint64_t offset) const;
  void publish(std::uint64_t bytes, BodyState state);
  void set_digest(const Sha256Digest& digest) const;

  std::optional<std::uint64_t> expected_bytes_;
  mutable std::atomic<bool> reused_{false};
  bool single_block_ = false;  // blocks_[0] holds all of it (announced length, or compacted)
  bool may_be_cold_ = false;
  std::size_t block_bytes_ = 0;         // size of the single block
  std::size_t window_bytes_ = 0;        // of the ring in blocks_[0]; 0: no window
  mutable std::uint64_t released_ = 0;  // of a window
  std::array<std::unique_ptr<std::byte[]>, kBlocksMax> blocks_;
  std::atomic<std::size_t> ram_bytes_{0};

  // Offsets from file_from_ on are in file_, from overflow_from_ on in overflow_ (memory that stands in for a
  // disk that is full). Each is written before the first size that needs it is published.
  std::shared_ptr<SpoolFile> file_;
  std::atomic<std::uint64_t> file_from_{kNever};
  std::shared_ptr<SpoolFile> overflow_;
  std::atomic<std::uint64_t> overflow_from_{kNever};

  // bytes << 2 | state, in one word: published with release after the bytes, read with acquire before them.
  std::atomic<std::uint64_t> progress_{0};

  mutable std::once_flag digested_;
  mutable Sha256Digest digest_{};
};

}  // namespace reef::proxy
