// The hash under which a URL is looked up everywhere in the proxy: RAM tiers, fills, the store's index.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/bytes.h"

namespace reef::proxy {

// 128 bits of keyed XXH3. Two URLs with one hash are not expected, and harmless: whoever finds an entry by
// hash compares the URL as well.
struct UrlHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const UrlHash&) const = default;
};

// Computes UrlHash, once per request. The secret keeps strangers from choosing URLs that collide (hash
// flooding). It lives as long as the data directory, because the index on disk is sorted by these hashes:
// never log it. Immutable: any thread.
class UrlHasher {
 public:
  static constexpr std::size_t kSecretBytes = 192;  // XXH3's own default size; it requires at least 136
  using Secret = std::array<std::byte, kSecretBytes>;

  explicit UrlHasher(const Secret& secret) : secret_(secret) {}
  static UrlHasher with_random_secret();

  [[nodiscard]] UrlHash operator()(std::string_view url) const;

 private:
  Secret secret_;
};

}  // namespace reef::proxy

template <>
struct std::hash<reef::proxy::UrlHash> {
  std::size_t operator()(const reef::proxy::UrlHash& key) const noexcept { return key.low; }
};
