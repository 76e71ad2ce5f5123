#include "tests/sim/experiments/crowd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace reef::sim {

using namespace std::chrono_literals;
using dsht::MessageType;

namespace {

constexpr std::chrono::seconds kTtl = 1h;
constexpr Duration kGetBudget = 5s;

// The nodes' endless loops of put and get.
class Crowd {
 public:
  Crowd(Network& network, const Key& key, Duration period) : network_(network), key_(key), period_(period) {}

  void start() {
    for (const Host host : live_hosts(network_)) {
      network_.after(network_.random().between(Duration::zero(), period_), [this, host] { pair(host); });
    }
  }
  // What was counted since the last call.
  struct Counts {
    std::size_t pairs = 0, puts = 0, stored = 0, covered = 0;
    std::vector<double> put_ms, get_ms;  // of those that took any time
  };
  Counts take() { return std::exchange(counts_, {}); }

 private:
  void pair(Host host) {
    const TimePoint began = network_.now();
    ++counts_.puts;
    network_.put(host, key_, as_bytes("x"), kTtl, [this, host, began](const dsht::PutDone& done) {
      counts_.stored += done.stored;
      counts_.covered += done.covered;
      const TimePoint put = network_.now();
      if (put > began) counts_.put_ms.push_back(to_ms(put - began));
      network_.get(host, key_, kGetBudget, [this, host, began, put](const dsht::Found&) {
        if (network_.now() > put) counts_.get_ms.push_back(to_ms(network_.now() - put));
        ++counts_.pairs;
        const TimePoint next = std::max(network_.now(), began + period_);
        network_.after(next - network_.now(), [this, host] { pair(host); });
      });
    });
  }

  Network& network_;
  const Key key_;
  const Duration period_;
  Counts counts_;
};

std::uint64_t requests_of(const dsht::Node& node, MessageType type) {
  return node.counters().requests[static_cast<std::size_t>(type)].value();
}

struct Snapshot {
  std::vector<double> puts, finds;  // by host
};

Snapshot snapshot(Network& network) {
  Snapshot out;
  for (Host host = 0; host < network.size(); ++host) {
    const dsht::Node& node = network.node(host);
    out.puts.push_back(static_cast<double>(requests_of(node, MessageType::store) +
                                           requests_of(node, MessageType::handover)));
    out.finds.push_back(static_cast<double>(requests_of(node, MessageType::find)));
  }
  return out;
}

double most(const std::vector<double>& after, const std::vector<double>& before, double minutes) {
  double out = 0;
  for (std::size_t i = 0; i < after.size(); ++i) out = std::max(out, (after[i] - before[i]) / minutes);
  return out;
}

double sum(const std::vector<double>& after, const std::vector<double>& before) {
  double out = 0;
  for (std::size_t i = 0; i < after.size(); ++i) out += after[i] - before[i];
  return out;
}

}  // namespace

dsht::NodeOptions plain_kademlia(dsht::NodeOptions options) {
  options.put_bits = 0;
  options.load.per_window = std::numeric_limits<std::size_t>::max();
  options.signatures_per_second = 1e9;
  options.rate_limit.per_second = 1e9;
  options.rate_limit.burst = 1e9;
  return options;
}

CrowdLoad run_crowd(const Settings& settings, const CrowdOptions& options) {
  Network network = settings.network({}, options.variant);
  // Without hints: of one level nobody needs them, and what is counted below shall be of the one key alone.
  grow(network, {.count = options.nodes,
                 .over = 1min,
                 .options = options.node,
                 .hints = false,
                 .spot = {},
                 .tell = [&](Duration) { progress("joining: " + std::to_string(network.size())); }});
  advance(network, 2min, "settling");
  const Key key = some_key(network);
  Crowd crowd(network, key, std::chrono::duration_cast<Duration>(1s / options.pairs_per_second));
  std::vector<Snapshot> minutes = {snapshot(network)};
  crowd.start();
  const std::size_t steady = static_cast<std::size_t>(std::min(3, std::max(1, options.minutes - 1)));
  const std::size_t last = static_cast<std::size_t>(options.minutes);
  const std::size_t first_steady = last - std::min(steady, last);
  for (std::size_t minute = 0; minute < last; ++minute) {
    if (minute == first_steady) crowd.take();
    advance(network, 1min,
            "crowd of " + std::to_string(options.nodes) + ", minute " + std::to_string(minute + 1));
    minutes.push_back(snapshot(network));
  }
  const Crowd::Counts counts = crowd.take();
  const Snapshot& from = minutes[first_steady];
  const Snapshot& to = minutes[last];
  const auto length = static_cast<double>(last - first_steady);

  CrowdLoad load;
  load.busiest_first = most(minutes[1].puts, minutes[0].puts, 1);
  load.busiest_steady = most(to.puts, from.puts, length);
  for (std::size_t i = 2; i < minutes.size(); ++i) {
    load.busiest_minute = std::max(load.busiest_minute, most(minutes[i].puts, minutes[i - 1].puts, 1));
  }
  load.all_steady = sum(to.puts, from.puts) / length;
  load.finds_busiest = most(to.finds, from.finds, length);
  load.finds_per_put = counts.puts == 0 ? 0 : sum(to.finds, from.finds) / static_cast<double>(counts.puts);
  load.pairs_per_second = static_cast<double>(counts.pairs) / (60 * length);
  load.put_ms_p50 = quantile(counts.put_ms, 0.5);
  load.put_ms_p99 = quantile(counts.put_ms, 0.99);
  load.get_ms_p50 = quantile(counts.get_ms, 0.5);
  load.stored_percent =
      counts.puts == 0 ? 0 : 100 * static_cast<double>(counts.stored) / static_cast<double>(counts.puts);
  load.covered_percent =
      counts.puts == 0 ? 0 : 100 * static_cast<double>(counts.covered) / static_cast<double>(counts.puts);
  std::vector<double> nodes_of;
  for (Host host = 0; host < network.size(); ++host) {
    const auto shared = static_cast<std::size_t>(distance(network.id(host), key).leading_zeros());
    const double puts = (to.puts[host] - from.puts[host]) / length;
    if (shared == 0) load.far_half += puts;
    if (shared >= load.by_share.size()) {
      load.by_share.resize(shared + 1);
      nodes_of.resize(shared + 1);
    }
    load.by_share[shared] = load.by_share[shared].value_or(0) + puts;
    ++nodes_of[shared];
  }
  for (std::size_t i = 0; i < load.by_share.size(); ++i) {
    if (load.by_share[i]) *load.by_share[i] /= nodes_of[i];
  }
  return load;
}

}  // namespace reef::sim
