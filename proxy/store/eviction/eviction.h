// Which object leaves the memory tier when another needs its room: the order, by one of several policies.
//
//   s3-fifo  Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction (SOSP 2023)
//   sieve    Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU (NSDI 2024)
//   lru      least recently used first
//   lfu      least frequently used first, with dynamic aging (LFUDA: Arlitt, Cherkasova, Dilley, Friedrich,
//   Jin:
//            Evaluating content management techniques for Web proxy caches, 2000)
//
// A policy orders the entries of one tier, which it borrows, by their numbers. It owns their fields `older`
// to `queue`, reads `hash` and `cost`, and never looks at the objects. Belongs to the tier's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/store/object.h"
#include "proxy/store/url_hash.h"

namespace reef::proxy {

using EntryNumber = std::uint32_t;
inline constexpr EntryNumber kNoEntry = 0xffffffff;

struct TierEntry {
  UrlHash hash;
  std::shared_ptr<const Object> object;  // null: the entry is free
  std::size_t cost = 0;                  // bytes
  EntryNumber older = kNoEntry;          // towards the end that is evicted next
  EntryNumber newer = kNoEntry;
  std::uint32_t uses = 0;
  std::uint8_t queue = 0;
};

class Eviction {
 public:
  // What an entry has earned, for the one that takes its place under the same URL.
  struct Standing {
    std::uint32_t uses = 0;
    std::uint8_t queue = 0;
  };
  // Hears of entries in use, now and then while they stay and when they are evicted.
  using OnInUse = std::function<void(EntryNumber)>;

  virtual ~Eviction() = default;
  // hash and cost are set. `was`: the standing of what this replaces.
  virtual void enter(EntryNumber number, const std::optional<Standing>& was) = 0;
  virtual Standing leave(EntryNumber number) = 0;
  // A hit; neither allocates nor locks.
  virtual void use(EntryNumber number) = 0;
  // Takes out whoever goes next. There is at least one entry.
  [[nodiscard]] virtual EntryNumber evict() = 0;
  // What costs more is not to be entered.
  [[nodiscard]] virtual std::size_t cost_max() const = 0;
};

enum class EvictionPolicy : std::uint8_t { s3_fifo, sieve, lru, lfu };
inline constexpr EvictionPolicy kEvictionPolicies[] = {EvictionPolicy::s3_fifo, EvictionPolicy::sieve,
                                                       EvictionPolicy::lru, EvictionPolicy::lfu};
// "s3-fifo", "sieve", "lru", "lfu".
[[nodiscard]] std::string_view to_text(EvictionPolicy policy);
[[nodiscard]] std::optional<EvictionPolicy> parse_eviction_policy(std::string_view text);

struct EvictionOptions {
  EvictionPolicy policy = EvictionPolicy::s3_fifo;
  std::size_t bytes_max = 0;  // of all entries
  std::size_t small_queue_percent =
      10;  // s3-fifo: share of the bytes for what was seen once (the paper's choice)
  std::size_t ghost_entries =
      65536;  // s3-fifo: fingerprints of those that left the small queue; 8 bytes each
};

// `entries` outlives it; `in_use` may be empty.
[[nodiscard]] std::unique_ptr<Eviction> make_eviction(const EvictionOptions& options,
                                                      std::vector<TierEntry>& entries,
                                                      Eviction::OnInUse in_use);

}  // namespace reef::proxy
