#include "node/locator.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;

namespace {

const IpAddress kClient = IpAddress::v4(20, 1, 2, 53);
const IpPrefix kNetwork = IpPrefix::around(kClient, 24);

dsht::Contact contact(std::uint8_t number) {
  dsht::Contact out;
  out.id.bytes[0] = number;
  out.rpc = {IpAddress::v4(9, 9, number, 1), 8091};
  out.http_port = 80;
  out.services = dsht::kServiceProxy;
  return out;
}

// What a look-up found: `number` named by the hint of that index, so far from us.
struct Near {
  std::uint8_t number;
  std::size_t hint;
  Duration rtt;
};
dsht::NodesNear found(const std::vector<Near>& nodes) {
  dsht::NodesNear out;
  for (const Near& near : nodes) {
    out.nodes.push_back({contact(near.number), near.rtt, {}, 0});
    out.named_by.push_back(near.hint);
  }
  out.complete = true;
  return out;
}

probe::TraceResult trace(const std::vector<std::pair<IpAddress, Duration>>& hops,
                         probe::TraceEnd end = probe::TraceEnd::reached) {
  probe::TraceResult out;
  out.end = end;
  for (const auto& [address, rtt] : hops) {
    probe::Hop hop;
    hop.ttl = static_cast<std::uint8_t>(out.hops.size() + 1);
    hop.address = address;
    hop.rtt = rtt;
    out.hops.push_back(hop);
  }
  return out;
}

// The way to the client: our own routers, then two of its own.
probe::TraceResult way_to_client() {
  return trace({{IpAddress::v4(9, 0, 0, 1), 1ms},
                {IpAddress::v4(9, 0, 1, 1), 3ms},
                {IpAddress::v4(20, 0, 1, 1), 36ms},
                {IpAddress::v4(20, 0, 0, 1), 39ms},
                {kClient, 40ms}});
}

const std::vector<std::string> kRouteNames = {"near 20.0.0.1",    "near 20.0.1.1", "near 20.0.0.0/24",
                                              "near 20.0.1.0/24", "20.0.0.1",      "20.0.1.1",
                                              "20.0.0.0/24",      "20.0.1.0/24"};

struct Fixture {
  explicit Fixture(LocatorOptions options = {}) : locator(std::move(options)) {}

  void take() {
    std::vector<Locator::Action> actions;
    locator.take_actions(actions);
    for (Locator::Action& action : actions) {
      if (auto* ping = std::get_if<Locator::Ping>(&action)) pings.push_back(*ping);
      if (auto* way = std::get_if<Locator::Trace>(&action)) traces.push_back(*way);
      if (auto* search = std::get_if<Locator::Search>(&action)) searches.push_back(*search);
      if (auto* located = std::get_if<Locator::Located>(&action)) results.push_back(*located);
    }
  }
  void ask(const IpAddress& client = kClient) {
    locator.request(IpPrefix::around(client, 24), client);
    take();
  }
  void pinged(std::optional<Duration> rtt) {
    locator.on_ping(pings.back().id, rtt);
    take();
  }
  void searched(const std::vector<Near>& nodes) {
    locator.on_found(searches.back().id, found(nodes));
    take();
  }
  void traced(const probe::TraceResult& result) {
    locator.on_trace(traces.back().id, result);
    take();
  }
  [[nodiscard]] std::vector<int> near() const {
    std::vector<int> out;
    for (const NearNode& node : results.back().finding.near) out.push_back(node.contact.id.bytes[0]);
    return out;
  }
  [[nodiscard]] const Finding& last() const { return results.back().finding; }
  [[nodiscard]] bool is_final() const { return !results.empty() && results.back().is_final; }

  Locator locator;
  std::vector<Locator::Ping> pings;
  std::vector<Locator::Trace> traces;
  std::vector<Locator::Search> searches;
  std::vector<Locator::Located> results;
};

}  // namespace

TEST_CASE("a client is pinged, and nodes under its prefix are looked for at the same time") {
  Fixture f;
  f.ask();
  REQUIRE(f.pings.size() == 1);
  CHECK(f.pings[0].target == kClient);
  REQUIRE(f.searches.size() == 1);
  CHECK(f.searches[0].names == std::vector<std::string>{"20.1.2.0/24"});
  CHECK(f.results.empty());
}

