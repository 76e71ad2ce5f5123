#include "proxy/store/seen.h"

#include <doctest/doctest.h>

using namespace reef::proxy;

namespace {

UrlHash hash_of(std::uint64_t number) { return {number * 0x9e3779b97f4a7c15ull, number << 1}; }

}  // namespace

TEST_CASE("what was seen is known once") {
  Seen seen(1024);
  CHECK_FALSE(seen.take(hash_of(1)));
  seen.add(hash_of(1));
  CHECK_FALSE(seen.take(hash_of(2)));
  CHECK(seen.take(hash_of(1)));
  CHECK_FALSE(seen.take(hash_of(1)));
}

TEST_CASE("the last ones are remembered, and not all") {
  Seen seen(1024);
  constexpr std::uint64_t kCount = 100'000;
  for (std::uint64_t i = 1; i <= kCount; ++i) seen.add(hash_of(i));
  int recent = 0, old = 0;
  for (std::uint64_t i = 0; i < 256; ++i) {
    recent += seen.take(hash_of(kCount - i)) ? 1 : 0;
    old += seen.take(hash_of(i + 1)) ? 1 : 0;
  }
  CHECK(recent > 240);
  CHECK(old == 0);
}

TEST_CASE("a memory of no entries knows nothing") {
  Seen seen(0);
  seen.add(hash_of(1));
  CHECK_FALSE(seen.take(hash_of(1)));
}
