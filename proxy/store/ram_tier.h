// The objects that one worker serves from memory. S3-FIFO (Yang et al., SOSP 2023), bounded by bytes.
//
// S3-FIFO rather than SIEVE: SIEVE is simpler still, but its authors note that it does not resist scans, and
// a crawler walking a site is a scan. Here what is asked for once passes through a small queue (a tenth of
// the memory) and leaves no trace but a fingerprint; only what was asked for again, before or soon after it
// left, enters the main queue. A hit sets a two-bit counter and moves nothing.
//
// Belongs to one thread. find() neither allocates nor locks nor touches a reference count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "proxy/store/object.h"

namespace reef::proxy {

struct RamTierOptions {
  std::size_t bytes_max = 128u << 20;    // bodies, heads and overhead, of this worker's tier
  std::size_t small_queue_percent = 10;  // share of the bytes for objects seen once (the paper's choice)
  std::size_t ghost_entries = 65536;     // fingerprints of those that left the small queue; 8 bytes each
  // What an object whose body is in a file is charged beside its head: it holds a descriptor, and this bounds
  // how many (bytes_max / file_body_cost).
  std::size_t file_body_cost = 64u << 10;
};

struct RamTierStats {  // written by the tier's thread, readable from any
  Counter hits, misses, inserted, evicted, refused /* too large for the tier */;
  Counter bytes, objects;  // gauges
};

class RamTier {
 public:
  // `used` (may be empty) hears of objects that were hit, now and then while they stay and when they leave:
  // for Store::touch().
  explicit RamTier(RamTierOptions options, std::function<void(const UrlHash&)> used = {});
  RamTier(const RamTier&) = delete;
  RamTier& operator=(const RamTier&) = delete;

  // The object, or null. The pointer is valid until the next insert() or erase(); copy the shared_ptr to keep
  // it.
  [[nodiscard]] const std::shared_ptr<const Object>* find(const UrlHash& hash, std::string_view url);
  // Keeps `object` under its URL in place of what was there; evicts others to stay within bytes_max. An
  // object larger than the main queue's share is not kept.
  void insert(const UrlHash& hash, std::shared_ptr<const Object> object);
  // True if it was there. A hash is enough: should two URLs have the same, forgetting the other does no harm.
  bool erase(const UrlHash& hash);
  void clear();

  // Calls visit(hash, object) for each, in no order; for listings.
  void for_each(const std::function<void(const UrlHash&, const Object&)>& visit) const;

  [[nodiscard]] const RamTierStats& stats() const { return stats_; }
  // What keeping `object` is charged.
  [[nodiscard]] std::size_t cost(const Object& object) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  enum class Queue : std::uint8_t { none, small, main };

  struct Entry {
    UrlHash hash;
    std::shared_ptr<const Object> object;
    std::size_t cost = 0;
    std::uint32_t older = kNone;  // towards the end that is evicted next
    std::uint32_t newer = kNone;
    Queue queue = Queue::none;
    std::uint8_t uses = 0;  // 0..3 since it entered its queue or was last passed over
  };
  struct Fifo {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
    std::size_t bytes = 0;
    std::size_t entries = 0;
  };
  // Who left the small queue lately: sets of four, each a fingerprint and when it came.
  struct Ghost {
    std::uint32_t fingerprint = 0;
    std::uint32_t when = 0;
  };

  [[nodiscard]] std::uint32_t slot_of(const UrlHash& hash, std::string_view url) const;
  [[nodiscard]] Fifo& fifo(Queue queue) { return queue == Queue::small ? small_ : main_; }
  void push(std::uint32_t entry, Queue queue);
  void unlink(std::uint32_t entry);
  void drop(std::uint32_t slot);
  void index_entry(std::uint32_t entry);
  void grow_table();
  void make_room(std::size_t cost);
  void evict_from_small();
  void evict_from_main();
  void evict(std::uint32_t entry);
  void remember_ghost(const UrlHash& hash);
  [[nodiscard]] bool take_ghost(const UrlHash& hash);
  void publish_gauges();

  const RamTierOptions options_;
  const std::function<void(const UrlHash&)> used_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_entries_;
  std::vector<std::uint32_t> table_;  // open addressing by hash.low, linear probing; indices into entries_
  std::size_t used_slots_ = 0;
  Fifo small_, main_;
  std::vector<Ghost> ghosts_;
  std::uint32_t ghost_clock_ = 0;
  RamTierStats stats_;
};

}  // namespace reef::proxy
