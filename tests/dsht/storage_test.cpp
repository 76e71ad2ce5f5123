#include "dsht/storage.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;
using Outcome = Storage::Outcome;

namespace {

constexpr TimePoint t0 = TimePoint{} + 1h;

NodeId node(std::uint32_t number) {
  NodeId id;
  id.bytes[19] = static_cast<std::uint8_t>(number);
  id.bytes[18] = static_cast<std::uint8_t>(number >> 8);
  return id;
}
Key key(std::uint8_t number) {
  Key k;
  k.bytes[0] = number;
  return k;
}

// Publishers in order, a complete value marked by '!'.
std::string text(const std::vector<const StoredValue*>& values) {
  std::string out;
  for (const StoredValue* value : values) {
    out += std::to_string(value->publisher.bytes[19]) + (value->provisional ? " " : "! ");
  }
  return out;
}

struct Fixture {
  Storage storage{{}, {}};
  Random random{1};
  Outcome announce(std::uint32_t publisher, TimePoint now = t0) {
    return storage.put(now, key(1), node(publisher), as_bytes("p"), 20s, true);
  }
  Outcome put(std::uint32_t publisher, TimePoint now = t0) {
    return storage.put(now, key(1), node(publisher), as_bytes("c"), 3600s, false);
  }
  std::string earlier(std::uint32_t asker, TimePoint now = t0) {
    return text(storage.earlier(now, key(1), node(asker), 8, random));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "announcers of the same instant have an order, and each hears of those before it") {
  for (std::uint32_t i = 1; i <= 4; ++i) CHECK(announce(i) == Outcome::stored);
  CHECK(earlier(1) == "");
  CHECK(earlier(2) == "1 ");
  CHECK(earlier(4) == "1 2 3 ");
  CHECK(earlier(9) == "1 2 3 4 ");
}

TEST_CASE_FIXTURE(Fixture, "a renewed announcement keeps its place") {
  announce(1);
  announce(2);
  CHECK(announce(1, t0 + 10s) == Outcome::renewed);
  CHECK(earlier(1, t0 + 10s) == "");
  CHECK(earlier(2, t0 + 10s) == "1 ");
  CHECK(earlier(2, t0 + 25s) == "1 ");  // 2 has expired, 1 lives on
}

TEST_CASE_FIXTURE(Fixture, "an announcement after its own expiry goes to the end") {
  announce(1);
  announce(2, t0 + 15s);
  CHECK(announce(1, t0 + 21s) == Outcome::stored);
  CHECK(earlier(1, t0 + 21s) == "2 ");
}

TEST_CASE_FIXTURE(Fixture, "a complete value is told to everybody but its publisher, wherever it stands") {
  announce(1);
  announce(2);
  CHECK(put(2) == Outcome::renewed);
  CHECK(earlier(1) == "2! ");
  CHECK(earlier(2) == "1 ");
  CHECK(earlier(3) == "1 2! ");
}

TEST_CASE_FIXTURE(Fixture, "an announcement that follows a put goes to the end") {
  announce(1);
  put(1);
  announce(2);
  CHECK(announce(1) == Outcome::stored);
  CHECK(earlier(2) == "");
  CHECK(earlier(1) == "2 ");
}

TEST_CASE_FIXTURE(Fixture, "a withdrawn value is gone") {
  announce(1);
  announce(2);
  CHECK(storage.withdraw(key(1), node(1)));
  CHECK_FALSE(storage.withdraw(key(1), node(1)));
  CHECK(earlier(2) == "");
}

TEST_CASE_FIXTURE(
    Fixture,
    "of more values than fit the earliest provisional one and the asker's own stay, complete ones go first") {
  for (std::uint32_t i = 1; i <= 30; ++i) announce(i);
  for (std::uint32_t i = 10; i < 14; ++i) put(i);
  const auto told = storage.earlier(t0, key(1), node(40), 8, random);
  REQUIRE(told.size() == 8);
  CHECK(told[0]->publisher == node(1));
  CHECK(std::count_if(told.begin(), told.end(), [](const auto* v) { return !v->provisional; }) == 4);
  CHECK(std::is_sorted(told.begin(), told.end(),
                       [](const auto* a, const auto* b) { return a->arrived < b->arrived; }));
  const auto read = storage.sample(t0, key(1), node(29), 8, random);
  CHECK(std::any_of(read.begin(), read.end(), [](const auto* v) { return v->publisher == node(29); }));
}

TEST_CASE_FIXTURE(Fixture, "replicas keep the order of arrival, whatever the order they come in") {
  storage.merge(t0, key(1), {node(2), {}, t0 - 2s, t0 + 20s, true});
  storage.merge(t0, key(1), {node(1), {}, t0 - 3s, t0 + 20s, true});
  storage.merge(t0, key(1), {node(3), {}, t0 - 3s, t0 + 20s, true});  // the same instant
  announce(4);
  CHECK(earlier(4) == "1 3 2 ");
  CHECK(storage.merge(t0, key(1), {node(5), {}, t0 - 9s, t0 - 1s, true}) == Outcome::full);  // already over
}

TEST_CASE_FIXTURE(Fixture, "a replica does not undo what we were told first-hand") {
  put(1);
  storage.merge(t0, key(1), {node(1), {}, t0 - 1s, t0 + 20s, true});
  CHECK(earlier(2) == "1! ");
  announce(3);
  announce(4);
  storage.merge(t0, key(1), {node(4), {}, t0 + 1s, t0 + 20s, true});  // a later arrival elsewhere
  CHECK(earlier(4) == "1! 3 ");
  storage.merge(t0, key(1), {node(4), {}, t0 - 1s, t0 + 20s, true});  // an earlier one
  CHECK(earlier(3) == "4 1! ");
}

TEST_CASE(
    "a full key: the last announcement gives way to a complete value, an announcement displaces nothing") {
  Storage storage({.values_per_key_max = 3}, {});
  for (std::uint32_t i = 1; i <= 3; ++i) storage.put(t0, key(1), node(i), {}, 20s, true);
  CHECK(storage.put(t0, key(1), node(4), {}, 60s, true) == Outcome::full);
  CHECK(storage.put(t0, key(1), node(5), {}, 60s, false) == Outcome::stored);
  CHECK(text(storage.live(t0, key(1))) == "1 2 5! ");
  storage.put(t0, key(1), node(6), {}, 70s, false);
  storage.put(t0, key(1), node(7), {}, 80s, false);
  CHECK(text(storage.live(t0, key(1))) == "5! 6! 7! ");
  CHECK(storage.put(t0, key(1), node(8), {}, 50s, false) == Outcome::full);  // shorter than all
  CHECK(storage.put(t0, key(1), node(9), {}, 65s, false) == Outcome::stored);
  CHECK(text(storage.live(t0, key(1))) == "6! 7! 9! ");
  CHECK(storage.put(t0 + 66s, key(1), node(10), {}, 5s, true) ==
        Outcome::stored);  // in place of an expired one
}

TEST_CASE("a full store: what expires first gives way, and is refused if that is the new value") {
  Storage storage({.values_max = 3}, {});
  for (std::uint8_t i = 1; i <= 3; ++i)
    storage.put(t0, key(i), node(i), {}, std::chrono::seconds(10 * i), false);
  CHECK(storage.put(t0, key(9), node(9), {}, 5s, false) == Outcome::full);
  CHECK(storage.put(t0, key(9), node(9), {}, 60s, false) == Outcome::stored);
  CHECK(storage.live(t0, key(1)).empty());
  CHECK(storage.value_count() == 3);
}

TEST_CASE("bytes are bounded, counted and given back") {
  Storage storage({.bytes_max = 1000}, {});
  const Bytes data(100);
  for (std::uint8_t i = 1; i <= 50; ++i) {
    storage.put(t0, key(i), node(i), data, std::chrono::seconds(100 + i), false);
    CHECK(storage.byte_count() <= 1000);
  }
  CHECK(storage.value_count() > 1);
  storage.expire(t0 + 1h, 1000);
  CHECK(storage.byte_count() == 0);
  CHECK(storage.key_count() == 0);
  CHECK(storage.value_count() == 0);
}

TEST_CASE("a TTL is clamped, and none at all stores nothing") {
  Storage storage({.ttl_max = 60s}, {});
  storage.put(t0, key(1), node(1), {}, 1000h, false);
  CHECK(storage.live(t0 + 59s, key(1)).size() == 1);
  CHECK(storage.live(t0 + 60s, key(1)).empty());
  CHECK(storage.put(t0, key(2), node(1), {}, 0s, false) == Outcome::full);
}
