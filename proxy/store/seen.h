// What was asked for once lately and not kept: fingerprints in sets of eight, the oldest of a set forgotten
// first. Fixed size, no upkeep, 4 bytes each. A wrong yes (about one in 2^29) only keeps what need not be.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "proxy/store/url_hash.h"

namespace reef::proxy {

// Belongs to one thread.
class Seen {
 public:
  // Remembers at least `entries`, rounded up to a power of two; 0: nothing, and takes no memory.
  explicit Seen(std::size_t entries)
      : sets_(entries == 0 ? 0 : std::bit_ceil((entries + kWays - 1) / kWays)) {}

  void add(const UrlHash& hash) {
    if (sets_.empty()) return;
    Set& set = set_of(hash);
    std::move_backward(set.begin(), set.end() - 1, set.end());
    set.front() = fingerprint(hash);
  }
  // Whether it is there; it no longer is then.
  [[nodiscard]] bool take(const UrlHash& hash) {
    if (sets_.empty()) return false;
    Set& set = set_of(hash);
    const auto found = std::find(set.begin(), set.end(), fingerprint(hash));
    if (found == set.end()) return false;
    *found = 0;
    return true;
  }

 private:
  static constexpr std::size_t kWays = 8;
  using Set = std::array<std::uint32_t, kWays>;  // newest first; 0: empty
  [[nodiscard]] Set& set_of(const UrlHash& hash) { return sets_[hash.low & (sets_.size() - 1)]; }
  [[nodiscard]] static std::uint32_t fingerprint(const UrlHash& hash) {
    return static_cast<std::uint32_t>(hash.high) | 1;
  }
  std::vector<Set> sets_;
};

}  // namespace reef::proxy
