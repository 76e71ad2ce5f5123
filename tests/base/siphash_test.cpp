#include "base/siphash.h"

#include <doctest/doctest.h>

using namespace reef;

TEST_CASE("SipHash-2-4 gives the values of its paper (appendix A)") {
  SipKey key;
  Bytes input;
  for (int i = 0; i < 16; ++i) key[static_cast<std::size_t>(i)] = static_cast<std::byte>(i);
  CHECK(siphash(key, input) == 0x726fdb47dd0e0e31);
  for (int i = 0; i < 15; ++i) input.push_back(static_cast<std::byte>(i));
  CHECK(siphash(key, input) == 0xa129ca6149be45e5);
  key[3] = std::byte{0xff};
  CHECK(siphash(key, input) != 0xa129ca6149be45e5);
}
