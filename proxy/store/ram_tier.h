// The objects that one worker serves from memory, bounded by bytes. Who leaves when room is needed is decided
// by an eviction policy (proxy/store/eviction); docs/store.md says how the default was chosen.
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
#include "proxy/store/eviction/eviction.h"
#include "proxy/store/object.h"

namespace reef::proxy {

struct RamTierOptions {
  std::size_t bytes_max = 128u << 20;  // bodies, heads and overhead, of this worker's tier
  EvictionPolicy policy = EvictionPolicy::s3_fifo;
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
  // object for which the policy has no room (with s3-fifo nine tenths of the tier) is not kept.
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
  static constexpr std::uint32_t kNoSlot = 0xffffffff;

  [[nodiscard]] std::uint32_t slot_of(const UrlHash& hash, std::string_view url) const;
  [[nodiscard]] Eviction::Standing drop(std::uint32_t slot);
  void free_slot(std::uint32_t slot);
  void index_entry(EntryNumber number);
  void grow_table();
  void make_room(std::size_t cost);
  [[nodiscard]] std::unique_ptr<Eviction> fresh_eviction();
  void publish_gauges();

  const RamTierOptions options_;
  const std::function<void(const UrlHash&)> used_;
  std::vector<TierEntry> entries_;
  std::vector<EntryNumber> free_entries_;
  std::vector<std::uint32_t> table_;  // open addressing by hash.low, linear probing; indices into entries_
  std::size_t used_slots_ = 0;
  std::size_t bytes_ = 0;
  std::unique_ptr<Eviction> eviction_;
  RamTierStats stats_;
};

}  // namespace reef::proxy
