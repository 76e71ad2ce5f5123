#include "probe/budget.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::probe;
using namespace std::chrono_literals;
using Verdict = Budget::Verdict;

namespace {
constexpr TimePoint t0{1000s};
IpAddress ip(const char* text) { return *IpAddress::parse(text); }
}  // namespace

TEST_CASE("private, loopback, multicast and reserved addresses are never probed") {
  Budget budget({});
  for (const char* text :
       {"10.0.0.1", "192.168.1.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "169.254.1.1",
        "100.64.0.1", "::1", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1"}) {
    CHECK(budget.take(t0, ip(text), 1) == Verdict::not_allowed);
  }
  CHECK(budget.take(t0, ip("8.8.8.8"), 1) == Verdict::granted);
  CHECK(budget.take(t0, ip("2606:4700::1"), 1) == Verdict::granted);
}

TEST_CASE("a laboratory may allow its own prefixes, and the list of those never to be probed is stronger") {
  BudgetOptions options;
  options.also_allowed = {*IpPrefix::parse("10.0.0.0/8")};
  options.never = {*IpPrefix::parse("10.9.0.0/16"), *IpPrefix::parse("8.8.8.0/24")};
  Budget budget(options);
  CHECK(budget.take(t0, ip("10.0.0.1"), 1) == Verdict::granted);
  CHECK(budget.take(t0, ip("10.9.0.1"), 1) == Verdict::not_allowed);
  CHECK(budget.take(t0, ip("8.8.8.8"), 1) == Verdict::not_allowed);
  CHECK(budget.take(t0, ip("192.168.0.1"), 1) == Verdict::not_allowed);
}

TEST_CASE("a network has its share in an interval, whichever of its addresses is asked for") {
  BudgetOptions options;
  options.per_network = 2;
  options.network_interval = 1h;
  Budget budget(options);
  CHECK(budget.take(t0, ip("8.8.8.8"), 1) == Verdict::granted);
  CHECK(budget.take(t0 + 30min, ip("8.8.8.9"), 1) == Verdict::granted);
  CHECK(budget.take(t0 + 59min, ip("8.8.8.10"), 1) == Verdict::network_spent);
  CHECK(budget.take(t0 + 59min, ip("8.8.9.8"), 1) == Verdict::granted);
  CHECK(budget.take(t0 + 60min, ip("8.8.8.10"), 1) == Verdict::granted);
  CHECK(budget.take(t0, ip("2606:4700:1:1::1"), 1) == Verdict::granted);
  CHECK(budget.take(t0, ip("2606:4700:1:2::1"), 1) == Verdict::granted);
  CHECK(budget.take(t0, ip("2606:4700:1:3::1"), 1) == Verdict::network_spent);
}

TEST_CASE("all measurements together have a budget of packets, and give back what they did not need") {
  BudgetOptions options;
  options.packets_per_second = 10;
  options.packets_burst = 60;
  Budget budget(options);
  CHECK(budget.take(t0, ip("8.8.1.1"), 40) == Verdict::granted);
  CHECK(budget.take(t0, ip("8.8.2.1"), 40) == Verdict::packets_spent);
  budget.give_back(25);
  CHECK(budget.take(t0, ip("8.8.2.1"), 40) == Verdict::granted);
  CHECK(budget.take(t0 + 1s, ip("8.8.3.1"), 20) == Verdict::packets_spent);
  CHECK(budget.take(t0 + 2s, ip("8.8.3.1"), 20) == Verdict::granted);
}

TEST_CASE("a refused measurement spends nothing") {
  BudgetOptions options;
  options.per_network = 1;
  options.packets_burst = 10;
  options.packets_per_second = 0;
  Budget budget(options);
  CHECK(budget.take(t0, ip("8.8.8.8"), 11) == Verdict::packets_spent);
  CHECK(budget.take(t0, ip("8.8.8.8"), 5) == Verdict::granted);
  CHECK(budget.take(t0, ip("8.8.8.8"), 5) == Verdict::network_spent);
  CHECK(budget.take(t0, ip("8.8.9.8"), 5) == Verdict::granted);
}

TEST_CASE(
    "the memory of networks is bounded: no room is a refusal until the oldest have had their interval") {
  BudgetOptions options;
  options.networks_max = 10;
  options.packets_per_second = 1e6;
  Budget budget(options);
  for (std::uint32_t i = 0; i < 10; ++i) {
    CHECK(budget.take(t0, IpAddress::v4(0x08080000 + (i << 8)), 1) == Verdict::granted);
  }
  CHECK(budget.take(t0 + 1s, ip("9.9.9.9"), 1) == Verdict::network_spent);
  CHECK(budget.take(t0 + 1h, ip("9.9.9.9"), 1) == Verdict::granted);
}
