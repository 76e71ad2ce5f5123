#include "tests/sim/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace reef::sim {
namespace {

constexpr std::uint16_t kRpcPort = 8091;
constexpr std::uint32_t kFirstNetwork = 0x14000000;  // 20.0.0.0: a /24 for each host
constexpr std::uint32_t kNetworks = 1u << 16;        // and as many hosts at most
constexpr double kJitterMs = 0.2;                    // mean, and this much more of the delay:
constexpr double kJitterShare = 0.01;
constexpr int kWakesMax = 10'000;  // of one node in one instant

std::uint64_t run_seed_value = 20040329;

SipKey secret_from(Random& random) {
  SipKey secret;
  for (std::byte& b : secret) b = static_cast<std::byte>(random());
  return secret;
}

Planet planet_of(const Model& model, Random& random) { return Planet::planetary(model.metros, random); }

Duration from_ms(double ms) { return Duration(static_cast<std::int64_t>(ms * 1e6)); }

std::uint64_t pair_of(Host a, Host b) { return std::uint64_t{std::min(a, b)} << 32 | std::max(a, b); }

std::uint64_t mix(std::uint64_t digest, std::uint64_t word) { return (digest ^ word) * 0x100000001b3; }

}  // namespace

std::uint64_t run_seed() { return run_seed_value; }
void set_run_seed(std::uint64_t seed) { run_seed_value = seed; }

Network::Network(std::uint64_t seed, const Model& model, Planet planet)
    : model_(model),
      random_(seed),
      planet_(std::move(planet)),
      secret_(secret_from(random_)),
      now_(TimePoint{} + std::chrono::hours(1)),
      events_(now_) {
  for (std::size_t i = 0; i < jitter_.size(); ++i) {
    const double quantile = (static_cast<double>(i) + 0.5) / static_cast<double>(jitter_.size());
    jitter_[i] = static_cast<float>(-std::log(1 - quantile));
  }
}

Network::Network(std::uint64_t seed, const Model& model)
    : Network(seed, model, [&] {
        Random random(seed ^ 0x706c616e6574);
        return planet_of(model, random);
      }()) {}

Host Network::add(const dsht::NodeOptions& options, const Spot& spot) {
  BASE_CHECK(hosts_.size() < kNetworks);
  const Host index = static_cast<Host>(hosts_.size());
  HostState host;
  host.id = spot.id ? *spot.id : random_.id<NodeId>();
  host.place = planet_.place_in(
      spot.metro ? *spot.metro : static_cast<Metro>(random_.below(planet_.metro_count())), random_);
  host.endpoint = {spot.address ? *spot.address : own_network(index), kRpcPort};
  host.options = std::make_unique<dsht::NodeOptions>(options);
  host.waiting = std::make_unique<Waiting>();
  if (spot.address) {
    const bool is_free = placed_.emplace(*spot.address, index).second;
    BASE_CHECK(is_free);
  }
  hosts_.push_back(std::move(host));
  start_node(index);
  return index;
}

IpAddress Network::own_network(Host host) const { return IpAddress::v4(kFirstNetwork + (host << 8) + 1); }

std::optional<Host> Network::host_at(const Endpoint& endpoint) const {
  if (!endpoint.address.is_v4() || endpoint.port != kRpcPort) return std::nullopt;
  const std::uint32_t host = (endpoint.address.v4_host_order() - kFirstNetwork) >> 8;
  if (host < hosts_.size() && hosts_[host].endpoint.address == endpoint.address) return host;
  if (placed_.empty()) return std::nullopt;
  const auto found = placed_.find(endpoint.address);
  if (found == placed_.end()) return std::nullopt;
  return found->second;
}

void Network::start_node(Host host) {
  HostState& h = hosts_[host];
  h.node.reset();
  h.credentials = std::make_unique<SimCredentials>(h.id, secret_);
  const auto sequence =
      std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  h.node = std::make_unique<dsht::Node>(*h.options, *h.credentials, kNetwork, secret_from(random_),
                                        Random(random_()), now_, static_cast<std::uint64_t>(sequence));
  h.wake_at = TimePoint::max();
  pump(host);
}

void Network::join(Host host, const std::vector<Host>& seeds) {
  std::vector<Endpoint> endpoints;
  for (const Host seed : seeds) endpoints.push_back(endpoint(seed));
  node(host).join(now_, std::move(endpoints), {});
  pump(host);
}

