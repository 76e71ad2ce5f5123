// The record of an object's head, as it is on disk, and the check of its body. Pure.
//
//   u32 magic "RfH3" | u32 length of all that follows | u64 XXH3 of all that follows
//   u32 policy version | 64 bytes CachePolicy | u16 status | u64 body_bytes | u8 kind and 32 bytes body check
//   u32 + url | u32 + fields | u32 + etag | u32 + last_modified | u32 + reason
//
// Integers are big-endian; the policy is copied as it lies in memory (a data directory stays on its machine;
// the policy has a version of its own).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "proxy/store/object.h"

namespace reef::proxy {

// Bounds of what a record may hold; the HTTP side refuses such heads long before.
inline constexpr std::size_t kRecordBytesMax = 1u << 20;

// What is compared when a body comes back from the disk. Nobody promises the disk's bytes to anybody, so
// where the body is in memory anyhow a checksum does: XXH3-128 is some twenty times as fast as SHA-256.
struct BodyCheck {
  enum class Kind : std::uint8_t { xxh3 = 1, sha256 = 2 };
  Kind kind = Kind::xxh3;
  std::array<std::byte, 32> value{};  // xxh3: sixteen bytes, and zeros
  bool operator==(const BodyCheck&) const = default;

  // Of a complete body: sha256 where it is in a file and its digest therefore known, xxh3 where it is one
  // block of memory.
  [[nodiscard]] static BodyCheck of(const Body& body);
  [[nodiscard]] bool agrees(ByteView body) const;
  [[nodiscard]] bool agrees(const Body& body) const;
};

struct StoredHead {
  ObjectHead head;
  BodyCheck check;
};

// Error: StoreError::too_large.
[[nodiscard]] Result<Bytes> encode_head(const ObjectHead& head, const BodyCheck& check);

// Any input. Error: StoreError::damaged (length, checksum, version or layout do not agree).
[[nodiscard]] Result<StoredHead> decode_head(ByteView record);

}  // namespace reef::proxy
