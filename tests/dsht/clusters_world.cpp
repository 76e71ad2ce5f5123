#include "clusters_world.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace reef::dsht::testing {
namespace {

using namespace std::chrono_literals;

Duration from_ms(double ms) { return Duration(static_cast<std::int64_t>(ms * 1e6)); }

}  // namespace

std::vector<Metro> planet(std::uint64_t seed, int metros, int nodes) {
  Random random(seed);
  std::vector<Metro> out;
  const int regions = std::max(1, metros / 5);
  double x = 0;
  for (int region = 0; region < regions; ++region) {
    // Neighbouring regions lie so that some of their metros are about 60 ms apart.
    x += region % 2 == 0 ? 62 + 30 * random.unit() : 130;
    const double y = 80 * random.unit();
    const std::size_t first = out.size();
    for (int i = region; i < metros; i += regions) {
      Metro metro;
      const double angle = 2 * 3.14159265 * random.unit();
      if (out.size() > first && random.unit() < 0.4) {
        // A boundary case: about 20 ms from one that is there already.
        const Metro& other = out[first + random.below(out.size() - first)];
        const double away = 16 + 6 * random.unit();
        metro.x = other.x + away * std::cos(angle);
        metro.y = other.y + away * std::sin(angle);
      } else {
        const double away = 30 * std::sqrt(random.unit());
        metro.x = x + away * std::cos(angle);
        metro.y = y + away * std::sin(angle);
      }
      metro.nodes = 5 + static_cast<int>(55 * std::pow(random.unit(), 1.5));
      out.push_back(metro);
    }
  }
  const int all =
      std::accumulate(out.begin(), out.end(), 0, [](int sum, const Metro& m) { return sum + m.nodes; });
  for (Metro& metro : out) metro.nodes = std::clamp(metro.nodes * nodes / all, 5, 60);
  return out;
}

World::World(const WorldOptions& options, const std::vector<Metro>& metros)
    : options_(options), metros_(metros), random_(options.seed), cut_(metros.size()) {
  for (std::size_t m = 0; m < metros.size(); ++m) {
    for (int i = 0; i < metros[m].nodes; ++i) {
      Node node;
      node.contact.id = random_.id<NodeId>();
      // The index of the node, for its answers.
      node.contact.http_port = static_cast<std::uint16_t>(nodes_.size());
      node.contact.rpc = {IpAddress::v4(static_cast<std::uint32_t>(nodes_.size() + 1)), 9};
      node.metro = static_cast<int>(m);
      node.access_ms = 0.2 - 0.6 * std::log(1 - random_.unit());
      node.joins = TimePoint{} + random_.between(0s, options.join_within);
      nodes_.push_back(std::move(node));
    }
  }
}

double World::true_ms(std::size_t a, std::size_t b) const {
  const Node& first = nodes_[std::min(a, b)];
  const Node& second = nodes_[std::max(a, b)];
  const Metro& m = metros_[static_cast<std::size_t>(first.metro)];
  const Metro& n = metros_[static_cast<std::size_t>(second.metro)];
  // Paths are not straight: every pair has a factor of its own.
  const std::uint64_t pair = (std::min(a, b) * 1000003 + std::max(a, b)) * 0x9e3779b97f4a7c15ull;
  const double bend = 1 + options_.jitter * (2.0 * static_cast<double>(pair >> 40) / (1 << 24) - 1);
  return std::hypot(m.x - n.x, m.y - n.y) * bend + first.access_ms + second.access_ms;
}

bool World::reaches(std::size_t a, std::size_t b) const {
  const auto m = static_cast<std::size_t>(nodes_[a].metro);
  const auto n = static_cast<std::size_t>(nodes_[b].metro);
  return m == n || (!cut_[m] && !cut_[n]);
}

void World::move(int metro, double x, double y) {
  metros_[static_cast<std::size_t>(metro)].x = x;
  metros_[static_cast<std::size_t>(metro)].y = y;
}

void World::tell(std::size_t hearer, std::size_t speaker, bool with_rtt) {
  if (hearer == speaker || !reaches(hearer, speaker) || random_.unit() < options_.loss) return;
  std::optional<Duration> rtt;
  if (with_rtt) rtt = from_ms(true_ms(hearer, speaker) * (1 + options_.jitter * random_.unit()));
  nodes_[hearer].clusters->heard(now_, nodes_[speaker].contact, nodes_[speaker].clusters->describe(now_),
                                 rtt);
}

void World::set_sizes(std::size_t node) {
  for (Level level = 1; level < kLevels; ++level) {
    const auto& id = nodes_[node].clusters->id(level);
    double size = static_cast<double>(members_[level - 1][id].size());
    if (size > 8) size *= 1 + options_.size_error * (2 * random_.unit() - 1);
    // The owner's table of a cluster fills after it joined.
    if (now_ - nodes_[node].clusters->joined_at(level) < 60s) size = std::min(size, 4.0);
    nodes_[node].clusters->set_size(level, size);
  }
}

void World::move_to(std::size_t node, Level level, const ClusterId& from, const ClusterId& to) {
  auto& old = members_[level - 1][from];
  old.erase(std::find(old.begin(), old.end(), node));
  if (old.empty()) members_[level - 1].erase(from);
  members_[level - 1][to].push_back(node);
}

