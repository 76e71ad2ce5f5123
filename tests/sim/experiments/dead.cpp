// Many die at once; many come and go.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kBudget = 10s;  // as long as a walk may last: what is slow shall be seen to be slow

struct Published {
  Key key;
  Host host = 0;
  int life = 0;
  TimePoint at{};  // when it was put first
};

std::vector<Published> publish(Network& network, std::size_t count, std::chrono::seconds ttl) {
  std::vector<Published> out;
  for (std::size_t i = 0; i < count; ++i) {
    const Host host = some_host(network);
    const Published p{some_key(network), host, network.life(host), network.now()};
    network.put(p.host, p.key, as_bytes(value_of(p.host, p.key)), ttl, nullptr);
    out.push_back(p);
    advance(network, 20ms, "putting values");
  }
  advance(network, 20s, "putting values");
  return out;
}

// Who holds which key, now.
class Holders {
 public:
  explicit Holders(Network& network) : network_(network) {
    for (const Host host : live_hosts(network)) {
      for (dsht::Level level = 0; level < dsht::kLevels; ++level) {
        const dsht::Storage& storage = network.node(host).storage(level);
        for (const Key& key : storage.keys()) {
          if (!storage.live(network.now(), key).empty()) holders_[key].emplace_back(host, level);
        }
      }
    }
  }
  // Whether the value exists for the asker: somebody alive holds it at level 0, or in a cluster of the
  // asker's.
  [[nodiscard]] bool exists_for(Host asker, const Key& key) const {
    const auto found = holders_.find(key);
    if (found == holders_.end()) return false;
    return std::ranges::any_of(found->second, [&](const auto& holder) {
      const auto& [host, level] = holder;
      return level == 0 || cluster(host, level) == cluster(asker, level);
    });
  }

 private:
  [[nodiscard]] ClusterId cluster(Host host, dsht::Level level) const {
    return network_.node(host).cluster(network_.now(), level).id;
  }
  Network& network_;
  std::unordered_map<Key, std::vector<std::pair<Host, dsht::Level>>> holders_;
};

std::size_t dead_contacts(Network& network) {
  std::unordered_set<NodeId> alive;
  for (const Host host : live_hosts(network)) alive.insert(network.id(host));
  std::size_t dead = 0;
  for (const Host host : live_hosts(network)) {
    for (const dsht::TableEntry& entry : network.node(host).table().entries()) {
      dead += !alive.contains(entry.contact.id);
    }
  }
  return dead;
}

void lookups(Network& network, Gets& gets, const std::vector<Published>& published, bool existing_only,
             const std::string& doing) {
  std::optional<Holders> holders;
  if (existing_only) holders.emplace(network);
  for (const Published& p : published) {
    Host asker = some_host(network);
    while (asker == p.host) asker = some_host(network);
    if (holders && !holders->exists_for(asker, p.key)) continue;
    ask(network, gets, asker, p.key, kBudget, value_of(p.host, p.key));
    advance(network, 20ms, doing);
  }
  advance(network, kBudget, doing);
}

void mass_death(const Settings& settings, Report& report, double share, double success,
                std::uint64_t variant) {
  const std::size_t nodes = settings.nodes_or(1000, 120);
  constexpr std::size_t kValues = 5000;
  Network network = settings.network({.loss = 0.002}, variant);
  form(network, settings.node_options(), nodes, 10min, settings.small ? 10min : 50min);
  const std::string percent = std::to_string(static_cast<int>(100 * share)) + " % die: ";
  const std::vector<Published> published = publish(network, kValues, 4h);
  Gets healthy;
  lookups(network, healthy, published, false, "lookups, all alive");
  for (std::size_t i = 0; i < static_cast<std::size_t>(share * static_cast<double>(nodes)); ++i) {
    network.kill(some_host(network));
  }
  const TimePoint died = network.now();
  Gets gets;
  lookups(network, gets, published, true, percent + "lookups");
  const double exist = 100.0 * static_cast<double>(gets.asked) / static_cast<double>(published.size());
  report.measure(percent + "values that still exist", exist, "%");
  report.measure(percent + "found while all lived", healthy.found_percent(), "%");
  report.at_least(percent + "of those that exist found", gets.found_percent(), success, "%");
  report.measure(percent + "lookup, median while all lived", quantile(healthy.ms, 0.5), "ms");
  report.measure(percent + "lookup, median", quantile(gets.ms, 0.5), "ms");
  report.at_most(percent + "median over the healthy one", quantile(gets.ms, 0.5) / quantile(healthy.ms, 0.5),
                 1.5, "");
  report.measure(percent + "lookup, p99", quantile(gets.ms, 0.99), "ms");
  report.at_most(percent + "lookup, slowest", quantile(gets.ms, 1), 2000, "ms");
  advance(network, died + 5min - network.now(), percent + "cleaning tables");
  report.at_most(percent + "dead contacts in tables after 5 minutes",
                 static_cast<double>(dead_contacts(network)), 0, "");
}

