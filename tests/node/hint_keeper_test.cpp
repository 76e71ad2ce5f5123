#include "node/hint_keeper.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{100h};

dsht::Neighbour contact(std::uint8_t network, Duration rtt) {
  dsht::Neighbour out;
  out.contact.id.bytes[0] = network;
  out.contact.rpc = {IpAddress::v4(9, 9, network, 1), 8091};
  out.rtt = rtt;
  return out;
}

// Contacts at 1, 2, … `count` ms, in networks of the same number.
std::vector<dsht::Neighbour> contacts(std::uint8_t count) {
  std::vector<dsht::Neighbour> out;
  for (std::uint8_t i = 1; i <= count; ++i) out.push_back(contact(i, i * 1ms));
  return out;
}

probe::TraceResult through(const IpAddress& router, Duration rtt = 1ms) {
  probe::TraceResult out;
  out.end = probe::TraceEnd::silent;
  out.hops.push_back({.ttl = 1, .address = router, .rtt = rtt, .inferred = false});
  return out;
}
probe::TraceResult ended(probe::TraceEnd end) {
  probe::TraceResult out;
  out.end = end;
  return out;
}

std::set<IpAddress> as_set(const std::vector<IpAddress>& list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("ways are traced as soon as there is somebody, to as many as are known, three in all") {
  HintKeeper keeper({}, Random(1));
  CHECK(keeper.due(kStart, {}).empty());
  CHECK(keeper.due(kStart, contacts(1)) == std::vector{IpAddress::v4(9, 9, 1, 1)});
  CHECK(keeper.due(kStart + 1s, contacts(1)).empty());
  CHECK(keeper.due(kStart + 2s, contacts(9)).size() == 2);
  CHECK(keeper.due(kStart + 3s, contacts(9)).empty());
}

TEST_CASE("targets are far ones by lot, each of another network") {
  std::set<IpAddress> seen;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    HintKeeper keeper({}, Random(seed));
    const auto targets = keeper.due(kStart, contacts(20));
    CHECK(as_set(targets).size() == 3);
    for (const IpAddress& target : targets) CHECK(target.bytes()[14] > 8);  // the farther half of those left
    seen.merge(as_set(targets));
  }
  CHECK(seen.size() > 6);
}

TEST_CASE("after a period other ways are traced; the same again only where there are no others") {
  HintKeeper keeper({}, Random(1));
  const auto first = keeper.due(kStart, contacts(20));
  CHECK(keeper.due(kStart + 29min, contacts(20)).empty());
  const auto second = keeper.due(kStart + 30min, contacts(20));
  CHECK(second.size() == 3);
  for (const IpAddress& target : second) CHECK(as_set(first).count(target) == 0);

  HintKeeper small({}, Random(1));
  CHECK(small.due(kStart, contacts(2)).size() == 2);
  CHECK(small.due(kStart + 30min, contacts(2)).size() == 2);
}

TEST_CASE("a way that showed nothing is made up for by another, but not for ever") {
  HintKeeper keeper({}, Random(1));
  std::size_t asked = 0;
  for (int second = 0; second < 60; ++second) {
    for (std::size_t i = keeper.due(kStart + second * 1s, contacts(200)).size(); i > 0; --i) {
      ++asked;
      keeper.traced(ended(probe::TraceEnd::over_budget));
    }
  }
  CHECK(asked == 9);
  CHECK(keeper.due(kStart + 30min, contacts(200)).size() == 3);
}

TEST_CASE("contacts that are not public, or that never answered us, are not traced unless the laboratory's") {
  auto known = contacts(3);
  known[0].contact.rpc.address = IpAddress::v4(10, 0, 0, 1);
  known[1].rtt.reset();
  HintKeeper keeper({}, Random(1));
  CHECK(keeper.due(kStart, known) == std::vector{known[2].contact.rpc.address});
  HintKeeperOptions laboratory;
  laboratory.hints.also = {IpPrefix::parse("10.0.0.0/8").value()};
  HintKeeper private_too(laboratory, Random(1));
  CHECK(private_too.due(kStart, known).size() == 2);
}

TEST_CASE("names are told when they change, and the latest traces are what counts") {
  HintKeeper keeper({}, Random(1));
  CHECK_FALSE(keeper.changed_names({}).has_value());
  const std::vector own = {IpAddress::v4(9, 8, 7, 6)};
  CHECK(keeper.changed_names(own) == std::vector<std::string>{"9.8.7.0/24"});
  CHECK_FALSE(keeper.changed_names(own).has_value());
  for (std::uint8_t i = 1; i <= 4; ++i) keeper.traced(through(IpAddress::v4(9, 1, i, 1)));
  const auto names = keeper.changed_names(own);
  REQUIRE(names.has_value());
  CHECK(std::count(names->begin(), names->end(), "9.1.1.1") == 0);
  CHECK(std::count(names->begin(), names->end(), "9.1.4.1") == 1);
  CHECK(keeper.names() == *names);
}

TEST_CASE("our own line costs what the first public router takes, at its best") {
  HintKeeper keeper({}, Random(1));
  CHECK_FALSE(keeper.last_mile().has_value());
  keeper.traced(through(IpAddress::v4(192, 168, 1, 1), 1ms));
  CHECK_FALSE(keeper.last_mile().has_value());
  keeper.traced(through(IpAddress::v4(9, 1, 1, 1), 7ms));
  keeper.traced(through(IpAddress::v4(9, 1, 2, 1), 6ms));
  CHECK(keeper.last_mile() == 6ms);
}

TEST_CASE("switched off it traces nothing and has no names") {
  HintKeeperOptions off;
  off.enabled = false;
  HintKeeper keeper(off, Random(1));
  CHECK(keeper.due(kStart, contacts(9)).empty());
  CHECK_FALSE(keeper.changed_names(std::vector{IpAddress::v4(9, 8, 7, 6)}).has_value());
}