void World::act(std::size_t node) {
  std::vector<ClusterAction> actions;
  nodes_[node].clusters->on_deadline(now_, actions);
  for (auto& action : actions) {
    if (auto* changed = std::get_if<ClusterChanged>(&action)) {
      move_to(node, changed->level, changed->from, changed->to);
      ++why_[changed->level - 1][static_cast<std::size_t>(changed->why)];
      set_sizes(node);
    } else {
      due_.push_back({now_ + 1s, node, std::move(action)});
    }
  }
}

void World::step() {
  now_ += 1s;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.clusters || now_ < node.joins) continue;
    node.clusters.emplace(options_.clusters, node.contact.id, Random(random_()), now_);
    for (Level level = 1; level < kLevels; ++level)
      members_[level - 1][node.clusters->id(level)].push_back(i);
    alive_.push_back(i);
  }
  while (!due_.empty() && due_.front().at <= now_) {
    const Due due = std::move(due_.front());
    due_.pop_front();
    if (const auto* ping = std::get_if<MeasureRtt>(&due.action)) {
      ++pings_;
      const std::size_t other = index_of(ping->contact);
      if (reaches(due.node, other)) {
        tell(due.node, other, true);
        tell(other, due.node, false);
      } else {
        nodes_[due.node].clusters->lost(ping->contact.id);
      }
    } else if (const auto* ask = std::get_if<AskMembers>(&due.action)) {
      ++samples_;
      const std::size_t via = index_of(ask->via);
      if (!reaches(due.node, via)) {
        nodes_[due.node].clusters->lost(ask->via.id);
        continue;
      }
      tell(due.node, via, true);
      if (nodes_[via].clusters->id(ask->level) != ask->cluster) continue;
      const auto& all = members_[ask->level - 1][ask->cluster];
      for (int i = 0; i < 16; ++i) {
        const std::size_t member = all[random_.below(all.size())];
        nodes_[due.node].clusters->named(now_, ask->level, ask->cluster, nodes_[member].contact);
      }
    }
  }
  for (const std::size_t i : alive_) {
    if (random_.unit() < rate_) {
      tell(i, alive_[random_.below(alive_.size())], random_.unit() < options_.known_rtt);
    }
    for (Level level = 1; level < kLevels; ++level) {
      if (random_.unit() >= 0.2 * rate_) continue;
      const auto& all = members_[level - 1][nodes_[i].clusters->id(level)];
      tell(i, all[random_.below(all.size())], random_.unit() < options_.known_rtt);
    }
    if (random_.below(60) == 0) set_sizes(i);
    if (now_ >= nodes_[i].clusters->next_deadline()) act(i);
  }
}

void World::run(std::chrono::seconds time) {
  for (auto left = time; left > 0s; left -= 1s) step();
}

double World::happy(Level level) const {
  const double threshold = to_ms(options_.clusters.threshold[level]);
  std::size_t good = 0;
  for (const std::size_t i : alive_) {
    const auto& all = members_[level - 1].at(nodes_[i].clusters->id(level));
    std::size_t within = 0;
    for (const std::size_t j : all) within += j != i && true_ms(i, j) < threshold ? 1 : 0;
    if (all.size() > 1 && static_cast<double>(within) >= 0.8 * static_cast<double>(all.size() - 1)) ++good;
  }
  return static_cast<double>(good) / static_cast<double>(alive_.size());
}

double World::metro_share(Level level, int metro) const {
  std::map<ClusterId, int> counts;
  int all = 0;
  for (const std::size_t i : alive_) {
    if (nodes_[i].metro != metro) continue;
    ++counts[nodes_[i].clusters->id(level)];
    ++all;
  }
  int most = 0;
  for (const auto& [id, count] : counts) most = std::max(most, count);
  return all == 0 ? 1 : static_cast<double>(most) / all;
}

double World::metro_share(Level level) const {
  double sum = 0;
  for (std::size_t m = 0; m < metros_.size(); ++m) sum += metro_share(level, static_cast<int>(m));
  return sum / static_cast<double>(metros_.size());
}

std::size_t World::clusters(Level level) const { return members_[level - 1].size(); }

std::uint64_t World::switches(Level level) const {
  std::uint64_t sum = 0;
  for (const std::size_t i : alive_) sum += nodes_[i].clusters->switches(level);
  return sum;
}

std::uint64_t World::switches_of(Level level, std::size_t node) const {
  return nodes_[node].clusters->switches(level);
}

std::string World::summary() const {
  char text[256];
  std::snprintf(text, sizeof text,
                "%6.2f h n=%zu  L1: %3zu clusters %5.1f%% happy %6.2f sw  L2: %3zu clusters %5.1f%% happy "
                "metros %5.1f%% %6.2f sw  pings %.1f samples %.1f",
                std::chrono::duration<double>(now_.time_since_epoch()).count() / 3600, alive_.size(),
                clusters(1), 100 * happy(1), double(switches(1)) / double(alive_.size()), clusters(2),
                100 * happy(2), 100 * metro_share(2), double(switches(2)) / double(alive_.size()),
                double(pings_) / double(alive_.size()), double(samples_) / double(alive_.size()));
  return text;
}

std::string World::why() const {
  std::string out;
  for (int level = 0; level < 2; ++level) {
    out += "L" + std::to_string(level + 1) + ":";
    for (int i = 0; i < 4; ++i) {
      out += std::string(" ") + to_string(static_cast<ClusterChanged::Why>(i)) + "=" +
             std::to_string(why_[static_cast<std::size_t>(level)][static_cast<std::size_t>(i)]);
    }
    out += "  ";
  }
  return out;
}

}  // namespace reef::dsht::testing
