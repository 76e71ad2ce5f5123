// The record of an object's head, as it stands in the index. Pure.
//
//   u32 magic "RfH2" | u32 length of all that follows | u64 XXH3 of all that follows
//   u32 policy version | 64 bytes CachePolicy | u16 status | u64 body_bytes | 32 bytes body SHA-256
//   u32 + url | u32 + fields | u32 + etag | u32 + last_modified | u32 + reason
//
// Integers are big-endian; the policy is copied as it lies in memory (a data directory stays on its machine;
// the policy has a version of its own).
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "proxy/store/object.h"

namespace reef::proxy {

// Bounds of what a record may hold; the HTTP side refuses such heads long before.
inline constexpr std::size_t kRecordBytesMax = 1u << 20;

// Error: StoreError::too_large.
[[nodiscard]] Result<Bytes> encode_head(const ObjectHead& head);

// Any input. Error: StoreError::damaged (length, checksum, version or layout do not agree).
[[nodiscard]] Result<ObjectHead> decode_head(ByteView record);

}  // namespace reef::proxy
