#include "tests/wan/shaper.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::wan;
using namespace std::chrono_literals;

namespace {
const TimePoint t0{1h};
}

TEST_CASE("a line without a cap passes everything at once") {
  Shaper shaper;
  CHECK(shaper.pass(t0, 1500) == t0);
  CHECK(shaper.pass(t0, 1'000'000) == t0);
}

TEST_CASE("a capped line passes packets at its rate, one after the other") {
  Shaper shaper;
  shaper.set({.bits_per_s = 12'000'000, .queue_bytes = 15'000});  // 1,500 bytes a millisecond
  CHECK(shaper.pass(t0, 1500) == t0 + 1ms);
  CHECK(shaper.pass(t0, 1500) == t0 + 2ms);
  CHECK(shaper.pass(t0 + 1ms, 1500) == t0 + 3ms);
  CHECK(shaper.pass(t0 + 10ms, 750) == t0 + 10ms + 500us);
}

TEST_CASE("what does not fit into the queue is lost, and the rest keeps its time") {
  Shaper shaper;
  shaper.set({.bits_per_s = 12'000'000, .queue_bytes = 3000});
  CHECK(shaper.pass(t0, 1500) == t0 + 1ms);
  CHECK(shaper.pass(t0, 1500) == t0 + 2ms);
  CHECK_FALSE(shaper.pass(t0, 1500).has_value());
  CHECK(shaper.pass(t0 + 1ms, 1500) == t0 + 3ms);
}

TEST_CASE("an idle line takes a packet even where its queue is smaller than the packet") {
  Shaper shaper;
  shaper.set({.bits_per_s = 12'000'000, .queue_bytes = 100});
  CHECK(shaper.pass(t0, 1500) == t0 + 1ms);
  CHECK_FALSE(shaper.pass(t0, 1500).has_value());
}

TEST_CASE("lifting a cap does not let a packet overtake those before it") {
  Shaper shaper;
  shaper.set({.bits_per_s = 1'200'000, .queue_bytes = 15'000});
  CHECK(shaper.pass(t0, 1500) == t0 + 10ms);
  shaper.set({});
  CHECK(shaper.pass(t0 + 1ms, 1500) == t0 + 10ms);
  CHECK(shaper.pass(t0 + 11ms, 1500) == t0 + 11ms);
}
