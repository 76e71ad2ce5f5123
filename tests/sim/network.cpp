#include "tests/sim/network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace reef::sim {
namespace {

// Centres of regions, in one-way milliseconds on a plane: roughly North America east and west, Europe, East
// Asia, South America. RTTs between regions come to 60-260 ms.
constexpr std::pair<double, double> kRegions[] = {{0, 0}, {-32, 4}, {40, -4}, {-88, 20}, {18, 58}};
constexpr double kMetroSpreadMs = 9;  // one way, around the region's centre
constexpr std::uint16_t kRpcPort = 8091;
constexpr std::uint32_t kFirstNetwork = 0x14000000;  // 20.0.0.0: every host has a /24 of its own
constexpr dsht::NetworkId kNetwork = 0x5265656653696d31;

std::uint64_t run_seed_value = 20040329;

SipKey secret_from(Random& random) {
  SipKey secret;
  for (std::byte& b : secret) b = static_cast<std::byte>(random());
  return secret;
}

}  // namespace

std::uint64_t run_seed() { return run_seed_value; }
void set_run_seed(std::uint64_t seed) { run_seed_value = seed; }

Network::Network(std::uint64_t seed, const Model& model)
    : model_(model), random_(seed), now_(TimePoint{} + std::chrono::hours(1)) {
  for (int region = 0; region < model.regions; ++region) {
    const auto [x, y] = kRegions[static_cast<std::size_t>(region) % std::size(kRegions)];
    for (int metro = 0; metro < model.metros_per_region; ++metro) {
      metros_.push_back(
          {x + (random_.unit() * 2 - 1) * kMetroSpreadMs, y + (random_.unit() * 2 - 1) * kMetroSpreadMs, 0});
    }
  }
}

Host Network::add(const dsht::NodeOptions& options, std::optional<NodeId> id) {
  HostState host;
  host.id = id ? *id : random_.id<NodeId>();
  host.site = metros_[random_.below(metros_.size())];
  host.site.access_ms = 0.3 + random_.unit() * 2.5;
  host.options = options;
  hosts_.push_back(std::move(host));
  const Host index = static_cast<Host>(hosts_.size() - 1);
  start_node(index);
  return index;
}

void Network::start_node(Host host) {
  HostState& h = hosts_[host];
  h.node =
      std::make_unique<dsht::Node>(h.options, h.id, kNetwork, secret_from(random_), Random(random_()), now_);
  h.wake_at = TimePoint::max();
  pump(host);
}

Endpoint Network::endpoint(Host host) const {
  return {IpAddress::v4(kFirstNetwork + (host << 8) + 1), kRpcPort};
}

void Network::join(Host host, const std::vector<Host>& seeds) {
  std::vector<Endpoint> endpoints;
  for (const Host seed : seeds) endpoints.push_back(endpoint(seed));
  node(host).join(now_, std::move(endpoints), {});
  pump(host);
}

void Network::kill(Host host) {
  HostState& h = hosts_[host];
  h.node.reset();
  h.gets.clear();
  h.announces.clear();
  h.puts.clear();
  h.left = nullptr;
}

void Network::set_unreachable(Host a, Host b, bool unreachable) {
  const auto pair = std::minmax(a, b);
  if (unreachable) {
    unreachable_.insert(pair);
  } else {
    unreachable_.erase(pair);
  }
}

void Network::restart(Host host) {
  BASE_CHECK(!is_up(host));
  start_node(host);
}

void Network::get(Host host, const Key& key, Duration budget, std::function<void(dsht::Found)> done) {
  hosts_[host].gets[node(host).get(now_, key, budget)] = std::move(done);
  pump(host);
}

void Network::announce(Host host, const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                       std::function<void(dsht::Announced)> done) {
  hosts_[host].announces[node(host).announce(now_, key, value, ttl, budget)] = std::move(done);
  pump(host);
}

void Network::put(Host host, const Key& key, ByteView value, std::chrono::seconds ttl,
                  std::function<void(bool)> done) {
  hosts_[host].puts[node(host).put(now_, key, value, ttl)] = std::move(done);
  pump(host);
}

void Network::withdraw(Host host, const Key& key, std::function<void(bool)> done) {
  hosts_[host].puts[node(host).withdraw(now_, key)] = std::move(done);
  pump(host);
}

void Network::leave(Host host, std::function<void()> done) {
  hosts_[host].left = std::move(done);
  node(host).leave(now_);
  pump(host);
}

Host Network::closest(const Key& key) const {
  Host best = 0;
  bool found = false;
  for (Host i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].node && (!found || distance(hosts_[i].id, key) < distance(hosts_[best].id, key))) {
      best = i;
      found = true;
    }
  }
  BASE_CHECK(found);
  return best;
}

double Network::one_way_ms(const HostState& a, const HostState& b) const {
  return std::hypot(a.site.x - b.site.x, a.site.y - b.site.y) + a.site.access_ms + b.site.access_ms;
}

