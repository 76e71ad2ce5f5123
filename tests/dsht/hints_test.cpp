#include "dsht/hints.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

// Empty text: a hop that did not answer.
probe::TraceResult trace_of(std::vector<std::string> addresses,
                            probe::TraceEnd end = probe::TraceEnd::reached) {
  probe::TraceResult out;
  out.end = end;
  for (const std::string& address : addresses) {
    probe::Hop hop;
    hop.ttl = static_cast<std::uint8_t>(out.hops.size() + 1);
    if (!address.empty()) hop.address = ip(address);
    hop.rtt = hop.ttl * 1ms;
    out.hops.push_back(hop);
  }
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("hints are the own prefix, the routers nearest first, and the routers' prefixes") {
  const std::vector<IpAddress> own = {ip("8.8.4.4"), ip("2600:1f00:1:2::3")};
  const std::vector traces = {trace_of({"9.1.1.1", "9.2.2.2", "20.0.0.9"})};
  CHECK(hint_names(own, traces, {}) ==
        Names{"8.8.4.0/24", "2600:1f00:1::/48", "9.1.1.1", "9.2.2.2", "9.1.1.0/24", "9.2.2.0/24"});
}

TEST_CASE("the target that a trace reached is no router; the last router that answered short of it is one") {
  CHECK(hint_names({}, std::vector{trace_of({"9.1.1.1"})}, {}).empty());
  CHECK(hint_names({}, std::vector{trace_of({"9.1.1.1"}, probe::TraceEnd::silent)}, {}) ==
        Names{"9.1.1.1", "9.1.1.0/24"});
}

TEST_CASE("what several traces share is named once, near routers of any before far ones") {
  const std::vector traces = {trace_of({"9.1.1.1", "9.2.2.2", "20.0.0.9"}),
                              trace_of({"9.1.1.1", "9.3.3.3", "20.0.0.9"}),
                              trace_of({"9.1.1.7", "9.2.2.9", "9.4.4.4", "20.0.0.9"})};
  CHECK(hint_names({}, traces, {}) == Names{"9.1.1.1", "9.1.1.7", "9.2.2.2", "9.3.3.3", "9.2.2.9", "9.4.4.4",
                                            "9.1.1.0/24", "9.2.2.0/24", "9.3.3.0/24", "9.4.4.0/24"});
}

TEST_CASE("routers beyond hops_max are left out, and silent ones leave no gap in the count") {
  const std::vector traces = {trace_of({"9.1.1.1", "", "9.3.3.3", "9.4.4.4"}, probe::TraceEnd::timed_out)};
  CHECK(hint_names({}, traces, {.hops_max = 3, .also = {}}) ==
        Names{"9.1.1.1", "9.3.3.3", "9.1.1.0/24", "9.3.3.0/24"});
}

TEST_CASE("addresses that are not public say nothing, unless the laboratory's prefixes hold them") {
  const std::vector<IpAddress> own = {ip("10.0.0.5"), ip("fd00::1")};
  const std::vector traces = {trace_of({"192.168.1.1", "100.64.0.1", "9.3.3.3"}, probe::TraceEnd::silent)};
  CHECK(hint_names(own, traces, {}) == Names{"9.3.3.3", "9.3.3.0/24"});
  const HintOptions laboratory{
      .hops_max = 5,
      .also = {IpPrefix::parse("10.0.0.0/8").value(), IpPrefix::parse("192.168.0.0/16").value()}};
  CHECK(hint_names(own, traces, laboratory) ==
        Names{"10.0.0.0/24", "192.168.1.1", "9.3.3.3", "192.168.1.0/24", "9.3.3.0/24"});
}

TEST_CASE("nothing known is no hint") { CHECK(hint_names({}, {}, {}).empty()); }

TEST_CASE("names near a target are the last routers before it, the nearest first, then their prefixes") {
  const auto way = trace_of({"9.1.1.1", "9.2.2.2", "9.3.3.3", "9.3.3.4", "20.0.0.9"});
  const std::vector<RouteName> two = {{"near 9.3.3.4", 1, 1ms},         {"near 9.3.3.3", 2, 2ms},
                                      {"near 9.3.3.0/24", 1, 1ms},      {"9.3.3.4", kPlainRank + 1, 1ms},
                                      {"9.3.3.3", kPlainRank + 2, 2ms}, {"9.3.3.0/24", kPlainRank + 1, 1ms}};
  CHECK(route_names(way, {.hops_max = 2, .also = {}}, 20ms) == two);
  CHECK(route_names(way, {}, 20ms).size() == 14);
}

TEST_CASE(
    "routers from which the target is far are not near it, and those between have their plain names only") {
  auto way = trace_of({"9.1.1.1", "9.2.2.2", "9.3.3.3", "20.0.0.9"});
  way.hops[1].rtt = 25ms;
  way.hops[2].rtt = 30ms;
  way.hops[3].rtt = 40ms;
  const std::vector<RouteName> names = {{"near 9.3.3.3", 1, 10ms},
                                        {"near 9.3.3.0/24", 1, 10ms},
                                        {"9.3.3.3", kPlainRank + 1, 10ms},
                                        {"9.2.2.2", kPlainRank + 2, 15ms},
                                        {"9.3.3.0/24", kPlainRank + 1, 10ms},
                                        {"9.2.2.0/24", kPlainRank + 2, 15ms}};
  CHECK(route_names(way, {}, 20ms) == names);
}

TEST_CASE("where the trace ends short of the target, the last that answered is the router next to it") {
  const auto way = trace_of({"9.1.1.1", "", "9.3.3.3"}, probe::TraceEnd::silent);
  const auto names = route_names(way, {}, 20ms);
  REQUIRE(names.size() == 8);
  CHECK(names[0] == RouteName{"near 9.3.3.3", 1, 0ms});
  CHECK(names[1] == RouteName{"near 9.1.1.1", 3, 2ms});
  CHECK(route_names(trace_of({}, probe::TraceEnd::silent), {}, 20ms).empty());
  CHECK(route_names(trace_of({"20.0.0.9"}), {}, 20ms).empty());
  CHECK(route_names(trace_of({"10.0.0.1", "20.0.0.9"}), {}, 20ms).empty());
}

TEST_CASE("near us are the routers whose round trip is half of level 2's, and their prefixes") {
  auto way = trace_of({"9.1.1.1", "9.2.2.2", "9.3.3.3", "20.0.0.9"});
  way.hops[1].rtt = 10ms;
  way.hops[2].rtt = 11ms;
  CHECK(near_names(std::vector{way}, {}) ==
        Names{"near 9.1.1.1", "near 9.2.2.2", "near 9.1.1.0/24", "near 9.2.2.0/24"});
  // A node near a target stands under a name that the trace to the target has.
  const auto wanted = route_names(trace_of({"7.7.7.7", "9.2.2.2", "9.2.2.9"}), {}, 20ms);
  CHECK(wanted[0].name == "near 9.2.2.2");
}
