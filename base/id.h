// 160-bit identifiers of the XOR space: nodes, keys and clusters. Distinct types that cannot be mixed up, one
// implementation. Byte 0 is the most significant; bit 0 is the most significant bit of byte 0.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace reef {

inline constexpr std::size_t kIdBytes = 20;
inline constexpr int kIdBits = 160;

namespace detail {
using IdArray = std::array<std::uint8_t, kIdBytes>;

// Ids are compared, and distances formed, millions of times a second: by machine words.
template <class Word>
[[nodiscard]] inline Word id_word(const IdArray& bytes, std::size_t offset) {
  Word word;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}
// The first 64 bits, ordered as the whole is.
[[nodiscard]] inline std::uint64_t leading_word(const IdArray& bytes) {
  return big_endian(id_word<std::uint64_t>(bytes, 0));
}
[[nodiscard]] inline bool ids_equal(const IdArray& a, const IdArray& b) {
  return ((id_word<std::uint64_t>(a, 0) ^ id_word<std::uint64_t>(b, 0)) |
          (id_word<std::uint64_t>(a, 8) ^ id_word<std::uint64_t>(b, 8)) |
          (id_word<std::uint32_t>(a, 16) ^ id_word<std::uint32_t>(b, 16))) == 0;
}
[[nodiscard]] inline std::strong_ordering compare_ids(const IdArray& a, const IdArray& b) {
  // The last word overlaps the one before it, which is equal by then.
  for (const std::size_t offset : {0, 8, 12}) {
    const auto x = id_word<std::uint64_t>(a, offset);
    const auto y = id_word<std::uint64_t>(b, offset);
    if (x != y) return big_endian(x) <=> big_endian(y);
  }
  return std::strong_ordering::equal;
}
[[nodiscard]] inline IdArray xor_ids(const IdArray& a, const IdArray& b) {
  IdArray out;
  const std::uint64_t first = id_word<std::uint64_t>(a, 0) ^ id_word<std::uint64_t>(b, 0);
  const std::uint64_t second = id_word<std::uint64_t>(a, 8) ^ id_word<std::uint64_t>(b, 8);
  const std::uint32_t third = id_word<std::uint32_t>(a, 16) ^ id_word<std::uint32_t>(b, 16);
  std::memcpy(out.data(), &first, sizeof first);
  std::memcpy(out.data() + 8, &second, sizeof second);
  std::memcpy(out.data() + 16, &third, sizeof third);
  return out;
}
}  // namespace detail

// XOR of two ids, ordered as an unsigned 160-bit integer (Kademlia 2002, §2.1).
struct Distance {
  detail::IdArray bytes{};
  bool operator==(const Distance& other) const { return detail::ids_equal(bytes, other.bytes); }
  auto operator<=>(const Distance& other) const { return detail::compare_ids(bytes, other.bytes); }
  // Leading zero bits, 0..160: the length of the prefix that the two ids share.
  [[nodiscard]] int leading_zeros() const;
  // The first 64 bits, ordered as the whole is.
  [[nodiscard]] std::uint64_t leading_word() const { return detail::leading_word(bytes); }
};

template <class Tag>
struct Id {
  detail::IdArray bytes{};

  bool operator==(const Id& other) const { return detail::ids_equal(bytes, other.bytes); }
  auto operator<=>(const Id& other) const { return detail::compare_ids(bytes, other.bytes); }
  [[nodiscard]] bool is_zero() const { return *this == Id{}; }
  // The first 64 bits, ordered as the whole is.
  [[nodiscard]] std::uint64_t leading_word() const { return detail::leading_word(bytes); }
  [[nodiscard]] bool bit(int index) const { return (bytes[index / 8] >> (7 - index % 8)) & 1; }
  void set_bit(int index, bool value) {
    const auto mask = static_cast<std::uint8_t>(1u << (7 - index % 8));
    bytes[index / 8] = static_cast<std::uint8_t>(value ? bytes[index / 8] | mask : bytes[index / 8] & ~mask);
  }
  // The same bits under another name, where the space is shared (a node's place is compared with a key's).
  template <class Other>
  [[nodiscard]] Other as() const {
    return Other{bytes};
  }
};

using NodeId = Id<struct NodeTag>;        // SHA-256(Ed25519 public key)[0:20]
using Key = Id<struct KeyTag>;            // HMAC-SHA-256(network key, domain | name)[0:20]
using ClusterId = Id<struct ClusterTag>;  // zero: the global cluster of level 0

namespace detail {
std::string id_hex(std::span<const std::uint8_t, kIdBytes> bytes);
Result<std::array<std::uint8_t, kIdBytes>> parse_id_hex(std::string_view text);
}  // namespace detail

template <class A, class B>
[[nodiscard]] Distance distance(const Id<A>& a, const Id<B>& b) {
  return {detail::xor_ids(a.bytes, b.bytes)};
}

// 40 lower-case hex digits.
template <class Tag>
[[nodiscard]] std::string to_string(const Id<Tag>& id) {
  return detail::id_hex(id.bytes);
}

// Exactly 40 hex digits, either case.
template <class IdType>
[[nodiscard]] Result<IdType> parse_id(std::string_view text) {
  return detail::parse_id_hex(text).map([](const auto& bytes) { return IdType{bytes}; });
}

}  // namespace reef

template <class Tag>
struct std::hash<reef::Id<Tag>> {
  // Ids are digests: their leading bytes are already uniform. Tables that strangers can fill with ids of
  // their choice must hash with a secret instead.
  std::size_t operator()(const reef::Id<Tag>& id) const noexcept {
    std::size_t value = 0;
    static_assert(sizeof(value) <= reef::kIdBytes);
    for (std::size_t i = 0; i < sizeof(value); ++i) value = value << 8 | id.bytes[i];
    return value;
  }
};
