#include "proxy/store/ram_tier.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

struct Tier {
  UrlHasher hasher = UrlHasher::with_random_secret();
  std::vector<UrlHash> used;
  RamTier tier;

  explicit Tier(std::size_t bytes_max)
      : tier({.bytes_max = bytes_max}, [this](const UrlHash& hash) { used.push_back(hash); }) {}
  static std::string url(std::uint64_t number) { return "http://example.com/" + std::to_string(number); }
  void insert(const std::string& url, std::size_t bytes) {
    tier.insert(hasher(url), std::make_shared<const Object>(Object{head_for(url), Body::of(Bytes(bytes))}));
  }
  bool has(const std::string& url) {
    const auto* found = tier.find(hasher(url), url);
    if (found != nullptr) REQUIRE((*found)->head.url == url);
    return found != nullptr;
  }
  // A request: a miss is followed by a fill.
  bool request(std::uint64_t number, std::size_t bytes = 1000) {
    if (has(url(number))) return true;
    insert(url(number), bytes);
    return false;
  }
};

TEST_CASE("a second use is noted in the body, for whoever decides what is worth the disk") {
  RamTier tier({});
  const UrlHasher hasher = UrlHasher::with_random_secret();
  const auto object =
      std::make_shared<const Object>(Object{head_for("http://e/a"), Body::of(pattern(100, 1))});
  const UrlHash hash = hasher("http://e/a");
  tier.insert(hash, object);
  CHECK_FALSE(object->body->was_reused());
  REQUIRE(tier.find(hash, "http://e/a") != nullptr);
  CHECK(object->body->was_reused());
}

TEST_CASE("the tier finds what was inserted, by URL and not by hash alone") {
  Tier t(1u << 20);
  t.insert("http://a/", 10);
  CHECK(t.has("http://a/"));
  CHECK(t.tier.find(t.hasher("http://a/"), "http://b/") == nullptr);
  CHECK_FALSE(t.has("http://b/"));
  CHECK(t.tier.erase(t.hasher("http://a/")));
  CHECK_FALSE(t.tier.erase(t.hasher("http://a/")));
  CHECK_FALSE(t.has("http://a/"));
  CHECK(t.tier.stats().bytes.value() == 0);
  CHECK(t.tier.stats().objects.value() == 0);
}

TEST_CASE("inserting under a URL that is there replaces it") {
  Tier t(1u << 20);
  t.insert("http://a/", 10'000);
  const std::uint64_t before = t.tier.stats().bytes.value();
  t.insert("http://a/", 500);
  CHECK(t.tier.stats().objects.value() == 1);
  CHECK(t.tier.stats().bytes.value() == before - 9500);
  const auto* found = t.tier.find(t.hasher("http://a/"), "http://a/");
  REQUIRE(found != nullptr);
  CHECK((*found)->body->block().size() == 500);
}

TEST_CASE("bodies, heads and overhead stay within the byte bound, whatever the sizes") {
  constexpr std::size_t kBytesMax = 1u << 20;
  Tier t(kBytesMax);
  Random random(11);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t number = random.below(3000);
    t.request(number, 10 + random.below(random.below(50) == 0 ? 200'000 : 4000));
    if (i % 7 == 0) t.tier.erase(t.hasher(Tier::url(number)));
    REQUIRE(t.tier.stats().bytes.value() <= kBytesMax);
  }
  std::size_t sum = 0, count = 0;
  t.tier.for_each([&](const UrlHash&, const Object& object) {
    sum += t.tier.cost(object);
    ++count;
  });
  CHECK(sum == t.tier.stats().bytes.value());
  CHECK(count == t.tier.stats().objects.value());
  CHECK(t.tier.stats().evicted.value() > 1000);
}

TEST_CASE(
    "an object too large for the tier is not kept, displaces nobody, and does not leave its predecessor") {
  Tier t(1u << 20);
  t.insert("http://small/", 100);
  t.insert("http://big/", 100);
  t.insert("http://big/", 2u << 20);
  CHECK(t.has("http://small/"));
  CHECK_FALSE(t.has("http://big/"));
  CHECK(t.tier.stats().refused.value() == 1);
}

TEST_CASE("a scan of objects asked for once does not displace what is used (S3-FIFO)") {
  Tier t(2u << 20);
  constexpr std::uint64_t kHot = 500;
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < kHot; ++i) t.request(i);
  }
  for (std::uint64_t i = 0; i < 20'000; ++i) t.request(1'000'000 + i);  // ten times the tier
  std::uint64_t left = 0;
  for (std::uint64_t i = 0; i < kHot; ++i) left += t.has(Tier::url(i)) ? 1 : 0;
  CHECK(left == kHot);
}

TEST_CASE("an object asked for again soon after it was pushed out enters the main queue") {
  Tier t(1u << 20);
  // Fill the tier with once-used objects until the first leaves, then ask for it again.
  t.request(0);
  std::uint64_t next = 1;
  while (t.tier.stats().evicted.value() == 0) t.request(next++);
  CHECK_FALSE(t.request(0));
  for (std::uint64_t i = 0; i < 300; ++i) t.request(1'000'000 + i);  // would push it through the small queue
  CHECK(t.has(Tier::url(0)));
}

TEST_CASE("what was popular once makes way for what is popular now") {
  Tier t(1u << 20);
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t i = 0; i < 300; ++i) t.request(i);
  }
  std::uint64_t hits = 0;
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < 300; ++i) {
      const bool hit = t.request(10'000 + i);
      if (round >= 10) hits += hit ? 1 : 0;
    }
  }
  CHECK(hits == 3000);
}

TEST_CASE("Zipf with scans: the hit rate is above that of LRU") {
  constexpr std::size_t kBytesMax = 1u << 20;
  Tier t(kBytesMax);
  const std::size_t cost = [&] {
    t.insert("x", 1000);
    const std::size_t bytes = t.tier.stats().bytes.value();
    t.tier.clear();
    return bytes;
  }();
  // A plain LRU of as many objects, over the same requests.
  const std::size_t lru_max = kBytesMax / cost;
  std::vector<std::uint64_t> lru;
  Random random(3);
  std::uint64_t lru_hits = 0, hits = 0, scan = 1'000'000;
  for (int i = 0; i < 60'000; ++i) {
    // Zipf-like (exponent 1) over 5,000 objects by inversion; every 4th request belongs to a scan.
    std::uint64_t number = static_cast<std::uint64_t>(std::pow(5000.0, random.unit()));
    if (i % 4 == 0) number = scan++;
    hits += t.request(number) ? 1 : 0;
    const auto at = std::find(lru.begin(), lru.end(), number);
    if (at != lru.end()) {
      ++lru_hits;
      lru.erase(at);
    } else if (lru.size() >= lru_max) {
      lru.erase(lru.begin());
    }
    lru.push_back(number);
  }
  CAPTURE(hits);
  CAPTURE(lru_hits);
  CHECK(hits > lru_hits);
}

TEST_CASE("the listener hears of objects that are in use, and not of those that were asked for once") {
  Tier t(1u << 20);
  for (int round = 0; round < 4; ++round) t.request(1);
  for (std::uint64_t i = 0; i < 3000; ++i) t.request(100 + i);
  CHECK(std::find(t.used.begin(), t.used.end(), t.hasher(Tier::url(1))) != t.used.end());
  CHECK(std::find(t.used.begin(), t.used.end(), t.hasher(Tier::url(100))) == t.used.end());
}

}  // namespace
}  // namespace reef::proxy
