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
