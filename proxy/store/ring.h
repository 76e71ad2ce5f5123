// Small objects on disk: one file that is written from its beginning to its end, and then anew.
//
// Records lie one behind the other as they came, so a batch of objects is one write of one run of bytes, and
// what is written again is what is oldest. Which runs are in use is the index's to know: it gives up what
// lies ahead of the cursor, commits that, and only then is it written over. A reader that was told of a
// record before that may read what came after it, and finds that its checks do not agree.
//
// Reading: any thread of the pool. All else: the store's writer only.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/io/fd.h"
#include "base/result.h"

namespace reef::proxy {

class Ring {
 public:
  // Opens or makes the file; `bytes` is where it begins anew. It may differ from start to start.
  [[nodiscard]] Result<> open(const std::string& path, std::uint64_t bytes);

  // The next record comes here; `oldest`: where the oldest one is that is in use, if any is.
  void start_at(std::uint64_t cursor, std::optional<std::uint64_t> oldest);
  void set_oldest(std::optional<std::uint64_t> oldest);

  // Longer records are not taken.
  [[nodiscard]] std::uint64_t record_bytes_max() const { return bytes_ / 8; }
  // A batch should not have more, so that it does not need the half of what is kept to make room.
  [[nodiscard]] std::uint64_t batch_bytes_max() const { return bytes_ / 4; }
  // What can be written without touching a record in use. Less what is skipped at the end, where a record
  // would be cut: at most the longest record.
  [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes(oldest_); }
  [[nodiscard]] std::uint64_t free_bytes(std::optional<std::uint64_t> oldest) const;
  // Less than a sixteenth is free.
  [[nodiscard]] bool is_crowded() const { return free_bytes() < bytes_ / 16; }
  // So much is to be free beyond what a batch needs, once room is made.
  [[nodiscard]] std::uint64_t spare_bytes() const { return bytes_ / 32; }
  // Of the file.
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  // Takes a record of two parts, which stay valid until write(). Returns where it will be. The caller has
  // seen to the room.
  [[nodiscard]] std::uint64_t append(ByteView head, ByteView body);
  // What was appended is not written after all; its place stays empty.
  void discard() { parts_.clear(); }
  // Writes what was appended. On an error none of it is to be read.
  [[nodiscard]] Result<> write();

  // StoreError::damaged behind the end of the file.
  [[nodiscard]] Result<> read(std::uint64_t at, std::span<std::byte> out) const;

 private:
  [[nodiscard]] Result<> write_run(std::size_t first, std::size_t end, std::uint64_t at);

  Fd file_;
  std::uint64_t bytes_ = 0, cursor_ = 0, file_bytes_ = 0;
  std::optional<std::uint64_t> oldest_;
  bool has_wrapped_ = false;   // the oldest record lies ahead of the cursor
  std::vector<iovec> parts_;   // of what was appended
  std::size_t wrap_part_ = 0;  // those from here on begin at the beginning of the file
  std::uint64_t run_at_ = 0;   // where those before it begin
};

}  // namespace reef::proxy