Duration Network::rtt(Host a, Host b) const {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::milli>(2 * one_way_ms(hosts_[a], hosts_[b])));
}

void Network::schedule(TimePoint at, Kind kind, Host to, Host from, std::uint32_t slot) {
  events_.push({at, ++order_, kind, to, from, slot});
}

void Network::after(Duration delay, std::function<void()> task) {
  std::uint32_t slot = static_cast<std::uint32_t>(tasks_.size());
  if (free_tasks_.empty()) {
    tasks_.push_back(std::move(task));
  } else {
    slot = free_tasks_.back();
    free_tasks_.pop_back();
    tasks_[slot] = std::move(task);
  }
  schedule(now_ + delay, Kind::task, 0, 0, slot);
}

void Network::transmit(Host from, const Endpoint& to, Bytes data) {
  const std::uint32_t network =
      to.address.is_v4() ? (to.address.v4_host_order() - kFirstNetwork) >> 8 : UINT32_MAX;
  ++datagrams_;
  bytes_ += data.size();
  if (network >= hosts_.size() || endpoint(network) != to || model_.loss > random_.unit()) return;
  const int copies = model_.duplicate > random_.unit() ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    double ms = one_way_ms(hosts_[from], hosts_[network]);
    ms += -std::log(1 - random_.unit()) * (0.2 + ms * 0.01);
    auto delay = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
    if (model_.reorder > random_.unit()) delay += random_.between(Duration::zero(), model_.reorder_delay);
    std::uint32_t slot = static_cast<std::uint32_t>(payloads_.size());
    if (free_payloads_.empty()) {
      payloads_.push_back(data);
    } else {
      slot = free_payloads_.back();
      free_payloads_.pop_back();
      payloads_[slot] = i + 1 == copies ? std::move(data) : data;
    }
    schedule(now_ + delay, Kind::deliver, network, from, slot);
  }
}

void Network::pump(Host host) {
  HostState& h = hosts_[host];
  // A callback may ask the same node for more, which queues new actions and calls us again.
  std::vector<dsht::Action> actions;
  actions.swap(actions_);
  h.node->take_actions(actions);
  const auto finish = [](auto& handlers, dsht::WalkId walk, auto&& result) {
    const auto found = handlers.find(walk);
    if (found == handlers.end()) return;
    auto done = std::move(found->second);
    handlers.erase(found);
    if (done) done(std::forward<decltype(result)>(result));
  };
  for (dsht::Action& action : actions) {
    if (auto* datagram = std::get_if<dsht::SendDatagram>(&action)) {
      transmit(host, datagram->to, std::move(datagram->data));
    } else if (auto* get_done = std::get_if<dsht::GetDone>(&action)) {
      finish(h.gets, get_done->walk, std::move(get_done->found));
    } else if (auto* announce_done = std::get_if<dsht::AnnounceDone>(&action)) {
      finish(h.announces, announce_done->walk, std::move(announce_done->announced));
    } else if (auto* put_done = std::get_if<dsht::PutDone>(&action)) {
      finish(h.puts, put_done->walk, put_done->stored);
    } else if (std::holds_alternative<dsht::LeaveDone>(action) && h.left) {
      std::exchange(h.left, nullptr)();
    }
    if (!h.node) break;  // a callback killed it
  }
  actions.clear();
  actions_.swap(actions);
  if (!h.node) return;
  const TimePoint next = std::max(h.node->next_deadline(), now_);
  if (next < h.wake_at) {
    h.wake_at = next;
    schedule(next, Kind::wake, host, host, 0);
  }
}

void Network::dispatch(const Event& event) {
  switch (event.kind) {
    case Kind::task: {
      const auto task = std::move(tasks_[event.slot]);
      free_tasks_.push_back(event.slot);
      task();
      return;
    }
    case Kind::wake: {
      HostState& h = hosts_[event.to];
      if (!h.node || h.wake_at != event.at) return;
      h.wake_at = TimePoint::max();
      h.node->on_deadline(now_);
      pump(event.to);
      return;
    }
    case Kind::deliver: {
      HostState& h = hosts_[event.to];
      const Bytes data = std::move(payloads_[event.slot]);
      free_payloads_.push_back(event.slot);
      if (!h.node || h.group != hosts_[event.from].group) return;
      if (!unreachable_.empty() && unreachable_.contains(std::minmax(event.to, event.from))) return;
      const auto mix = [this](std::uint64_t word) { trace_ = (trace_ ^ word) * 0x100000001b3; };
      mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
      mix(std::uint64_t{event.from} << 32 | event.to);
      ByteReader reader(data);
      while (reader.remaining() >= 8) mix(reader.u64());
      h.node->on_datagram(now_, endpoint(event.from), data);
      pump(event.to);
      return;
    }
  }
}

void Network::run_for(Duration duration) {
  const TimePoint end = now_ + duration;
  while (!events_.empty() && events_.top().at <= end) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    dispatch(event);
  }
  now_ = end;
}

}  // namespace reef::sim
