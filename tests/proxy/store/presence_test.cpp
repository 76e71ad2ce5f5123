#include "proxy/store/presence.h"

#include <thread>
#include <vector>

#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

UrlHash hash_of(const UrlHasher& hasher, int number) { return hasher(std::to_string(number)); }

TEST_CASE("the filter never denies what was added, and errs for few of the rest") {
  const UrlHasher hasher = UrlHasher::with_random_secret();
  Presence presence(20'000);
  for (int i = 0; i < 20'000; ++i) presence.add(hash_of(hasher, i));
  for (int i = 0; i < 20'000; ++i) REQUIRE(presence.may_contain(hash_of(hasher, i)));
  int wrong = 0;
  for (int i = 0; i < 20'000; ++i) wrong += presence.may_contain(hash_of(hasher, 1'000'000 + i)) ? 1 : 0;
  CAPTURE(wrong);
  CHECK(wrong < 20'000 * 3 / 200);
}

TEST_CASE("what was subtracted as often as added is gone, also when threads did it") {
  const UrlHasher hasher = UrlHasher::with_random_secret();
  Presence presence(1000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) presence.add(hash_of(hasher, i));
      for (int i = 0; i < 1000; ++i) presence.subtract(hash_of(hasher, i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 1000; ++i) REQUIRE_FALSE(presence.may_contain(hash_of(hasher, i)));
}

}  // namespace
}  // namespace reef::proxy