void Network::set_hints(Host host) {
  std::vector<Key> keys;
  for (const std::string& name : planet_.hint_names(place(host), endpoint(host).address)) {
    keys.push_back(dsht::key_of({}, dsht::KeyDomain::hint, name));
  }
  node(host).set_hints(now_, std::move(keys));
  pump(host);
}

void Network::kill(Host host) {
  HostState& h = hosts_[host];
  h.node.reset();
  *h.waiting = {};
}

void Network::set_unreachable(Host a, Host b, bool unreachable) {
  if (unreachable) {
    unreachable_.insert(pair_of(a, b));
  } else {
    unreachable_.erase(pair_of(a, b));
  }
}

void Network::restart(Host host) {
  BASE_CHECK(!is_up(host));
  start_node(host);
}

void Network::restart_as_new(Host host) {
  BASE_CHECK(!is_up(host));
  hosts_[host].id = random_.id<NodeId>();
  ++hosts_[host].life;
  start_node(host);
}

void Network::get(Host host, const Key& key, Duration budget, std::function<void(const dsht::Found&)> done,
                  const dsht::GetOptions& how) {
  hosts_[host].waiting->gets[node(host).get(now_, key, budget, how)] = std::move(done);
  pump(host);
}

void Network::announce(Host host, const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                       std::function<void(const dsht::Announced&)> done) {
  hosts_[host].waiting->announces[node(host).announce(now_, key, value, ttl, budget)] = std::move(done);
  pump(host);
}

void Network::put(Host host, const Key& key, ByteView value, std::chrono::seconds ttl,
                  std::function<void(const dsht::PutDone&)> done) {
  hosts_[host].waiting->puts[node(host).put(now_, key, value, ttl)] = std::move(done);
  pump(host);
}

void Network::withdraw(Host host, const Key& key, std::function<void(bool)> done) {
  hosts_[host].waiting->puts[node(host).withdraw(now_, key)] =
      [done = std::move(done)](const dsht::PutDone& ended) {
        if (done) done(ended.stored);
      };
  pump(host);
}

void Network::find_nodes(Host host, dsht::FindNodes what, Duration budget,
                         std::function<void(const dsht::NodesNear&)> done) {
  hosts_[host].waiting->searches[node(host).find_nodes(now_, std::move(what), budget)] = std::move(done);
  pump(host);
}

