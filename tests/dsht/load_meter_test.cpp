#include "dsht/load_meter.h"

#include <doctest/doctest.h>

#include "base/random.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint t0 = TimePoint{} + 1h;

Key key(std::uint32_t number) {
  Key k;
  k.bytes[0] = static_cast<std::uint8_t>(number);
  k.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  return k;
}

// Passes whatever is let through of one put every `step`; when they passed.
std::vector<TimePoint> crowd(LoadMeter& meter, Duration step, Duration length) {
  std::vector<TimePoint> out;
  for (TimePoint now = t0; now < t0 + length; now += step) {
    if (meter.is_loaded(now, key(1))) continue;
    meter.pass(now, key(1));
    out.push_back(now);
  }
  return out;
}

}  // namespace

TEST_CASE("a key is loaded from the pass number β until the first of them is a window old") {
  LoadMeter meter({}, {});
  for (int i = 0; i < 12; ++i) {
    CHECK_FALSE(meter.is_loaded(t0 + 1s * i, key(1)));
    meter.pass(t0 + 1s * i, key(1));
  }
  CHECK(meter.is_loaded(t0 + 12s, key(1)));
  CHECK(meter.is_loaded(t0 + 60s - 1ns, key(1)));
  CHECK_FALSE(meter.is_loaded(t0 + 60s, key(1)));
  CHECK_FALSE(meter.is_loaded(t0 + 12s, key(2)));
  meter.pass(t0 + 60s, key(1));
  CHECK(meter.is_loaded(t0 + 60s, key(1)));
  CHECK_FALSE(meter.is_loaded(t0 + 61s, key(1)));  // the second one is out, too
}

TEST_CASE("of a crowd β pass in any interval of a window, no more and no less") {
  LoadMeter meter({}, {});
  const auto passed = crowd(meter, 37ms, 10min);
  REQUIRE(passed.size() >= 12 * 9);
  for (std::size_t i = 12; i < passed.size(); ++i) {
    CHECK(passed[i] - passed[i - 12] >= 60s);
    CHECK(passed[i] - passed[i - 12] < 60s + 37ms);
  }
}

TEST_CASE("a large limit is held by two counters: right for a steady stream, less than twice for any") {
  const std::size_t limit = 600;
  LoadMeter meter({.per_window = limit}, {});
  const auto passed = crowd(meter, 10ms, 20min);  // ten times what may pass
  const double mean = static_cast<double>(passed.size()) / 20;
  CHECK(mean > 0.9 * static_cast<double>(limit));
  CHECK(mean < 1.1 * static_cast<double>(limit));
  for (std::size_t i = 2 * limit; i < passed.size(); ++i) CHECK(passed[i] - passed[i - 2 * limit] >= 60s);

  LoadMeter below({.per_window = limit}, {});
  for (TimePoint now = t0; now < t0 + 5min; now += 110ms) {  // 545 a minute
    CHECK_FALSE(below.is_loaded(now, key(1)));
    below.pass(now, key(1));
  }
  CHECK_FALSE(below.is_loaded(t0 + 10min, key(1)));
}

TEST_CASE("a key that was silent for two windows starts anew") {
  LoadMeter meter({.per_window = 20}, {});
  for (int i = 0; i < 20; ++i) meter.pass(t0, key(1));
  CHECK(meter.is_loaded(t0, key(1)));
  CHECK(meter.is_loaded(t0 + 60s, key(1)));
  CHECK_FALSE(meter.is_loaded(t0 + 66s, key(1)));
  meter.pass(t0 + 3min, key(1));
  CHECK_FALSE(meter.is_loaded(t0 + 3min, key(1)));
}

TEST_CASE("what passed two windows ago takes no memory") {
  LoadMeterOptions options;
  options.per_window = 3;
  options.window = 10s;
  LoadMeter meter(options, SipKey{});
  Random random(7);
  for (int i = 0; i < 100; ++i) meter.pass(TimePoint(1s), random.id<Key>());
  CHECK(meter.key_count() == 100);
  for (int i = 0; i < 60; ++i) meter.pass(TimePoint(21s), Key{});
  CHECK(meter.key_count() == 1);
}

TEST_CASE("with a limit of none everything is turned back, and nothing is remembered") {
  LoadMeter meter({.per_window = 0}, {});
  CHECK(meter.is_loaded(t0, key(1)));
  meter.pass(t0, key(1));
  CHECK(meter.key_count() == 0);
}

TEST_CASE("of more keys than may be kept the one that saw no pass for the longest time is forgotten") {
  LoadMeter meter({.per_window = 1, .keys_max = 3}, {});
  for (std::uint32_t i = 1; i <= 3; ++i) meter.pass(t0, key(i));
  meter.pass(t0, key(1));
  meter.pass(t0, key(4));
  CHECK(meter.key_count() == 3);
  CHECK(meter.is_loaded(t0, key(1)));
  CHECK_FALSE(meter.is_loaded(t0, key(2)));
  CHECK(meter.is_loaded(t0, key(3)));
  CHECK(meter.is_loaded(t0, key(4)));
  for (std::uint32_t i = 0; i < 1000; ++i) meter.pass(t0, key(i));
  CHECK(meter.key_count() == 3);
}
