#include "proxy/store/presence.h"

#include <algorithm>

namespace reef::proxy {

Presence::Presence(std::size_t keys_expected)
    : lines_(std::max<std::size_t>(keys_expected / 4, 16)),  // 16 counters of one byte per key
      counters_(std::make_unique<std::atomic<std::uint8_t>[]>(lines_ * kLineCounters)) {}

template <class Visit>
void Presence::visit_counters(const UrlHash& hash, Visit&& visit) const {
  const std::size_t line = static_cast<std::size_t>(hash.low % lines_) * kLineCounters;
  std::uint64_t bits = hash.high;
  for (int i = 0; i < kCountersPerKey; ++i, bits >>= 6) visit(counters_[line + (bits & (kLineCounters - 1))]);
}

void Presence::add(const UrlHash& hash) {
  visit_counters(hash, [](std::atomic<std::uint8_t>& counter) {
    std::uint8_t value = counter.load(std::memory_order_relaxed);
    while (value != kStuck && !counter.compare_exchange_weak(value, static_cast<std::uint8_t>(value + 1),
                                                             std::memory_order_relaxed)) {
    }
  });
}

void Presence::subtract(const UrlHash& hash) {
  visit_counters(hash, [](std::atomic<std::uint8_t>& counter) {
    std::uint8_t value = counter.load(std::memory_order_relaxed);
    while (value != kStuck && value != 0 &&
           !counter.compare_exchange_weak(value, static_cast<std::uint8_t>(value - 1),
                                          std::memory_order_relaxed)) {
    }
  });
}

bool Presence::may_contain(const UrlHash& hash) const {
  bool all = true;
  visit_counters(hash, [&all](const std::atomic<std::uint8_t>& counter) {
    all = all && counter.load(std::memory_order_relaxed) != 0;
  });
  return all;
}

}  // namespace reef::proxy