void Network::leave(Host host, std::function<void()> done) {
  hosts_[host].waiting->left = std::move(done);
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

Duration Network::rtt(Host a, Host b) const {
  return from_ms(2 * planet_.one_way_ms(hosts_[a].place, hosts_[b].place));
}

void Network::schedule(TimePoint at, Event::Kind kind, Host to, Host from, std::uint32_t slot) {
  Event event;
  event.at = at.time_since_epoch().count();
  event.to = to;
  event.from = from;
  event.slot = slot;
  event.kind = kind;
  events_.push(event);
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
  schedule(now_ + delay, Event::Kind::task, 0, 0, slot);
}

void Network::transmit(Host from, const Endpoint& to, Bytes data) {
  ++datagrams_;
  bytes_ += data.size();
  const std::optional<Host> target = host_at(to);
  if (!target || (model_.loss > 0 && model_.loss > random_.unit())) return;
  if (model_.duplicate > 0 && model_.duplicate > random_.unit()) send_copy(from, *target, data);
  send_copy(from, *target, std::move(data));
}

void Network::send_copy(Host from, Host to, Bytes data) {
  double ms = planet_.one_way_ms(hosts_[from].place, hosts_[to].place);
  ms += double{jitter_[random_() >> 54]} * (kJitterMs + ms * kJitterShare);
  Duration delay = from_ms(ms);
  if (model_.reorder > 0 && model_.reorder > random_.unit()) {
    delay += random_.between(Duration::zero(), model_.reorder_delay);
  }
  std::uint32_t slot = static_cast<std::uint32_t>(payloads_.size());
  if (free_payloads_.empty()) {
    payloads_.push_back(std::move(data));
  } else {
    slot = free_payloads_.back();
    free_payloads_.pop_back();
    payloads_[slot] = std::move(data);
  }
  schedule(now_ + delay, Event::Kind::deliver, to, from, slot);
}

void Network::pump(Host host) {
  HostState& h = hosts_[host];
  // A callback may ask the same node for more, which queues new actions and calls us again.
  std::vector<dsht::Action> actions;
  actions.swap(actions_);
  h.node->take_actions(actions);
  const auto finish = [](auto& handlers, dsht::WalkId walk, const auto& result) {
    const auto found = handlers.find(walk);
    if (found == handlers.end()) return;
    auto done = std::move(found->second);
    handlers.erase(found);
    if (done) done(result);
  };
  for (dsht::Action& action : actions) {
    if (auto* datagram = std::get_if<dsht::SendDatagram>(&action)) {
      transmit(host, datagram->to, std::move(datagram->data));
    } else if (const auto* get_done = std::get_if<dsht::GetDone>(&action)) {
      finish(hosts_[host].waiting->gets, get_done->walk, get_done->found);
    } else if (const auto* announce_done = std::get_if<dsht::AnnounceDone>(&action)) {
      finish(hosts_[host].waiting->announces, announce_done->walk, announce_done->announced);
    } else if (const auto* put_done = std::get_if<dsht::PutDone>(&action)) {
      finish(hosts_[host].waiting->puts, put_done->walk, *put_done);
    } else if (const auto* nodes_found = std::get_if<dsht::NodesFound>(&action)) {
      finish(hosts_[host].waiting->searches, nodes_found->walk, nodes_found->near);
    } else if (std::holds_alternative<dsht::LeaveDone>(action) && hosts_[host].waiting->left) {
      std::exchange(hosts_[host].waiting->left, nullptr)();
    }
    if (!hosts_[host].node) break;  // a callback killed it
  }
  actions.clear();
  actions_.swap(actions);
  HostState& still = hosts_[host];  // a callback may have added hosts
  if (!still.node) return;
  const TimePoint next = std::max(still.node->next_deadline(), now_);
  if (next < still.wake_at) {
    still.wake_at = next;
    schedule(next, Event::Kind::wake, host, host, 0);
  }
}

void Network::deliver(const Event& event) {
  HostState& h = hosts_[event.to];
  const Bytes data = std::move(payloads_[event.slot]);
  free_payloads_.push_back(event.slot);
  if (!h.node || h.group != hosts_[event.from].group) return;
  if (!unreachable_.empty() && unreachable_.contains(pair_of(event.to, event.from))) return;
  std::uint64_t digest =
      mix(mix(trace_, static_cast<std::uint64_t>(event.at)), std::uint64_t{event.from} << 32 | event.to);
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= data.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data() + at, sizeof(word));
    digest = mix(digest, word);
  }
  trace_ = digest;
  const Endpoint& from = hosts_[event.from].endpoint;
  if (h.interceptor) {
    intercepted_.clear();
    if (h.interceptor->on_datagram(now_, from, data, intercepted_)) {
      for (dsht::SendDatagram& answer : intercepted_) transmit(event.to, answer.to, std::move(answer.data));
      return;
    }
  }
  h.node->on_datagram(now_, from, data);
  pump(event.to);
}

void Network::dispatch(const Event& event) {
  switch (event.kind) {
    case Event::Kind::task: {
      const auto task = std::move(tasks_[event.slot]);
      free_tasks_.push_back(event.slot);
      task();
      return;
    }
    case Event::Kind::wake: {
      HostState& h = hosts_[event.to];
      if (!h.node || h.wake_at.time_since_epoch().count() != event.at) return;
      h.wake_at = TimePoint::max();
      // A deadline that does not move when it is kept would stop the clock for ever.
      h.wakes = h.woken_at == now_ ? h.wakes + 1 : 0;
      h.woken_at = now_;
      BASE_CHECK(h.wakes < kWakesMax);
      h.node->on_deadline(now_);
      pump(event.to);
      return;
    }
    case Event::Kind::deliver:
      deliver(event);
      return;
  }
}

void Network::run_for(Duration duration) {
  const TimePoint end = now_ + duration;
  Event event;
  while (events_.pop(end, event)) {
    now_ = TimePoint(Duration(event.at));
    ++events_taken_;
    dispatch(event);
  }
  now_ = end;
}

}  // namespace reef::sim
