// The index on disk: which objects there are, their heads, their small bodies, and in which order they were
// used.
//
// One LMDB environment with five tables:
//
//   meta    "version", "secret"                                 the format, and the secret of UrlHasher
//   index   hash (16)                        -> IndexEntry (40) what a start reads, and nothing else
//   ages    class u8 | use u64               -> hash            the order of eviction, oldest first
//   heads   hash                             -> head record     record.h
//   bodies  hash                             -> body            bodies that have no file
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
  std::uint64_t file_bytes = 0;   // disk that its file takes; 0: the body is in the index
  std::uint32_t index_bytes = 0;  // what it takes of the index, estimated
  std::uint32_t last_use = 0;     // Unix seconds: when its place in the order of eviction was recorded
  std::uint64_t use = 0;          // that place; given by put() and touch()
  bool operator==(const IndexEntry&) const = default;
  [[nodiscard]] bool has_file() const { return file_bytes != 0; }
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
    Bytes head;
    Bytes body;  // empty when it is in a file
  };
  enum class Class : std::uint8_t { inline_body = 1, file_body = 2 };

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
  // What a head record of that size and an inline body take of the index.
  [[nodiscard]] static std::uint32_t charge(std::size_t head_bytes, std::size_t inline_body_bytes);

  // One write transaction. Destroying it without commit() undoes it. An error of any call makes the batch
  // useless.
  class Batch {
   public:
    // It becomes the most recently used. Returns what it replaced.
    [[nodiscard]] Result<std::optional<IndexEntry>> put(const UrlHash& hash, const IndexEntry& entry,
                                                        ByteView head, ByteView inline_body);
    // Returns what was there.
    [[nodiscard]] Result<std::optional<IndexEntry>> erase(const UrlHash& hash);
    [[nodiscard]] Result<std::optional<IndexEntry>> entry(const UrlHash& hash);
    [[nodiscard]] Result<Bytes> head(const UrlHash& hash);
    [[nodiscard]] Result<> replace_head(const UrlHash& hash, const IndexEntry& now, ByteView head);
    // Makes it the most recently used, if it is there and a use is due.
    [[nodiscard]] Result<> touch(const UrlHash& hash, std::uint32_t now, std::uint32_t granularity);
    // Erases the least recently used of a class. Returns nothing when there is none.
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
    [[nodiscard]] Result<> write_entry(const UrlHash& hash, IndexEntry entry);
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
  MDB_dbi meta_ = 0, index_ = 0, ages_ = 0, heads_ = 0, bodies_ = 0;
  UrlHasher::Secret secret_{};
  std::uint64_t next_use_ = 1;  // an undone batch leaves a gap, nothing else
};

}  // namespace reef::proxy
