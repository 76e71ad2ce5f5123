#include "proxy/store/record.h"

#include <xxhash.h>

#include <cstring>

#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

constexpr std::uint32_t kMagic = 0x52664832;  // "RfH2"
constexpr std::size_t kPrefixBytes = 16;
constexpr std::size_t kFixedBytes = 4 + sizeof(rules::CachePolicy) + 2 + 8 + 32;
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

}  // namespace

Result<Bytes> encode_head(const ObjectHead& head) {
  const std::size_t size = kPrefixBytes + kFixedBytes + 5 * 4 + head.url.size() + head.fields.size() +
                           head.etag.size() + head.last_modified.size() + head.reason.size();
  if (size > kRecordBytesMax) return fail(store_error(StoreError::too_large, "head"));
  Bytes record(size);
  ByteWriter out(std::span<std::byte>(record).subspan(kPrefixBytes));
  out.u32(rules::CachePolicy::kVersion);
  out.bytes(std::as_bytes(std::span(&head.policy, 1)));
  out.u16(static_cast<std::uint16_t>(head.status));
  out.u64(head.body_bytes);
  out.bytes(head.body_digest);
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

Result<ObjectHead> decode_head(ByteView record) {
  ByteReader in(record);
  const std::uint32_t magic = in.u32();
  const std::uint32_t length = in.u32();
  const std::uint64_t checksum = in.u64();
  if (!in.ok() || magic != kMagic || length != in.remaining()) return fail(damaged("head length"));
  const ByteView content = record.subspan(kPrefixBytes);
  if (checksum != XXH3_64bits(content.data(), content.size())) return fail(damaged("head checksum"));
  if (in.u32() != rules::CachePolicy::kVersion) return fail(damaged("policy version"));
  ObjectHead head;
  in.copy_to(std::as_writable_bytes(std::span(&head.policy, 1)));
  head.status = in.u16();
  head.body_bytes = in.u64();
  in.copy_to(head.body_digest);
  head.url = take_text(in);
  head.fields = take_text(in);
  head.etag = take_text(in);
  head.last_modified = take_text(in);
  head.reason = take_text(in);
  if (!in.at_end() || head.status < kStatusMin || head.status > kStatusMax)
    return fail(damaged("head layout"));
  return head;
}

}  // namespace reef::proxy
