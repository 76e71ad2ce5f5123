#include "dnsd/cookie.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>

using namespace reef;
using namespace reef::dnsd;

namespace {
Bytes hex(std::string_view text) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}
CookieSecret secret_of(std::string_view text) {
  CookieSecret secret;
  std::ranges::copy(hex(text), secret.begin());
  return secret;
}
}  // namespace

TEST_CASE("a server cookie is the one of RFC 9018, appendix A.1") {
  const CookieSecret secret = secret_of("e5e973e5a6b2a43f48e7dc849e37bfcf");
  const IpAddress client = IpAddress::v4(198, 51, 100, 100);
  const Cookie cookie = make_cookie(secret, hex("2464c4abcf10c957"), client, 0x5cf79f11);
  CHECK(Bytes(cookie.begin(), cookie.end()) == hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
}

TEST_CASE("a cookie is valid for its client and its hour only") {
  const CookieSecret secret = secret_of("000102030405060708090a0b0c0d0e0f");
  const IpAddress client = *IpAddress::parse("2001:db8::1");
  const Cookie cookie = make_cookie(secret, hex("0102030405060708"), client, 1000000);
  CHECK(is_valid_cookie(secret, cookie, client, 1000000));
  CHECK(is_valid_cookie(secret, cookie, client, 1003600));
  CHECK_FALSE(is_valid_cookie(secret, cookie, client, 1003601));
  CHECK(is_valid_cookie(secret, cookie, client, 999700));
  CHECK_FALSE(is_valid_cookie(secret, cookie, client, 999699));
  CHECK_FALSE(is_valid_cookie(secret, cookie, *IpAddress::parse("2001:db8::2"), 1000000));
  CHECK_FALSE(is_valid_cookie(secret_of("ff0102030405060708090a0b0c0d0e0f"), cookie, client, 1000000));
  for (std::size_t i = 0; i < cookie.size(); ++i) {
    Cookie other = cookie;
    other[i] ^= std::byte{1};
    CHECK_FALSE(is_valid_cookie(secret, other, client, 1000000));
  }
  CHECK_FALSE(is_valid_cookie(secret, ByteView(cookie).first(8), client, 1000000));
}
