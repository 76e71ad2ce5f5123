#include "dnsd/cookie.h"

#include <algorithm>

#include "base/check.h"
#include "base/crypto.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kClientBytes = 8;
constexpr std::int32_t kAgeMax = 3600;  // RFC 9018 §4.3
constexpr std::int32_t kFutureMax = 300;

}  // namespace

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
  const std::uint64_t hash = siphash(secret, writer.written());
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
