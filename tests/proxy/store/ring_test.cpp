#include "proxy/store/ring.h"

#include <map>

#include "base/random.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

struct RingBox {
  TempDir dir;
  Ring ring;
  explicit RingBox(std::uint64_t bytes) {
    REQUIRE(ring.open(dir.sub("ring"), bytes).has_value());
    ring.start_at(0, std::nullopt);
  }
  std::uint64_t put(std::size_t size, std::uint64_t seed) {
    const Bytes all = pattern(size, seed);
    const std::uint64_t at = ring.append(ByteView(all).first(size / 3), ByteView(all).subspan(size / 3));
    REQUIRE(ring.write().has_value());
    return at;
  }
  Bytes read(std::uint64_t at, std::size_t size) {
    Bytes out(size);
    REQUIRE(ring.read(at, out).has_value());
    return out;
  }
};

TEST_CASE("records lie one behind the other, and at the end of the ring the next one is at its beginning") {
  RingBox box(1000);
  CHECK(box.ring.free_bytes() == 1000);
  CHECK(box.put(300, 1) == 0);
  CHECK(box.put(300, 2) == 300);
  CHECK(box.put(300, 3) == 600);
  CHECK(box.ring.free_bytes() == 100);
  CHECK(box.ring.is_crowded() == false);
  box.ring.set_oldest(300);  // the first one is gone
  CHECK(box.ring.free_bytes() == 400);
  CHECK(box.put(200, 4) == 0);  // not cut in two
  CHECK(box.ring.free_bytes() == 100);
  CHECK(box.read(0, 200) == pattern(200, 4));
  CHECK(box.read(300, 300) == pattern(300, 2));
  CHECK(box.read(600, 300) == pattern(300, 3));
  CHECK(box.put(100, 5) == 200);
  CHECK(box.ring.free_bytes() == 0);
  CHECK(box.ring.is_crowded());
  box.ring.set_oldest(0);  // those ahead are gone
  CHECK(box.ring.free_bytes() == 700);
  CHECK(box.put(700, 6) == 300);
  CHECK(box.read(300, 700) == pattern(700, 6));
  CHECK(box.ring.file_bytes() == 1000);
}

