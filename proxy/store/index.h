// The index on disk: which objects there are, where, and in which order they go.
//
// One LMDB environment with four tables:
//
//   meta    "version", "secret"                                 the format, and the secret of UrlHasher
//   index   hash (16)                        -> IndexEntry (60) what a start reads, and nothing else
//   ages    class u8 | use u64               -> hash            the order of eviction, oldest first
//   heads   hash                             -> head record     record.h; of those whose body has a file
//
// The others, head and body, are in the ring (ring.h), in the order that `ages` has: a use does not move
// them.
//
// Uses are counted, not timed: one number for each put() and each recorded use, going on after a restart. A
// clock cannot give this order: within its resolution what was just written would be as old as everything
// else of that moment, and a clock that is set back would make it the oldest.
//
// Reading and writing may wait for the disk: pool threads only. Any number of readers, one Batch at a time.
// What is returned is copied; nothing points into the map.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "proxy/store/lmdb.h"
#include "proxy/store/url_hash.h"

namespace reef::proxy {

// Names one stored body for ever: `boot` is random per start of the node, `serial` counts within it.
struct StoredId {
  std::uint64_t boot = 0;
  std::uint64_t serial = 0;
  auto operator<=>(const StoredId&) const = default;  // NOLINT: clang-tidy 14 takes the 0 in it for a pointer
};

struct IndexEntry {
  StoredId id;
  std::uint64_t file_bytes = 0;   // disk that its file takes; 0: it is in the ring
  std::uint32_t index_bytes = 0;  // what it takes of the index, estimated
  std::uint32_t last_use = 0;     // Unix seconds: when its last use was recorded
  std::uint64_t use = 0;          // its place in the order of eviction; given by put(), touch() and move()
  // In the ring: where its record is, how long head and body are, and when it was written (Unix seconds).
  std::uint64_t at = 0;
  std::uint32_t head_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t written = 0;
  bool operator==(const IndexEntry&) const = default;
  [[nodiscard]] bool has_file() const { return file_bytes != 0; }
  [[nodiscard]] std::uint64_t ring_bytes() const { return std::uint64_t{head_bytes} + body_bytes; }
  // Whether a use at `now` is to be recorded, at most one in `granularity` seconds; also after a clock that
  // was set back.
  [[nodiscard]] bool is_use_due(std::uint32_t now, std::uint32_t granularity) const {
    return now < last_use || now - last_use >= granularity;
  }
};

class Index {
 public:
  struct Found {
    IndexEntry entry;
    Bytes head;  // empty when it is in the ring
  };
  enum class Class : std::uint8_t { in_ring = 1, in_file = 2 };

  // Opens or makes the index in `directory` (which exists). Whatever cannot be read as this format is removed
  // and made anew; `replaced` then says why. `map_bytes` bounds the index file.
  [[nodiscard]] static Result<std::unique_ptr<Index>> open(const std::string& directory,
                                                           std::size_t map_bytes, std::string& replaced);

  [[nodiscard]] const UrlHasher::Secret& secret() const { return secret_; }
  [[nodiscard]] Result<std::optional<Found>> get(const UrlHash& hash) const;
  // Every entry, in order of hash.
  [[nodiscard]] Result<> scan(const std::function<void(const UrlHash&, const IndexEntry&)>& visit) const;
  // Size of the index file: it grows and never shrinks, freed pages are used again.
  [[nodiscard]] std::uint64_t file_bytes() const;
  // More room in the map, for evictions that need it.
  [[nodiscard]] Result<> grow_map(std::size_t more_bytes);
  // What an object with a head record of that size in the index (0: in the ring) takes of it.
  [[nodiscard]] static std::uint32_t charge(std::size_t head_bytes);

  // One write transaction. Destroying it without commit() undoes it. An error of any call makes the batch
  // useless.
  class Batch {
   public:
    // It becomes the last to go. Returns what it replaced. `head`: empty where the ring has it.
    [[nodiscard]] Result<std::optional<IndexEntry>> put(const UrlHash& hash, const IndexEntry& entry,
                                                        ByteView head);
    // Returns what was there.
    [[nodiscard]] Result<std::optional<IndexEntry>> erase(const UrlHash& hash);
    [[nodiscard]] Result<std::optional<IndexEntry>> entry(const UrlHash& hash);
    [[nodiscard]] Result<Bytes> head(const UrlHash& hash);
    [[nodiscard]] Result<> replace_head(const UrlHash& hash, const IndexEntry& now, ByteView head);
    // Records a use, if it is there and one is due; what is in a file becomes the last to go.
    [[nodiscard]] Result<> touch(const UrlHash& hash, std::uint32_t now, std::uint32_t granularity);
    // Gives the first to go of the ring another place in it, as the last to go.
    [[nodiscard]] Result<> move(const UrlHash& hash, const IndexEntry& from, const IndexEntry& to);
    // The first or the last to go of a class, if there is any.
    struct Row {
      UrlHash hash;
      std::optional<IndexEntry> entry;  // nothing: a row without an object
    };
    [[nodiscard]] Result<std::optional<Row>> first(Class of);
    [[nodiscard]] Result<std::optional<Row>> last(Class of);
    // Erases the first to go of a class. Returns nothing when there is none.
    struct Evicted {
      UrlHash hash;
      std::optional<IndexEntry> entry;  // nothing: a row without an object, which is gone now
    };
    [[nodiscard]] Result<std::optional<Evicted>> evict_oldest(Class of);
    [[nodiscard]] Result<> commit();

   private:
    friend class Index;
    Batch(Index& index, TxnPtr txn) : index_(&index), txn_(std::move(txn)) {}
    [[nodiscard]] Result<> write(MDB_dbi table, ByteView key, ByteView value);
    [[nodiscard]] Result<> remove(MDB_dbi table, ByteView key);
    [[nodiscard]] Result<> remove_rows(ByteView key, const IndexEntry& entry);
    [[nodiscard]] Result<> write_entry(const UrlHash& hash, IndexEntry entry);
    [[nodiscard]] Result<std::optional<Row>> row_of(ByteView age, const MDB_val& hash, Class of);
    Index* index_;
    TxnPtr txn_;
  };
  [[nodiscard]] Result<Batch> begin();

 private:
  Index() = default;
  [[nodiscard]] Result<> open_environment(const std::string& directory, std::size_t map_bytes);
  [[nodiscard]] Result<> open_tables();
  [[nodiscard]] Result<> cover_map(const std::string& directory);
  [[nodiscard]] Result<> find_next_use(MDB_txn* txn);

  EnvPtr env_;
  mutable std::shared_mutex
      resizing_;  // shared by readers, held alone while the map is resized (LMDB demands it)
  std::size_t map_bytes_ = 0;
  MDB_dbi meta_ = 0, index_ = 0, ages_ = 0, heads_ = 0;
  UrlHasher::Secret secret_{};
  std::uint64_t next_use_ = 1;  // an undone batch leaves a gap, nothing else
};

}  // namespace reef::proxy
