// A crowd announces a cold key: exactly one is told that it is first.
#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kSpread = 50ms;
constexpr Duration kBudget = 5s;
constexpr std::chrono::seconds kTtl = 20s;
constexpr Duration kApart = 3s;  // between keys

// What a crowd for one key was told.
struct Crowd {
  std::size_t expected = 0;
  std::size_t answered = 0;
  std::size_t stored = 0;
  std::set<NodeId> first;
  std::map<NodeId, std::vector<NodeId>> told;  // who asked -> those named to be earlier
};

enum class Outcome {
  exact,
  several,   // told that they are first
  nobody,    // was told so
  circle,    // each was told of the other
  astray,    // told of somebody who did not announce
  unending,  // an announcement had no answer
};

// Exactly one first, and whoever follows those named to it, in whatever order, ends there.
Outcome judge(const Crowd& crowd) {
  if (crowd.answered != crowd.expected) return Outcome::unending;
  if (crowd.first.empty()) return Outcome::nobody;
  if (crowd.first.size() > 1) return Outcome::several;
  // Depth first: 1 = being looked at (met again: a circle), 2 = every way from it ends at the first.
  std::map<NodeId, int> state;
  for (const NodeId& id : crowd.first) state[id] = 2;
  for (const auto& [start, earlier] : crowd.told) {
    std::vector<NodeId> stack = {start};
    while (!stack.empty()) {
      const NodeId at = stack.back();
      if (state[at] == 0) {
        const auto ways = crowd.told.find(at);
        if (ways == crowd.told.end()) return Outcome::astray;
        state[at] = 1;
        for (const NodeId& next : ways->second) {
          if (state[next] == 1) return Outcome::circle;
          if (state[next] == 0) stack.push_back(next);
        }
      } else {
        state[at] = 2;
        stack.pop_back();
      }
    }
  }
  return Outcome::exact;
}

struct Series {
  std::size_t keys = 0;
  std::map<Outcome, std::size_t> outcomes;
  std::size_t first_false = 0;  // told to be first though another was
  std::vector<double> ms;
  double stored = 0, announced = 0;
};

void announce_one(Network& network, Crowd& crowd, Series& series, const Key& key, Host host) {
  const TimePoint asked = network.now();
  network.announce(host, key, as_bytes("x"), kTtl, kBudget,
                   [&network, &crowd, &series, host, asked](const dsht::Announced& result) {
                     ++crowd.answered;
                     crowd.stored += result.stored;
                     series.ms.push_back(to_ms(network.now() - asked));
                     if (result.earlier.empty()) {
                       crowd.first.insert(network.id(host));
                       return;
                     }
                     for (const dsht::Value& value : result.earlier) {
                       crowd.told[network.id(host)].push_back(value.publisher);
                     }
                   });
}

Series run_series(Network& network, std::size_t keys, std::size_t crowd_size, const std::string& doing) {
  Series series;
  series.keys = keys;
  // Crowds of several keys are under way at once; a map does not move what it holds.
  std::map<std::size_t, Crowd> crowds;
  std::vector<Host> hosts = live_hosts(network);
  const auto judge_one = [&](std::size_t i) {
    const Crowd& crowd = crowds[i];
    ++series.outcomes[judge(crowd)];
    if (crowd.first.size() > 1) series.first_false += crowd.first.size() - 1;
    series.stored += static_cast<double>(crowd.stored);
    series.announced += static_cast<double>(crowd.expected);
    crowds.erase(i);
  };
  constexpr std::size_t kAfter = 3;  // keys later the budget of a crowd is over
  static_assert(kAfter * kApart > kSpread + kBudget);
  for (std::size_t i = 0; i < keys; ++i) {
    const Key key = some_key(network);
    Crowd& crowd = crowds[i];
    crowd.expected = crowd_size;
    for (std::size_t n = 0; n < crowd_size; ++n) {
      std::swap(hosts[n], hosts[n + network.random().below(hosts.size() - n)]);
      const Host host = hosts[n];
      network.after(
          network.random().between(Duration::zero(), kSpread),
          [&network, &crowd, &series, key, host] { announce_one(network, crowd, series, key, host); });
    }
    advance(network, kApart, doing + std::to_string(i + 1) + " of " + std::to_string(keys) + " keys");
    if (i >= kAfter) judge_one(i - kAfter);
  }
  advance(network, kAfter * kApart, doing);
  while (!crowds.empty()) judge_one(crowds.begin()->first);
  return series;
}

void tell(Report& report, const std::string& name, Series& series, double bound) {
  const auto percent = [&](Outcome outcome) {
    return 100.0 * static_cast<double>(series.outcomes[outcome]) / static_cast<double>(series.keys);
  };
  report.at_least(name + "keys with one first, to whom all others lead", percent(Outcome::exact), bound, "%");
  report.measure(name + "keys with several first", percent(Outcome::several), "%");
  report.measure(name + "nodes told falsely that they are first", static_cast<double>(series.first_false),
                 "");
  report.at_most(name + "keys with nobody first", static_cast<double>(series.outcomes[Outcome::nobody]), 0,
                 "");
  report.measure(name + "keys with a circle among those told of each other", percent(Outcome::circle), "%");
  report.measure(name + "keys with somebody told of a stranger", percent(Outcome::astray), "%");
  report.measure(name + "keys with announcements that did not end", percent(Outcome::unending), "%");
  report.measure(name + "announcements stored", 100 * series.stored / series.announced, "%");
  report.measure(name + "announcement, median", quantile(series.ms, 0.5), "ms");
  report.measure(name + "announcement, p99", quantile(series.ms, 0.99), "ms");
  report.measure(name + "announcement, slowest", quantile(series.ms, 1), "ms");
}

}  // namespace

void run_announce(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(1000, 120);
  const std::size_t crowd = settings.small ? nodes / 2 : std::min<std::size_t>(500, nodes);
  const std::size_t keys = settings.small ? 30 : 1000;
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("nodes that announce a key within 50 ms", static_cast<double>(crowd));
  report.setting("keys", static_cast<double>(keys));
  report.setting("budget of an announcement, s", std::chrono::duration<double>(kBudget).count());
  Network network = settings.network({});
  form(network, settings.node_options(), nodes, 10min, settings.small ? 10min : 50min);
  Series clean = run_series(network, keys, crowd, "announce: ");
  tell(report, "no loss: ", clean, 99.9);
  network.set_model({.loss = 0.01, .duplicate = 0.002, .reorder = 0.01});
  Series lossy = run_series(network, keys, crowd, "announce, 1 % loss: ");
  tell(report, "1 % loss: ", lossy, 99);
}

}  // namespace reef::sim
