#include "dnsd/cookie.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/crypto.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kClientBytes = 8;
constexpr std::int32_t kAgeMax = 3600;  // RFC 9018 §4.3
constexpr std::int32_t kFutureMax = 300;

std::uint64_t little_endian(ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

struct SipState {
  std::uint64_t v0, v1, v2, v3;
  void rounds(int count) {
    for (; count > 0; --count) {
      v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
      v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
      v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t siphash24(const CookieSecret& key, ByteView data) {
  const std::uint64_t k0 = little_endian(ByteView(key).first(8));
  const std::uint64_t k1 = little_endian(ByteView(key).last(8));
  SipState state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                 k1 ^ 0x7465646279746573};
  const std::uint64_t length = data.size();
  for (; data.size() >= 8; data = data.subspan(8)) state.take(little_endian(data.first(8)));
  state.take(length << 56 | little_endian(data));
  state.v2 ^= 0xff;
  state.rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

Cookie make_cookie(const CookieSecret& secret, ByteView client_part, const IpAddress& client,
                   std::uint32_t wall_seconds) {
  BASE_CHECK(client_part.size() == kClientBytes);
  // Hash = SipHash-2-4(client cookie | version | reserved | timestamp | client IP).
  std::array<std::byte, 32> input;
  ByteWriter writer(input);
  writer.bytes(client_part);
  writer.u32(0x01000000);
  writer.u32(wall_seconds);
  const std::size_t head = writer.size();
  writer.bytes(std::as_bytes(std::span(client.bytes())).subspan(client.is_v4() ? 12 : 0));
  const std::uint64_t hash = siphash24(secret, writer.written());
  Cookie cookie;
  std::copy_n(input.begin(), head, cookie.begin());
  for (std::size_t i = 0; i < 8; ++i) cookie[head + i] = static_cast<std::byte>(hash >> (8 * i));
  return cookie;
}

bool is_valid_cookie(const CookieSecret& secret, ByteView cookie, const IpAddress& client,
                     std::uint32_t wall_seconds) {
  if (cookie.size() != std::tuple_size_v<Cookie>) return false;
  ByteReader reader(cookie.subspan(kClientBytes));
  if (reader.u32() != 0x01000000) return false;
  const std::uint32_t made_at = reader.u32();
  const auto age = static_cast<std::int32_t>(wall_seconds - made_at);  // RFC 1982 arithmetic
  if (age > kAgeMax || age < -kFutureMax) return false;
  return constant_time_equal(cookie, make_cookie(secret, cookie.first(kClientBytes), client, made_at));
}

}  // namespace reef::dnsd
