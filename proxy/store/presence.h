// What is on disk, as a worker may ask without a lock and without the disk: a counting Bloom filter with
// atomic counters. A blocked one (Putze, Sanders, Singler 2007): the counters of a key lie in one cache line.
//
// It never says "absent" for what was added and not subtracted; it says "present" wrongly for about 1 % of
// absent keys at its nominal fill (16 counters per key), which costs one read in the disk pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "proxy/store/url_hash.h"

namespace reef::proxy {

class Presence {
 public:
  explicit Presence(std::size_t keys_expected);

  // Any thread. add() and subtract() of one key must balance.
  void add(const UrlHash& hash);
  void subtract(const UrlHash& hash);
  [[nodiscard]] bool may_contain(const UrlHash& hash) const;

 private:
  static constexpr std::size_t kLineCounters = 64;
  static constexpr int kCountersPerKey = 4;
  // A counter that got here stays: it can no longer be known when it would reach zero.
  static constexpr std::uint8_t kStuck = 255;

  template <class Visit>
  void visit_counters(const UrlHash& hash, Visit&& visit) const;

  std::size_t lines_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> counters_;
};

}  // namespace reef::proxy
