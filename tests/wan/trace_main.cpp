// reef_wan_trace: the node's own traceroute between many pairs of hosts of the emulated Internet, from one
// process.
//
//   reef_wan_trace AT_ONCE < PAIRS
//
// A line of PAIRS has the sender's network namespace and the target's address. A pair waits while another one
// has the same sender or target, so that none disturbs another. Prints a JSON line for each, in the order in
// which they ended.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <charconv>
#include <csignal>
#include <iostream>
#include <list>
#include <set>
#include <sstream>
#include <string>

#include "probe/io/prober.h"
#include "tests/wan/io/netns.h"

namespace {

using namespace reef;

struct Pair {
  std::string netns;
  IpAddress target;
};

std::string json(const Pair& pair, const probe::TraceResult& result) {
  std::string hops;
  for (const probe::Hop& hop : result.hops) {
    if (!hops.empty()) hops += ", ";
    hops += hop.address ? fmt::format("\"{}\"", to_string(*hop.address)) : "null";
  }
  return fmt::format(
      R"({{"netns": "{}", "target": "{}", "end": "{}", "probes": {}, "took_ms": {:.3f}, "hops": [{}]}})",
      pair.netns, to_string(pair.target), to_string(result.end), result.probes, to_ms(result.took), hops);
}

// What a node is given for one target in an hour is not what is measured here.
probe::ProberOptions prober_options(std::size_t at_once) {
  probe::ProberOptions options;
  options.running_max = at_once;
  options.budget.per_network = 1'000'000;
  options.budget.packets_per_second = 1e6;
  options.budget.packets_burst = 1e6;
  return options;
}

class Tracer {
 public:
  Tracer(std::list<Pair> pairs, std::size_t at_once, Fd home)
      : pairs_(std::move(pairs)),
        at_once_(at_once),
        home_(std::move(home)),
        prober_(loop_, prober_options(at_once)) {}

  Result<> run() {
    start_more();
    if (running_ > 0) loop_.run();
    return error_ ? Result<>(fail(*error_)) : Result<>();
  }

 private:
  void start_more() {
    for (auto next = pairs_.begin(); next != pairs_.end() && running_ < at_once_ && !error_;) {
      if (busy_.contains(next->netns) || busy_.contains(to_string(next->target))) {
        ++next;
        continue;
      }
      if (auto started = start(*next); !started) error_ = started.error();
      next = pairs_.erase(next);
    }
    if (running_ == 0 || error_) loop_.stop();
  }

  // The socket is opened inside trace(), and belongs to the sender's namespace ever after.
  Result<> start(const Pair& pair) {
    const auto netns = wan::open_netns(pair.netns);
    if (!netns) return fail(netns.error());
    if (auto there = wan::enter_netns(*netns); !there) return there;
    prober_.trace(pair.target, [this, pair](const probe::TraceResult& result) { on_done(pair, result); });
    ++running_;
    busy_.insert(pair.netns);
    busy_.insert(to_string(pair.target));
    return wan::enter_netns(home_);
  }

  void on_done(const Pair& pair, const probe::TraceResult& result) {
    fmt::print("{}\n", json(pair, result));
    busy_.erase(pair.netns);
    busy_.erase(to_string(pair.target));
    --running_;
    start_more();
  }

  std::list<Pair> pairs_;
  const std::size_t at_once_;
  const Fd home_;
  std::set<std::string> busy_;  // senders and targets
  std::size_t running_ = 0;
  std::optional<Error> error_;
  EventLoop loop_;
  probe::Prober prober_;
};

std::optional<std::list<Pair>> read_pairs() {
  std::list<Pair> out;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string netns, address;
    words >> netns >> address;
    const auto target = IpAddress::parse(address);
    if (!target) return std::nullopt;
    out.push_back({netns, *target});
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t at_once = 0;
  const std::string_view text = argc == 2 ? argv[1] : "";
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), at_once);
  if (bad != std::errc{} || end != text.data() + text.size() || at_once == 0 || at_once > 1000) {
    std::fprintf(stderr, "usage: reef_wan_trace AT_ONCE < PAIRS   (1..1000; a line each: NETNS ADDRESS)\n");
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left behind when the experiment is killed
  auto pairs = read_pairs();
  auto home = wan::current_netns();
  if (!pairs || !home) {
    std::fprintf(stderr, "reef_wan_trace: %s\n",
                 pairs ? home.error().message().c_str() : "a line is no pair");
    return 2;
  }
  const auto done = Tracer(std::move(*pairs), at_once, std::move(*home)).run();
  if (!done) {
    std::fprintf(stderr, "reef_wan_trace: %s\n", done.error().message().c_str());
    return 1;
  }
  return 0;
}