TEST_CASE("a batch is written as one run, or as two where it comes to the end of the ring") {
  RingBox box(100'000);
  std::map<std::uint64_t, std::pair<std::size_t, std::uint64_t>> live;  // place -> size and seed
  std::vector<std::uint64_t> order;
  Random random(3);
  std::uint64_t seed = 0;
  for (int batch = 0; batch < 200; ++batch) {
    // Room first: for twelve records, and what one of them may skip.
    while (box.ring.free_bytes() < 13 * 1500) {
      live.erase(order.front());
      order.erase(order.begin());
      box.ring.set_oldest(order.empty() ? std::nullopt : std::optional(order.front()));
    }
    std::vector<Bytes> bodies;
    for (int i = 0; i < 12; ++i) {
      const std::size_t size = 1 + random.below(1500);
      bodies.push_back(pattern(size, ++seed));
      const std::uint64_t at = box.ring.append({}, bodies.back());
      order.push_back(at);
      live[at] = {size, seed};
    }
    REQUIRE(box.ring.write().has_value());
    REQUIRE(live.size() == order.size());  // none lies where another is
    for (const auto& [at, what] : live) REQUIRE(box.read(at, what.first) == pattern(what.first, what.second));
  }
  CHECK(box.ring.file_bytes() <= 100'000);
  CHECK(live.size() > 50);
}

TEST_CASE("a record behind the end of the file is damaged") {
  RingBox box(10'000);
  box.put(100, 1);
  Bytes out(200);
  CHECK_FALSE(box.ring.read(0, out).has_value());
}

StoreOptions small_ring(const TempDir& dir) {
  StoreOptions options = options_in(dir);
  options.disk_bytes_max = 4u << 20;
  options.index_bytes_max = 2u << 20;
  return options;
}
std::string url_of(std::uint64_t number) { return "http://e/" + std::to_string(number); }

TEST_CASE("small objects come back right however often the ring has come round, and over restarts") {
  const TempDir dir;
  StoreBox box(small_ring(dir));
  Random random(11);
  std::map<std::uint64_t, std::uint64_t> latest;  // number -> seed of its body
  const auto size_of = [](std::uint64_t seed) { return seed * 7919 % 9000; };
  std::uint64_t seed = 0, evicted = 0, persisted = 0;
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t number = random.below(600);
    const std::uint64_t what = random.below(20);
    if (what == 0) {
      CHECK(box.remove(url_of(number)));
      latest.erase(number);
    } else {
      ++seed;
      box.put(url_of(number), pattern(size_of(seed), seed));
      latest[number] = seed;
    }
    if (step % 50 == 49) box.flush();
    if (step % 500 != 499) continue;
    box.flush();
    evicted += box->stats().evicted;
    persisted += box->stats().persisted;
    CHECK(box->stats().damaged == 0);
    // Over the end of a ring that is smaller or larger, too.
    box.close();
    if (step == 1499) box.options().index_bytes_max = 1u << 20;
    if (step == 1999) box.options().index_bytes_max = 2u << 20;
    box.open();
    std::uint64_t there = 0;
    for (std::uint64_t i = 0; i < 600; ++i) {
      const auto object = box.load(url_of(i));
      if (!object) continue;
      ++there;
      REQUIRE(latest.contains(i));
      REQUIRE(read_body(*object->body) == pattern(size_of(latest[i]), latest[i]));
    }
    // A ring that has become smaller begins empty.
    if (step != 1499) CHECK(there > 50);
    CHECK(box->stats().damaged == 0);
    CHECK(disk_usage(dir.sub("store")) <= box.options().disk_bytes_max);
  }
  CHECK(persisted > 2000);
  CHECK(evicted > 1000);
}

TEST_CASE("what was asked for since it was written stays when the ring comes round") {
  const TempDir dir;
  StoreOptions options = small_ring(dir);
  options.use_granularity = std::chrono::seconds(1);
  StoreBox box(options);
  box.put("http://e/kept", pattern(5000, 1));
  box.put("http://e/other", pattern(5000, 2));
  box.flush();
  ::sleep(2);  // last uses are recorded in whole seconds
  box->touch(box->hasher()("http://e/kept"));
  for (std::uint64_t i = 0; i < 350; ++i) {
    box.put(url_of(i), pattern(5000, i));
    if (i % 20 == 19) box.flush();
  }
  CHECK(box->stats().evicted > 0);
  CHECK(box.load("http://e/other") == nullptr);
  CHECK(box.load(url_of(0)) == nullptr);
  const auto kept = box.load("http://e/kept");
  REQUIRE(kept != nullptr);
  CHECK(read_body(*kept->body) == pattern(5000, 1));
  CHECK(box->stats().damaged == 0);
}

TEST_CASE("a new head that comes before its object is written goes with it") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  for (const std::size_t size : {100u, 100'000u}) {
    const std::string url = url_of(size);
    const auto object = box.put(url, pattern(size, 1));
    ObjectHead head = object->head;
    head.fields = "New: yes\r\n";
    box->update_head(box->hasher()(url), with_head(*object, head));
  }
  box.reopen();
  box.flush();
  CHECK(box->stats().objects == 2);
  for (const std::size_t size : {100u, 100'000u}) {
    const auto loaded = box.load(url_of(size));
    REQUIRE(loaded != nullptr);
    CHECK(loaded->head.fields == "New: yes\r\n");
    CHECK(read_body(*loaded->body) == pattern(size, 1));
    CHECK(box.remove(url_of(size)));
    box.flush();
    CHECK_FALSE(box.may_have(url_of(size)));  // the filter counted both of its records
  }
}

TEST_CASE("what is too long for a small ring gets a file") {
  const TempDir dir;
  StoreOptions options = small_ring(dir);
  options.small_body_bytes_max = 1u << 20;
  StoreBox box(options);
  box.put("http://e/a", pattern(250'000, 1));
  box.put("http://e/b", pattern(100'000, 1));
  box.flush();
  CHECK(disk_usage(dir.sub("store/objects")) == 250'000);
  CHECK(box->stats().persisted == 2);
  box.reopen();
  CHECK(read_body(*box.load("http://e/a")->body) == pattern(250'000, 1));
  CHECK(read_body(*box.load("http://e/b")->body) == pattern(100'000, 1));
}

}  // namespace
}  // namespace reef::proxy
