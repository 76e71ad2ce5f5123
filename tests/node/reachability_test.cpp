#include "node/reachability.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;
using dsht::kServiceDns;
using dsht::kServiceProxy;

namespace {

constexpr TimePoint kStart{100h};
constexpr dsht::Services kBoth = kServiceProxy | kServiceDns;

dsht::Contact contact(std::uint8_t number) {
  dsht::Contact out;
  out.id.bytes[0] = number;
  out.rpc = {IpAddress::v4(9, 9, number, 1), 8091};
  out.http_port = 80;
  out.dns_port = 53;
  out.services = kBoth;
  return out;
}

using Contacts = std::vector<dsht::Contact>;

}  // namespace

TEST_CASE("nobody is named before what it says that it offers was reached") {
  Reachability reach({});
  const Contacts one = {contact(1)};
  CHECK(reach.reached(one[0]) == 0);
  REQUIRE(reach.due(kStart, one) == one);
  CHECK(reach.reached(one[0]) == 0);
  CHECK(reach.due(kStart + 1s, one).empty());  // under way
  reach.checked(kStart + 1s, one[0], kBoth);
  CHECK(reach.reached(one[0]) == kBoth);
}

TEST_CASE("what was reached counts before the node says that it serves it, and nothing of one that leaves") {
  Reachability reach({});
  Contacts one = {contact(1)};
  REQUIRE(reach.due(kStart, one).size() == 1);
  reach.checked(kStart, one[0], kBoth);
  one[0].services = kServiceDns;
  CHECK(reach.reached(one[0]) == kBoth);
  one[0].services = 0;
  CHECK(reach.reached(one[0]) == 0);
}

TEST_CASE("one is untried until it was visited, well or in vain, and not when it leaves") {
  Reachability reach({});
  Contacts two = {contact(1), contact(2)};
  CHECK(reach.is_untried(two[0]));
  REQUIRE(reach.due(kStart, two).size() == 2);
  CHECK(reach.is_untried(two[0]));
  reach.checked(kStart, two[0], kBoth);
  reach.checked(kStart, two[1], 0);
  CHECK_FALSE(reach.is_untried(two[0]));
  CHECK_FALSE(reach.is_untried(two[1]));
  Contacts leaving = {contact(3)};
  leaving[0].services = 0;
  CHECK_FALSE(reach.is_untried(leaving[0]));
}

TEST_CASE("one that was reached is visited again now and then, one that was not ever more rarely") {
  ReachabilityOptions options;
  Reachability reach(options);
  const Contacts one = {contact(1)};
  REQUIRE(reach.due(kStart, one).size() == 1);
  reach.checked(kStart, one[0], kBoth);
  CHECK(reach.due(kStart + options.again - 1s, one).empty());
  REQUIRE(reach.due(kStart + options.again, one).size() == 1);
  TimePoint now = kStart + options.again;
  for (const Duration wait : {5s, 10s, 20s, 40s}) {
    reach.checked(now, one[0], 0);
    CHECK(reach.due(now + wait - 1s, one).empty());
    now += wait;
    REQUIRE(reach.due(now, one).size() == 1);
  }
  for (int i = 0; i < 20; ++i) {
    reach.checked(now, one[0], 0);
    now += options.retry_max;
    REQUIRE(reach.due(now, one).size() == 1);
  }
}

TEST_CASE("one failure is chance, two in a row take a node out") {
  Reachability reach({});
  const Contacts one = {contact(1)};
  REQUIRE(reach.due(kStart, one).size() == 1);
  reach.checked(kStart, one[0], kBoth);
  REQUIRE(reach.due(kStart + 1h, one).size() == 1);
  reach.checked(kStart + 1h, one[0], kServiceDns);
  CHECK(reach.reached(one[0]) == kBoth);
  REQUIRE(reach.due(kStart + 2h, one).size() == 1);
  reach.checked(kStart + 2h, one[0], kServiceDns);
  CHECK(reach.reached(one[0]) == kServiceDns);
}

TEST_CASE("a node that moved or changed a port is visited anew before it is named again") {
  Reachability reach({});
  Contacts one = {contact(1)};
  REQUIRE(reach.due(kStart, one).size() == 1);
  reach.checked(kStart, one[0], kBoth);
  one[0].http_port = 8080;
  CHECK(reach.reached(one[0]) == 0);
  REQUIRE(reach.due(kStart + 1s, one) == one);
  reach.checked(kStart + 1s, one[0], kBoth);
  CHECK(reach.reached(one[0]) == kBoth);
  CHECK(reach.reached(contact(1)) == 0);
}

TEST_CASE("visits are few at once, and who offers nothing is not visited") {
  ReachabilityOptions options;
  options.running_max = 3;
  Reachability reach(options);
  Contacts many;
  for (std::uint8_t i = 1; i <= 5; ++i) many.push_back(contact(i));
  many[0].http_port = many[0].dns_port = 0;
  CHECK(reach.due(kStart, many).size() == 3);
  CHECK(reach.due(kStart, many).empty());
  reach.checked(kStart, many[1], kBoth);
  CHECK(reach.due(kStart, many) == Contacts{many[4]});
}

TEST_CASE("so many are remembered: who was wanted the longest time ago is forgotten") {
  ReachabilityOptions options;
  options.remembered_max = 2;
  Reachability reach(options);
  for (std::uint8_t i = 1; i <= 3; ++i) {
    const Contacts one = {contact(i)};
    REQUIRE(reach.due(kStart + i * 1s, one).size() == 1);
    reach.checked(kStart + i * 1s, one[0], kBoth);
  }
  CHECK(reach.due(kStart + 10s, Contacts{contact(3)}).empty());
  CHECK(reach.remembered() == 2);
  CHECK(reach.reached(contact(1)) == 0);
  CHECK(reach.reached(contact(3)) == kBoth);
}

TEST_CASE("we count as seen while others visit us") {
  ReachabilityOptions options;
  Reachability reach(options);
  CHECK(!reach.is_seen(kStart));
  reach.note_visits(kStart, 0);
  CHECK(!reach.is_seen(kStart));
  reach.note_visits(kStart + 1s, 1);
  CHECK(reach.is_seen(kStart + 1s));
  reach.note_visits(kStart + 10min, 1);
  CHECK(reach.is_seen(kStart + options.seen_for));
  CHECK(!reach.is_seen(kStart + 1s + options.seen_for));
  reach.note_visits(kStart + 2h, 2);
  CHECK(reach.is_seen(kStart + 2h));
}

TEST_CASE("switched off, everybody's word is taken and nobody is visited") {
  ReachabilityOptions options;
  options.enabled = false;
  Reachability reach(options);
  CHECK(reach.due(kStart, Contacts{contact(1)}).empty());
  CHECK(reach.reached(contact(1)) == kBoth);
  CHECK(reach.is_seen(kStart));
}
