#include "proxy/store/record.h"

#include <xxhash.h>

#include <cstring>

#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

constexpr std::uint32_t kMagic = 0x52664833;  // "RfH3"
constexpr std::size_t kPrefixBytes = 16;
constexpr std::size_t kFixedBytes = 4 + sizeof(rules::CachePolicy) + 2 + 8 + 1 + 32;
constexpr int kStatusMin = 100, kStatusMax = 999;

void put_text(ByteWriter& out, const std::string& text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.bytes(as_bytes(text));
}

std::string take_text(ByteReader& in) {
  const std::uint32_t size = in.u32();
  return std::string(as_text(in.bytes(size)));
}

Error damaged(const char* what) { return store_error(StoreError::damaged, what); }

BodyCheck checksum(ByteView body) {
  const XXH128_hash_t hash = XXH3_128bits(body.data(), body.size());
  BodyCheck check{.kind = BodyCheck::Kind::xxh3};
  ByteWriter out(check.value);
  out.u64(hash.high64);
  out.u64(hash.low64);
  return check;
}

}  // namespace

BodyCheck BodyCheck::of(const Body& body) {
  return body.file() ? BodyCheck{.kind = Kind::sha256, .value = body.digest()} : checksum(body.block());
}

bool BodyCheck::agrees(ByteView body) const {
  return kind == Kind::sha256 ? sha256(body) == value : checksum(body) == *this;
}

bool BodyCheck::agrees(const Body& body) const {
  return kind == Kind::sha256 ? body.digest() == value : !body.file() && agrees(body.block());
}

Result<Bytes> encode_head(const ObjectHead& head, const BodyCheck& check) {
  const std::size_t size = kPrefixBytes + kFixedBytes + 5 * 4 + head.url.size() + head.fields.size() +
                           head.etag.size() + head.last_modified.size() + head.reason.size();
  if (size > kRecordBytesMax) return fail(store_error(StoreError::too_large, "head"));
  Bytes record(size);
  ByteWriter out(std::span<std::byte>(record).subspan(kPrefixBytes));
  out.u32(rules::CachePolicy::kVersion);
  out.bytes(std::as_bytes(std::span(&head.policy, 1)));
  out.u16(static_cast<std::uint16_t>(head.status));
  out.u64(head.body_bytes);
  out.u8(static_cast<std::uint8_t>(check.kind));
  out.bytes(check.value);
  put_text(out, head.url);
  put_text(out, head.fields);
  put_text(out, head.etag);
  put_text(out, head.last_modified);
  put_text(out, head.reason);
  const ByteView content = out.written();
  ByteWriter prefix(std::span<std::byte>(record).first(kPrefixBytes));
  prefix.u32(kMagic);
  prefix.u32(static_cast<std::uint32_t>(content.size()));
  prefix.u64(XXH3_64bits(content.data(), content.size()));
  return record;
}

Result<StoredHead> decode_head(ByteView record) {
  ByteReader in(record);
  const std::uint32_t magic = in.u32();
  const std::uint32_t length = in.u32();
  const std::uint64_t checksum = in.u64();
  if (!in.ok() || magic != kMagic || length != in.remaining()) return fail(damaged("head length"));
  const ByteView content = record.subspan(kPrefixBytes);
  if (checksum != XXH3_64bits(content.data(), content.size())) return fail(damaged("head checksum"));
  if (in.u32() != rules::CachePolicy::kVersion) return fail(damaged("policy version"));
  StoredHead stored;
  ObjectHead& head = stored.head;
  in.copy_to(std::as_writable_bytes(std::span(&head.policy, 1)));
  head.status = in.u16();
  head.body_bytes = in.u64();
  stored.check.kind = static_cast<BodyCheck::Kind>(in.u8());
  in.copy_to(stored.check.value);
  head.url = take_text(in);
  head.fields = take_text(in);
  head.etag = take_text(in);
  head.last_modified = take_text(in);
  head.reason = take_text(in);
  if (!in.at_end() || head.status < kStatusMin || head.status > kStatusMax)
    return fail(damaged("head layout"));
  if (stored.check.kind != BodyCheck::Kind::xxh3 && stored.check.kind != BodyCheck::Kind::sha256)
    return fail(damaged("kind of check"));
  return stored;
}

}  // namespace reef::proxy
