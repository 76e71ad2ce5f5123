// A tenth of the nodes lie.
#include <algorithm>
#include <map>

#include "tests/sim/experiments/experiment.h"
#include "tests/sim/liar.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kBudget = 10s;
constexpr std::size_t kCrowds[] = {1, 2, 4, 8};  // liars around one key
// Bits that a crowding liar shares with its key: closer than any honest node of a million, and as many as an
// attacker finds in seconds by trying keys.
constexpr int kCrowdBits = 24;

struct Target {
  Key key;
  std::size_t crowd = 0;  // liars around it; 0: none on purpose
  Host publisher = 0;
};

// Which hosts lie, and around what.
struct Plot {
  std::vector<Target> targets;             // those that are crowded
  std::map<std::size_t, NodeId> crowding;  // by number of host
  std::vector<bool> lies;                  // by number of host
};

Plot make_plot(Random& random, std::size_t nodes) {
  Plot plot;
  plot.lies.resize(nodes);
  std::vector<std::size_t> liars;
  const std::size_t count = nodes / 10;
  while (liars.size() < count) {
    const std::size_t host = 1 + random.below(nodes - 1);  // not the first of all
    if (plot.lies[host]) continue;
    plot.lies[host] = true;
    liars.push_back(host);
  }
  // Up to 60 % of them crowd, the rest are scattered.
  std::size_t next = 0;
  for (bool room = true; room;) {
    room = false;
    for (const std::size_t crowd : kCrowds) {
      if (next + crowd > count * 6 / 10) continue;
      room = true;
      plot.targets.push_back({random.id<Key>(), crowd, 0});
      for (std::size_t i = 0; i < crowd; ++i) {
        const int bits = kCrowdBits + static_cast<int>(random.below(8));
        plot.crowding[liars[next++]] = id_near(plot.targets.back().key, bits, random);
      }
    }
  }
  return plot;
}

Host honest_host(Network& network, const Plot& plot) {
  Host host = some_host(network);
  while (plot.lies[host]) host = some_host(network);
  return host;
}

}  // namespace

void run_attack(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(1000, 150);
  Network network = settings.network({.loss = 0.002});
  Random random(settings.seed + 77);
  Plot plot = make_plot(random, nodes);
  std::vector<dsht::Contact> peers;
  // Each in a /24 of its own, as everybody else: no limit of contacts per prefix helps against them.
  grow(network, {.count = nodes,
                 .over = 10min,
                 .options = settings.node_options(),
                 .spot =
                     [&](std::size_t i) {
                       const auto found = plot.crowding.find(i);
                       return found == plot.crowding.end() ? Spot{} : Spot{.id = found->second};
                     },
                 .tell = [&](Duration) { progress("joining: " + std::to_string(network.size())); }});
  for (Host host = 0; host < network.size(); ++host) {
    if (!plot.lies[host]) continue;
    dsht::Contact contact;
    contact.id = network.id(host);
    contact.rpc = network.endpoint(host);
    peers.push_back(contact);
  }
  constexpr Liar::Names kNames[] = {Liar::Names::dead, Liar::Names::self, Liar::Names::peers};
  std::size_t number = 0;
  for (Host host = 0; host < network.size(); ++host) {
    if (!plot.lies[host]) continue;
    network.intercept(host,
                      std::make_unique<Liar>(network.credentials(host), network.endpoint(host),
                                             kNames[number++ % std::size(kNames)], peers, Random(random())));
  }
  advance(network, settings.small ? 10min : 50min, "liars settle in");

  std::vector<Target> targets = plot.targets;
  const std::size_t scattered = settings.small ? 200 : 4000;
  for (std::size_t i = 0; i < scattered; ++i) targets.push_back({some_key(network), 0, 0});
  std::size_t stored = 0;
  for (Target& target : targets) {
    target.publisher = honest_host(network, plot);
    network.put(target.publisher, target.key, as_bytes(value_of(target.publisher, target.key)), 2h,
                [&](const dsht::PutDone& done) { stored += done.stored || done.covered; });
    advance(network, 50ms, "putting");
  }
  advance(network, 30s, "putting");

  std::map<std::size_t, Gets> by_crowd;
  Gets crowded;
  const std::size_t per_crowded_key = settings.small ? 20 : 200;
  for (const Target& target : targets) {
    for (std::size_t i = 0; i < (target.crowd > 0 ? per_crowded_key : 1); ++i) {
      Host asker = honest_host(network, plot);
      while (asker == target.publisher) asker = honest_host(network, plot);
      ask(network, by_crowd[target.crowd], asker, target.key, kBudget,
          value_of(target.publisher, target.key));
      advance(network, 20ms, "lookups among liars");
    }
  }
  advance(network, kBudget, "lookups among liars");

  std::size_t liars_in_tables = 0, contacts = 0;
  for (Host host = 0; host < network.size(); ++host) {
    if (plot.lies[host]) continue;
    for (const dsht::TableEntry& entry : network.node(host).table().entries()) {
      ++contacts;
      liars_in_tables +=
          std::ranges::any_of(peers, [&](const dsht::Contact& p) { return p.id == entry.contact.id; });
    }
  }
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("liars", static_cast<double>(peers.size()));
  report.setting("of them around keys", static_cast<double>(plot.crowding.size()));
  report.setting("crowded keys", static_cast<double>(plot.targets.size()));
  report.setting("bits that a crowding liar shares with its key", kCrowdBits);
  report.measure("liars among the contacts in honest tables",
                 100.0 * static_cast<double>(liars_in_tables) / static_cast<double>(contacts), "%");
  report.measure("puts that their publishers believe stored",
                 100.0 * static_cast<double>(stored) / static_cast<double>(targets.size()), "%");
  Gets& random_keys = by_crowd[0];
  report.at_least("random keys: lookups that found the value", random_keys.found_percent(), 99, "%");
  report.measure("random keys: lookup, median", quantile(random_keys.ms, 0.5), "ms");
  report.measure("random keys: lookup, p99", quantile(random_keys.ms, 0.99), "ms");
  for (const std::size_t crowd : kCrowds) {
    const Gets& gets = by_crowd[crowd];
    crowded.asked += gets.asked;
    crowded.found += gets.found;
    crowded.ms.insert(crowded.ms.end(), gets.ms.begin(), gets.ms.end());
    if (gets.asked == 0) continue;
    report.measure("keys with " + std::to_string(crowd) + " liars around them: found", gets.found_percent(),
                   "%");
  }
  report.at_least("crowded keys: lookups that found the value", crowded.found_percent(), 99, "%");
  report.measure("crowded keys: lookup, median", quantile(crowded.ms, 0.5), "ms");
  report.measure("crowded keys: lookup, p99", quantile(crowded.ms, 0.99), "ms");
}

}  // namespace reef::sim