TEST_CASE("the level follows from the measured round trip: below 20 ms 2, below 60 ms 1, else 0") {
  const auto level_at = [](Duration rtt) {
    Fixture f;
    f.ask();
    f.pinged(rtt);
    // Told before the nodes near it are known: somebody may wait for the level.
    REQUIRE(f.results.size() == 1);
    CHECK(!f.is_final());
    f.searched({{1, 0, rtt}});
    CHECK(f.is_final());
    CHECK(f.last().source == FindingSource::rtt);
    CHECK(f.last().rtt == rtt);
    return static_cast<int>(f.last().level);
  };
  CHECK(level_at(1ms) == 2);
  CHECK(level_at(20ms - 1ns) == 2);
  CHECK(level_at(20ms) == 1);
  CHECK(level_at(60ms - 1ns) == 1);
  CHECK(level_at(60ms) == 0);
  CHECK(level_at(300ms) == 0);
}

TEST_CASE(
    "of a client that does not answer pings, nodes of its prefix say how far it is, and nothing is traced") {
  Fixture f;
  f.ask();
  f.pinged(std::nullopt);
  f.searched({{1, 0, 25ms}, {2, 0, 30ms}});
  CHECK(f.is_final());
  CHECK(f.last().source == FindingSource::prefix);
  CHECK(f.last().level == 1);
  CHECK(f.last().rtt == 25ms);
  CHECK(f.near() == std::vector{1, 2});
  CHECK(f.traces.empty());
}

TEST_CASE(
    "where nobody stands under the prefix, the routers next to the client are asked for, the nearest first") {
  Fixture f;
  f.ask();
  f.pinged(40ms);
  f.searched({});
  REQUIRE(f.traces.size() == 1);
  CHECK(!f.is_final());
  f.traced(way_to_client());
  REQUIRE(f.searches.size() == 2);
  // Our own routers are 37 ms from the client: not near it.
  CHECK(f.searches[1].names == kRouteNames);
  f.searched({{1, 1, 38ms}, {2, 0, 45ms}, {3, 2, 41ms}});
  CHECK(f.is_final());
  // What remains of both ways behind the router that named them: 1 + 2 ms, 4 + 2 ms, 1 + 6 ms.
  CHECK(f.near() == std::vector{3, 1, 2});
  CHECK(f.last().near[0].away == 3ms);
  CHECK(f.last().near[1].away == 6ms);
  CHECK(f.last().near[2].away == 7ms);
  CHECK(f.last().near[0].rank == 1);
  CHECK(f.last().near[1].rank == 2);
  CHECK(f.last().source == FindingSource::rtt);
  CHECK(f.last().level == 1);
}

TEST_CASE(
    "a node whose distance from us shows that it is far from the client is not near it, whatever hint names "
    "it") {
  Fixture f;
  f.ask();
  f.pinged(100ms);
  f.searched({{1, 0, 70ms}, {2, 0, 85ms}, {3, 0, 130ms}});
  CHECK(f.near() == std::vector{2});
}

TEST_CASE("without an answer to pings, a trace that reaches the client measures it") {
  Fixture f;
  f.ask();
  f.pinged(std::nullopt);
  f.searched({});
  f.traced(way_to_client());
  CHECK(f.last().source == FindingSource::rtt);
  CHECK(f.last().rtt == 40ms);
  f.searched({});
  CHECK(f.is_final());
  CHECK(f.last().level == 1);
  CHECK(f.near().empty());
}

TEST_CASE("a trace that ends short of the client says at least how far the last router is") {
  Fixture f;
  f.ask();
  f.pinged(std::nullopt);
  f.searched({});
  f.traced(
      trace({{IpAddress::v4(9, 0, 0, 1), 1ms}, {IpAddress::v4(20, 0, 0, 1), 15ms}}, probe::TraceEnd::silent));
  CHECK(f.last().source == FindingSource::route);
  CHECK(f.last().level == 2);
  SUBCASE("nodes under its name that are further say more") {
    f.searched({{1, 0, 30ms}});
    CHECK(f.last().source == FindingSource::route);
    CHECK(f.last().rtt == 30ms);
    CHECK(f.last().level == 1);
  }
  SUBCASE("nearer ones do not make the client nearer than the router") {
    f.searched({{1, 0, 5ms}});
    CHECK(f.last().rtt == 15ms);
  }
}

