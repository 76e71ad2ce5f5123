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
    out += std::to_string(value->publisher.bytes[19]) + (value->record.provisional ? " " : "! ");
  }
  return out;
}

// Storage does not look at keys and signatures.
Record record(std::uint64_t sequence, std::chrono::seconds ttl, bool provisional, ByteView data = {}) {
  return {{}, sequence, static_cast<std::uint32_t>(ttl.count()), provisional, {data.begin(), data.end()}, {}};
}
StoredValue replica(std::uint32_t publisher, TimePoint arrived, TimePoint expires, bool provisional = true,
                    std::uint64_t sequence = 1) {
  return {node(publisher), record(sequence, 1h, provisional), arrived, expires};
}

struct Fixture {
  Storage storage{{}, {}};
  Random random{1};
  std::uint64_t sequence = 100;
  Outcome announce(std::uint32_t publisher, TimePoint now = t0) {
    return storage.put(now, key(1), node(publisher), record(++sequence, 20s, true, as_bytes("p")));
  }
  Outcome put(std::uint32_t publisher, TimePoint now = t0) {
    return storage.put(now, key(1), node(publisher), record(++sequence, 3600s, false, as_bytes("c")));
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

TEST_CASE_FIXTURE(Fixture, "a record of no life takes the value back") {
  announce(1);
  announce(2);
  const Record gone = record(++sequence, 0s, false);
  CHECK(storage.put(t0, key(1), node(1), gone) == Outcome::withdrawn);
  CHECK(storage.put(t0, key(1), node(1), gone) == Outcome::absent);
  CHECK(earlier(2) == "");
  CHECK(storage.value_count() == 1);
  CHECK(storage.put(t0 + 20s, key(1), node(2), gone) == Outcome::absent);  // it was over
  CHECK(storage.value_count() == 0);
  CHECK(storage.byte_count() == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "of one publisher the record with the greater sequence counts, an older one is old news") {
  const Record first = record(5, 20s, true, as_bytes("one"));
  CHECK(storage.put(t0, key(1), node(1), first) == Outcome::stored);
  CHECK(storage.put(t0, key(1), node(1), record(4, 3600s, false)) == Outcome::old);
  CHECK(storage.put(t0, key(1), node(1), record(4, 0s, false)) == Outcome::old);
  CHECK(text(storage.live(t0, key(1))) == "1 ");
  CHECK(storage.put(t0, key(2), node(1), record(4, 20s, true)) == Outcome::stored);  // another key
  CHECK(storage.put(t0, key(1), node(1), record(6, 3600s, false, as_bytes("two"))) == Outcome::renewed);
  CHECK(storage.live(t0, key(1)).at(0)->record.data.size() == 3);
  CHECK(text(storage.live(t0 + 1h - 1s, key(1))) == "1! ");
}

TEST_CASE_FIXTURE(Fixture, "a record that comes again does not prolong its own life") {
  const Record once = record(5, 20s, true);
  storage.put(t0, key(1), node(1), once);
  CHECK(storage.put(t0 + 19s, key(1), node(1), once) == Outcome::renewed);
  CHECK(text(storage.live(t0 + 19s, key(1))) == "1 ");
  CHECK(storage.live(t0 + 20s, key(1)).empty());
  CHECK(storage.put(t0 + 20s, key(1), node(1), once) == Outcome::old);
  CHECK(storage.merge(t0 + 20s, key(1), {node(1), once, t0, t0 + 40s}) == Outcome::old);
  CHECK(storage.live(t0 + 20s, key(1)).empty());
}

TEST_CASE_FIXTURE(Fixture, "a record is held when all of it is the same") {
  const Record once = record(5, 60s, false);
  CHECK_FALSE(storage.holds(key(1), once));
  storage.put(t0, key(1), node(1), once);
  CHECK(storage.holds(key(1), once));
  CHECK_FALSE(storage.holds(key(2), once));
  Record other = once;
  other.signature.back() ^= std::byte{1};
  CHECK_FALSE(storage.holds(key(1), other));
  other = once;
  other.ttl_seconds += 1;
  CHECK_FALSE(storage.holds(key(1), other));
}

TEST_CASE_FIXTURE(Fixture, "full: M complete values will live at least half as long as the new one") {
  for (std::uint32_t i = 1; i <= 3; ++i) put(i);
  for (std::uint32_t i = 10; i < 20; ++i) announce(i);
  CHECK_FALSE(storage.is_full(t0, key(1), 20s, node(99)));  // announcements do not count
  put(4, t0 + 600s);
  CHECK(storage.count(key(1)) == 14);
  CHECK(storage.is_full(t0 + 600s, key(1), 6000s, node(99)));  // three end at t0 + 3,600 s
  CHECK_FALSE(storage.is_full(t0 + 600s, key(1), 6002s, node(99)));
  CHECK(storage.is_full(t0 + 600s, key(1), 20s, node(99)));
  CHECK_FALSE(storage.is_full(t0 + 3600s, key(1), 20s, node(99)));
  CHECK_FALSE(storage.is_full(t0, key(2), 20s, node(99)));
  CHECK(storage.count(key(2)) == 0);
}

TEST_CASE_FIXTURE(
    Fixture,
    "of more values than fit the earliest provisional one and the asker's own stay, complete ones go first") {
  for (std::uint32_t i = 1; i <= 30; ++i) announce(i);
  for (std::uint32_t i = 10; i < 14; ++i) put(i);
  const auto told = storage.earlier(t0, key(1), node(40), 8, random);
  REQUIRE(told.size() == 8);
  CHECK(told[0]->publisher == node(1));
  CHECK(std::count_if(told.begin(), told.end(), [](const auto* v) { return !v->record.provisional; }) == 4);
  CHECK(std::is_sorted(told.begin(), told.end(),
                       [](const auto* a, const auto* b) { return a->arrived < b->arrived; }));
  const auto read = storage.sample(t0, key(1), node(29), 8, random);
  CHECK(std::any_of(read.begin(), read.end(), [](const auto* v) { return v->publisher == node(29); }));
}

TEST_CASE_FIXTURE(Fixture, "replicas keep the order of arrival, whatever the order they come in") {
  storage.merge(t0, key(1), replica(2, t0 - 2s, t0 + 20s));
  storage.merge(t0, key(1), replica(1, t0 - 3s, t0 + 20s));
  storage.merge(t0, key(1), replica(3, t0 - 3s, t0 + 20s));  // the same instant
  announce(4);
  CHECK(earlier(4) == "1 3 2 ");
  CHECK(storage.merge(t0, key(1), replica(5, t0 - 9s, t0 - 1s)) == Outcome::full);  // already over
}

TEST_CASE_FIXTURE(Fixture,
                  "of a replica and our own value the greater sequence counts and the earlier arrival") {
  put(1);
  CHECK(storage.merge(t0, key(1), replica(1, t0 - 1s, t0 + 20s)) == Outcome::renewed);  // an older record
  CHECK(earlier(2) == "1! ");
  announce(3);
  announce(4);
  CHECK(storage.merge(t0, key(1), replica(4, t0 + 1s, t0 + 20s)) ==
        Outcome::old);  // a later arrival elsewhere
  CHECK(earlier(4) == "1! 3 ");
  CHECK(storage.merge(t0, key(1), replica(4, t0 - 500ms, t0 + 20s)) == Outcome::renewed);  // an earlier one
  CHECK(earlier(3) == "1! 4 ");
  // It knows that 3 has the object by now.
  CHECK(storage.merge(t0, key(1), replica(3, t0 + 5s, t0 + 1h, false, 900)) == Outcome::renewed);
  CHECK(text(storage.live(t0, key(1))) == "1! 4 3! ");
  // And that 1 lost it and announced itself anew.
  CHECK(storage.merge(t0, key(1), replica(1, t0 + 9s, t0 + 20s, true, 900)) == Outcome::renewed);
  CHECK(text(storage.live(t0, key(1))) == "4 3! 1 ");
  // An announcement from before the object was lost says nothing about the place of the one after.
  CHECK(storage.merge(t0, key(1), replica(1, t0 - 9s, t0 + 1h, false, 800)) == Outcome::old);
  CHECK(text(storage.live(t0, key(1))) == "4 3! 1 ");
}

TEST_CASE(
    "a full key: the last announcement gives way to a complete value, an announcement displaces nothing") {
  Storage storage({.values_per_key_max = 3}, {});
  for (std::uint32_t i = 1; i <= 3; ++i) storage.put(t0, key(1), node(i), record(1, 20s, true));
  CHECK(storage.put(t0, key(1), node(4), record(1, 60s, true)) == Outcome::full);
  CHECK(storage.put(t0, key(1), node(5), record(1, 60s, false)) == Outcome::stored);
  CHECK(text(storage.live(t0, key(1))) == "1 2 5! ");
  storage.put(t0, key(1), node(6), record(1, 70s, false));
  storage.put(t0, key(1), node(7), record(1, 80s, false));
  CHECK(text(storage.live(t0, key(1))) == "5! 6! 7! ");
  CHECK(storage.put(t0, key(1), node(8), record(1, 50s, false)) == Outcome::full);  // shorter than all
  CHECK(storage.put(t0, key(1), node(9), record(1, 65s, false)) == Outcome::stored);
  CHECK(text(storage.live(t0, key(1))) == "6! 7! 9! ");
  CHECK(storage.put(t0 + 1s, key(1), node(6), record(2, 75s, false)) == Outcome::renewed);  // has its place
  CHECK(storage.put(t0 + 66s, key(1), node(10), record(1, 5s, true)) ==
        Outcome::stored);  // in place of an expired one
}

TEST_CASE("a full store: what expires first gives way, and is refused if that is the new value") {
  Storage storage({.values_max = 3}, {});
  for (std::uint8_t i = 1; i <= 3; ++i)
    storage.put(t0, key(i), node(i), record(1, std::chrono::seconds(10 * i), false));
  CHECK(storage.put(t0, key(9), node(9), record(1, 5s, false)) == Outcome::full);
  CHECK(storage.put(t0, key(9), node(9), record(1, 60s, false)) == Outcome::stored);
  CHECK(storage.live(t0, key(1)).empty());
  CHECK(storage.value_count() == 3);
}

TEST_CASE("bytes are bounded, counted with all that a value needs, and given back") {
  Storage storage({.bytes_max = 5000}, {});
  const Bytes data(100);
  for (std::uint8_t i = 1; i <= 50; ++i) {
    storage.put(t0, key(i), node(i), record(1, std::chrono::seconds(100 + i), false, data));
    CHECK(storage.byte_count() <= 5000);
  }
  CHECK(storage.value_count() > 5);
  CHECK(storage.byte_count() >= storage.value_count() * (sizeof(StoredValue) + data.size()));
  storage.expire(t0 + 1h, 1000);
  CHECK(storage.byte_count() == 0);
  CHECK(storage.key_count() == 0);
  CHECK(storage.value_count() == 0);
}

TEST_CASE("a value that grows when it is renewed stays within the bounds as well") {
  Storage storage({.bytes_max = 5000}, {});
  const Bytes data(900);
  for (std::uint8_t i = 1; i <= 8; ++i)
    CHECK(storage.put(t0, key(i), node(i), record(1, std::chrono::seconds(100 + i), false)) ==
          Outcome::stored);
  for (std::uint8_t i = 5; i <= 8; ++i) {
    storage.put(t0, key(i), node(i), record(2, std::chrono::seconds(200 + i), false, data));
    CHECK(storage.byte_count() <= 5000);
    CHECK(storage.count(key(i)) == 1);
  }
  CHECK(storage.value_count() < 8);
}

TEST_CASE("a TTL is clamped, of replicas too") {
  Storage storage({.ttl_max = 60s}, {});
  storage.put(t0, key(1), node(1), record(1, 1000h, false));
  storage.merge(t0, key(1), {node(2), record(1, 1000h, false), t0, t0 + 900h});
  storage.merge(t0, key(1), {node(3), record(1, 10s, false), t0, t0 + 900h});
  CHECK(storage.live(t0 + 9s, key(1)).size() == 3);
  CHECK(storage.live(t0 + 59s, key(1)).size() == 2);
  CHECK(storage.live(t0 + 60s, key(1)).empty());
}
