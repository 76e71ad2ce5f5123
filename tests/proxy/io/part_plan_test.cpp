#include "proxy/io/part_plan.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "base/random.h"
#include "proxy/io/peer_record.h"

using namespace reef;         // NOLINT
using namespace reef::proxy;  // NOLINT

using Range = PartPlan::Range;

TEST_CASE("parts are handed out from the front, and the prefix ends at the first byte that is not here") {
  PartPlan plan(1000, 100, 1);
  CHECK(plan.prefix() == 100);
  CHECK_FALSE(plan.missing());
  plan.shorten(1, 200);
  CHECK(plan.missing() == Range{300, 1000});
  CHECK(plan.take(2, 300) == Range{300, 600});
  CHECK(plan.take(3, 1000) == Range{600, 1000});
  plan.arrived(2, 300);
  CHECK(plan.prefix() == 100);
  plan.arrived(1, 200);
  CHECK(plan.prefix() == 600);
  CHECK(plan.claim(1)->empty());
  CHECK_FALSE(plan.is_whole());
  plan.arrived(3, 400);
  CHECK(plan.is_whole());
}

TEST_CASE("what a source did not bring is missing again, and missing neighbours are one") {
  PartPlan plan(1000, 0, 1);
  plan.shorten(1, 100);
  plan.take(2, 100);
  plan.take(3, 100);
  plan.arrived(2, 30);
  plan.release(2);
  CHECK(plan.missing() == Range{130, 200});
  plan.release(3);
  CHECK(plan.missing() == Range{130, 1000});
  plan.release(3);
  plan.release(1);
  CHECK(plan.missing() == Range{0, 100});
  CHECK(plan.take(4, 1000) == Range{0, 100});
  CHECK(plan.missing() == Range{130, 1000});
}

TEST_CASE("a claim goes on over what is missing behind it, and over nothing else") {
  PartPlan plan(1000, 0, 1);
  plan.shorten(1, 100);
  CHECK(plan.extend(1, 50));
  CHECK(plan.claim(1) == Range{0, 150});
  plan.take(2, 100);
  CHECK_FALSE(plan.extend(1, 50));
  CHECK(plan.extend(2, 10'000));
  CHECK(plan.claim(2) == Range{150, 1000});
  CHECK_FALSE(plan.extend(2, 1));
}

TEST_CASE("whatever the sources do, every byte is brought once and none is forgotten") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::uint64_t total = 1 + random.below(500);
    std::vector<int> brought(total, 0);
    const std::uint64_t here = random.below(total);
    for (std::uint64_t i = 0; i < here; ++i) brought[i] = 1;
    PartPlan plan(total, here, 1);
    PartPlan::Owner last = 1;
    for (int step = 0; step < 100'000 && !plan.is_whole(); ++step) {
      const auto claims = plan.claims();
      if (plan.missing() && (claims.empty() || random.below(4) == 0)) {
        static_cast<void>(plan.take(++last, 1 + random.below(100)));
        continue;
      }
      const PartPlan::Claim claim = claims[random.below(claims.size())];
      switch (random.below(8)) {
        case 0:
          plan.release(claim.owner);
          break;
        case 1:
          plan.shorten(claim.owner, random.below(claim.left.size() + 1));
          break;
        case 2:
          static_cast<void>(plan.extend(claim.owner, 1 + random.below(50)));
          break;
        default: {
          const std::uint64_t count = random.below(claim.left.size() + 1);
          for (std::uint64_t i = 0; i < count; ++i) ++brought[claim.left.at + i];
          plan.arrived(claim.owner, count);
        }
      }
      std::uint64_t prefix = 0;
      while (prefix < total && brought[prefix] > 0) ++prefix;
      REQUIRE(plan.prefix() == prefix);
    }
    CHECK(plan.is_whole());
    for (const int times : brought) REQUIRE(times == 1);
  }
}

TEST_CASE(
    "a peer that failed is remembered for a while, one that lied for longer, and not too many of them") {
  PeerOptions options;
  options.faults_max = 3;
  PeerRecord record(options);
  const auto peer = [](std::uint16_t port) { return Endpoint{IpAddress::v4(192, 0, 2, 1), port}; };
  const TimePoint start{};
  CHECK(record.fault_of(peer(1), start) == PeerFault::none);
  record.note(peer(1), PeerFault::failed, start);
  record.note(peer(2), PeerFault::lied, start);
  record.note(peer(2), PeerFault::failed, start);
  CHECK(record.fault_of(peer(1), start) == PeerFault::failed);
  CHECK(record.fault_of(peer(2), start) == PeerFault::lied);
  CHECK(record.fault_of(peer(1), start + options.avoid_failed) == PeerFault::none);
  CHECK(record.fault_of(peer(2), start + options.avoid_failed) == PeerFault::lied);
  CHECK(record.fault_of(peer(2), start + options.avoid_lying) == PeerFault::none);
  for (std::uint16_t port = 3; port < 100; ++port) record.note(peer(port), PeerFault::failed, start);
  CHECK(record.size() == 3);
  CHECK(record.fault_of(peer(3), start) == PeerFault::failed);
  CHECK(record.fault_of(peer(99), start) == PeerFault::none);
  record.note(peer(99), PeerFault::failed, start + options.avoid_failed);
  CHECK(record.fault_of(peer(99), start + options.avoid_failed) == PeerFault::failed);
  CHECK(record.fault_of(peer(2), start + options.avoid_failed) == PeerFault::lied);
}