TEST_CASE("a client of which nothing can be found out is at level 0, and that is said too") {
  Fixture f;
  f.ask();
  f.pinged(std::nullopt);
  f.searched({});
  f.traced(trace({}, probe::TraceEnd::silent));
  CHECK(f.is_final());
  CHECK(f.last().source == FindingSource::none);
  CHECK(f.last().level == 0);
  CHECK(f.locator.counters().unknown.value() == 1);
}

TEST_CASE("addresses that are not public are neither probed nor looked up, unless they are allowed") {
  const IpAddress inside = IpAddress::v4(10, 0, 0, 53);
  {
    Fixture f;
    f.ask(inside);
    CHECK(f.pings.empty());
    CHECK(f.searches.empty());
    CHECK(f.is_final());
    CHECK(f.last().source == FindingSource::none);
  }
  LocatorOptions allowing;
  allowing.hints.also = {IpPrefix::around(inside, 8)};
  Fixture f(allowing);
  f.ask(inside);
  CHECK(f.pings.size() == 1);
  CHECK(f.searches.size() == 1);
}

TEST_CASE("we are near a client who stands where we stand") {
  Fixture f;
  f.locator.set_own({"8.8.8.0/24", "near 20.0.0.0/24"}, contact(99));
  f.ask();
  f.pinged(4ms);
  f.searched({});
  f.traced(trace({{IpAddress::v4(20, 0, 0, 1), 2ms}, {kClient, 4ms}}));
  f.searched({{1, 0, 3ms}, {2, 0, 15ms}});
  CHECK(f.near() == std::vector{1, 99, 2});
  CHECK(f.last().near[1].away == 4ms);
}

TEST_CASE("one inquiry a prefix runs at a time, so many at once, and so many wait") {
  LocatorOptions few;
  few.running_max = 2;
  few.waiting_max = 1;
  Fixture f(few);
  f.ask();
  f.ask(IpAddress::v4(20, 1, 2, 99));
  CHECK(f.pings.size() == 1);
  CHECK(f.locator.counters().deduplicated.value() == 1);
  f.ask(IpAddress::v4(20, 1, 3, 1));
  f.ask(IpAddress::v4(20, 1, 4, 1));
  f.ask(IpAddress::v4(20, 1, 4, 1));
  f.ask(IpAddress::v4(20, 1, 5, 1));
  CHECK(f.pings.size() == 2);
  CHECK(f.locator.waiting() == 1);
  CHECK(f.locator.counters().deduplicated.value() == 2);
  CHECK(f.locator.counters().overflowed.value() == 1);
  // The first ends: the one that waits begins.
  f.locator.on_ping(f.pings[0].id, 5ms);
  f.locator.on_found(f.searches[0].id, found({{1, 0, 5ms}}));
  f.take();
  REQUIRE(f.pings.size() == 3);
  CHECK(f.pings[2].target == IpAddress::v4(20, 1, 4, 1));
  CHECK(f.locator.running() == 2);
  CHECK(f.locator.waiting() == 0);
  // It may be asked for again now.
  f.ask();
  CHECK(f.locator.waiting() == 1);
}

TEST_CASE(
    "where an earlier finding holds, only the nodes near it are looked for, by prefix and route at once") {
  Fixture f;
  f.ask();
  f.pinged(40ms);
  f.searched({});
  f.traced(way_to_client());
  f.searched({{1, 0, 41ms}});
  const Finding known = f.last();
  REQUIRE(known.route);

  Fixture again;
  again.locator.request(kNetwork, kClient, known);
  again.take();
  // It seemed far: the next round trip may be less.
  CHECK(again.pings.size() == 1);
  again.pinged(45ms);
  REQUIRE(again.searches.size() == 1);
  std::vector<std::string> names = {"20.1.2.0/24"};
  names.insert(names.end(), kRouteNames.begin(), kRouteNames.end());
  CHECK(again.searches[0].names == names);
  again.searched({{7, 0, 39ms}, {1, 1, 41ms}});
  CHECK(again.is_final());
  CHECK(again.near() == std::vector{7, 1});
  CHECK(again.last().rtt == 40ms);
  CHECK(again.last().source == FindingSource::rtt);
  CHECK(again.last().route == known.route);
  CHECK(again.traces.empty());
}