void churn(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(1000, 120);
  const double hours = settings.hours_or(4, 0.25);
  Network network = settings.network({.loss = 0.002}, 3);
  form(network, settings.node_options(), nodes, 10min, settings.small ? 10min : 20min);
  constexpr auto kTtl = std::chrono::seconds(30min);
  std::vector<Published> published = publish(network, settings.small ? 60 : 500, kTtl);
  // At half of its life the publisher puts it again; when it is gone, another puts another in its place.
  Churn sessions(network, 1h, 1min, {});
  sessions.start();
  Gets gets;
  std::size_t lost_publishers = 0;
  const auto steps = static_cast<std::size_t>(hours * 3600 * 2);
  const std::size_t renew_every = std::chrono::seconds(kTtl).count();  // steps: half of its life
  for (std::size_t step = 0; step < steps; ++step) {
    for (std::size_t i = step % renew_every; i < published.size(); i += renew_every) {
      Published& p = published[i];
      if (network.is_up(p.host) && network.life(p.host) == p.life) {
        network.put(p.host, p.key, as_bytes(value_of(p.host, p.key)), kTtl, nullptr);
      }
    }
    Published& p = published[network.random().below(published.size())];
    if (!network.is_up(p.host) || network.life(p.host) != p.life) {
      ++lost_publishers;
      Host host = some_host(network);
      while (!network.node(host).is_joined()) host = some_host(network);
      p = {some_key(network), host, network.life(host), network.now()};
      network.put(p.host, p.key, as_bytes(value_of(p.host, p.key)), kTtl, nullptr);
    } else if (network.now() - p.at > kBudget) {
      // A node that has just come up and knows nobody yet is a newcomer, not a lookup that failed.
      Host asker = some_host(network);
      while (asker == p.host || !network.node(asker).is_joined()) asker = some_host(network);
      ask(network, gets, asker, p.key, kBudget, value_of(p.host, p.key));
    }
    advance(network, 500ms, "churn");
  }
  sessions.stop();
  advance(network, kBudget, "churn");
  const std::string name = "churn of half an hour: ";
  report.measure(name + "deaths a node and hour",
                 static_cast<double>(sessions.deaths()) / static_cast<double>(nodes) / hours, "");
  report.measure(name + "lookups of values with a living publisher", static_cast<double>(gets.asked), "");
  report.measure(name + "publishers replaced", static_cast<double>(lost_publishers), "");
  const auto ended = static_cast<double>(gets.ms.size());
  report.at_least(name + "found", 100.0 * static_cast<double>(gets.found) / ended, 99.9, "%");
  // The asker died before its answer came: with sessions of an hour and lookups of a second, one in 5,000.
  report.at_most(name + "lookups that did not end", 100.0 * (static_cast<double>(gets.asked) - ended) / ended,
                 0.1, "%");
  report.measure(name + "lookup, median", quantile(gets.ms, 0.5), "ms");
  report.measure(name + "lookup, p99", quantile(gets.ms, 0.99), "ms");
  report.measure(name + "lookup, slowest", quantile(gets.ms, 1), "ms");
}

}  // namespace

void run_dead(const Settings& settings, Report& report) {
  report.setting("nodes", static_cast<double>(settings.nodes_or(1000, 120)));
  report.setting("loss", "0.2 %");
  report.setting("hours of churn", settings.hours_or(4, 0.25));
  mass_death(settings, report, 0.2, 99.9, 1);
  mass_death(settings, report, 0.5, 99, 2);
  churn(settings, report);
}

}  // namespace reef::sim