TEST_CASE("the least round trip of all that were measured counts") {
  Fixture f;
  f.ask();
  f.pinged(70ms);
  CHECK(f.last().level == 0);
  f.searched({});
  f.traced(way_to_client());
  CHECK(f.last().rtt == 40ms);
  CHECK(f.last().level == 1);
  f.searched({{1, 0, 41ms}});
  Fixture again;
  again.locator.request(kNetwork, kClient, f.last());
  again.take();
  again.searched({{1, 1, 41ms}});
  again.pinged(15ms);
  CHECK(again.last().rtt == 15ms);
  CHECK(again.last().level == 2);
  // Near enough: it is not pinged any more.
  Fixture third;
  third.locator.request(kNetwork, kClient, again.last());
  third.take();
  CHECK(third.pings.empty());
}

TEST_CASE("where a trace had shown nobody, it is made again") {
  Fixture f;
  f.ask();
  f.pinged(10ms);
  f.searched({});
  f.traced(way_to_client());
  f.searched({});
  REQUIRE(f.is_final());
  REQUIRE(f.last().route.has_value());
  Fixture again;
  again.locator.request(kNetwork, kClient, f.last());
  again.take();
  again.searched({});
  REQUIRE(again.traces.size() == 1);
  SUBCASE("it shows other routers: these count from then on") {
    again.traced(trace({{IpAddress::v4(20, 0, 9, 1), 39ms}, {kClient, 40ms}}));
    again.searched({{1, 0, 41ms}});
    CHECK(again.last().route->front().name == "near 20.0.9.1");
  }
  SUBCASE("it cannot be made, or shows nothing: the routers of the first stay") {
    SUBCASE("") { again.traced(trace({}, probe::TraceEnd::over_budget)); }
    SUBCASE("") { again.traced(trace({}, probe::TraceEnd::silent)); }
    CHECK(again.is_final());
    CHECK(again.last().route == f.last().route);
    CHECK(again.traces.size() == 1);
  }
}

TEST_CASE("nodes near a client that all went away are found again when they come back, without a trace") {
  Fixture f;
  f.ask();
  f.pinged(10ms);
  f.searched({});
  f.traced(way_to_client());
  f.searched({{1, 0, 11ms}});
  const auto refresh = [](const Finding& known, const std::vector<Near>& there) {
    Fixture again;
    again.locator.request(kNetwork, kClient, known);
    again.take();
    again.searched(there);
    if (!again.traces.empty()) again.traced(trace({}, probe::TraceEnd::over_budget));
    REQUIRE(again.is_final());
    return again.last();
  };
  const Finding gone = refresh(refresh(f.last(), {}), {});
  CHECK(gone.near.empty());
  const Finding back = refresh(gone, {{1, 1, 11ms}});  // the names: the prefix, then the routers
  REQUIRE(back.near.size() == 1);
  CHECK(back.near[0].contact.id == contact(1).id);
}

TEST_CASE("a finding without a trace gets one when nobody stands under its prefix any more") {
  Fixture f;
  Finding known;
  known.source = FindingSource::rtt;
  known.rtt = 10ms;
  known.level = 2;
  f.locator.request(kNetwork, kClient, known);
  f.take();
  f.searched({});
  REQUIRE(f.traces.size() == 1);
  SUBCASE("made") {
    f.traced(way_to_client());
    f.searched({});
    CHECK(f.last().route.has_value());
  }
  SUBCASE("over the budget: it is tried again the next time") {
    f.traced(trace({}, probe::TraceEnd::over_budget));
    CHECK(!f.last().route.has_value());
  }
  CHECK(f.is_final());
  CHECK(f.last().level == 2);
  CHECK(f.last().rtt == 10ms);
}

TEST_CASE("answers to inquiries that have ended change nothing") {
  Fixture f;
  f.ask();
  f.pinged(5ms);
  f.searched({{1, 0, 5ms}});
  REQUIRE(f.is_final());
  const std::size_t results = f.results.size();
  f.locator.on_ping(f.pings[0].id, 1ms);
  f.locator.on_found(f.searches[0].id, found({{2, 0, 5ms}}));
  f.locator.on_trace(f.searches[0].id, way_to_client());
  f.take();
  CHECK(f.results.size() == results);
}
