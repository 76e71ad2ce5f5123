// An Internet of virtual time: any number of index nodes in one thread, hours in seconds.
//
// Hosts stand in metros of regions (tests/sim/planet.h); the delay between two follows from their places,
// with jitter. Datagrams are lost, doubled and overtaken as the model says; hosts can be killed, restarted
// under the same identity or another, cut apart, and made to lie. One seeded random source decides
// everything: the same seed gives the same trace, byte for byte (see trace()).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "dsht/node.h"
#include "tests/sim/credentials.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/planet.h"

namespace reef::sim {

struct Model {
  std::size_t metros = 24;
  double loss = 0;       // share of datagrams
  double duplicate = 0;  // share that arrives twice
  double reorder = 0;    // share delayed by up to reorder_delay more
  Duration reorder_delay = std::chrono::milliseconds(50);
};

using Host = std::uint32_t;

// Where a new host goes; what is left open is drawn by lot.
struct Spot {
  std::optional<NodeId> id{};
  std::optional<Metro> metro{};
  std::optional<IpAddress> address{};  // a free one; else the host gets a /24 of its own
};

// Stands before a host's node and may answer in its place.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  // True: the datagram is dealt with (and `out` is sent); false: the node shall have it.
  virtual bool on_datagram(TimePoint now, const Endpoint& from, ByteView payload,
                           std::vector<dsht::SendDatagram>& out) = 0;
};

class Network {
 public:
  Network(std::uint64_t seed, const Model& model);
  Network(std::uint64_t seed, const Model& model, Planet planet);

  // A new host, up but alone.
  Host add(const dsht::NodeOptions& options, const Spot& spot = {});
  // The host's node finds the network through these hosts.
  void join(Host host, const std::vector<Host>& seeds);
  // The host's node is told its surroundings.
  void set_hints(Host host);
  // From now on it neither sends nor hears anything, and its memory is lost.
  void kill(Host host);
  // Up again at the same address with the same identity and an empty memory.
  void restart(Host host);
  // Up again at the same address as somebody else.
  void restart_as_new(Host host);
  [[nodiscard]] bool is_up(Host host) const { return hosts_[host].node != nullptr; }
  // How often it was started as somebody new: a host and its life name an identity.
  [[nodiscard]] int life(Host host) const { return hosts_[host].life; }
  // Hosts of different groups do not hear each other; all start in group 0.
  void set_group(Host host, int group) { hosts_[host].group = group; }
  // Two hosts that do not hear each other, though others hear both (non-transitive reachability).
  void set_unreachable(Host a, Host b, bool unreachable);
  void set_model(const Model& model) { model_ = model; }
  void intercept(Host host, std::unique_ptr<Interceptor> by) { hosts_[host].interceptor = std::move(by); }

  // `done` may be empty.
  void get(Host host, const Key& key, Duration budget, std::function<void(const dsht::Found&)> done,
           const dsht::GetOptions& how = {});
  void announce(Host host, const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                std::function<void(const dsht::Announced&)> done);
  void put(Host host, const Key& key, ByteView value, std::chrono::seconds ttl,
           std::function<void(const dsht::PutDone&)> done);
  void withdraw(Host host, const Key& key, std::function<void(bool)> done);
  void find_nodes(Host host, dsht::FindNodes what, Duration budget,
                  std::function<void(const dsht::NodesNear&)> done);
  void leave(Host host, std::function<void()> done);

  // Calls `task` when `delay` has passed.
  void after(Duration delay, std::function<void()> task);
  void run_for(Duration duration);

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] const Planet& planet() const { return planet_; }
  [[nodiscard]] dsht::Node& node(Host host) { return *hosts_[host].node; }
  [[nodiscard]] const NodeId& id(Host host) const { return hosts_[host].id; }
  [[nodiscard]] const Place& place(Host host) const { return hosts_[host].place; }
  [[nodiscard]] const SimCredentials& credentials(Host host) const { return *hosts_[host].credentials; }
  [[nodiscard]] const Endpoint& endpoint(Host host) const { return hosts_[host].endpoint; }
  [[nodiscard]] std::size_t size() const { return hosts_.size(); }
  // The live host whose id is closest to the key.
  [[nodiscard]] Host closest(const Key& key) const;
  // Without jitter, both ways.
  [[nodiscard]] Duration rtt(Host a, Host b) const;

  [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }  // sent
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }          // sent, without IP and UDP headers
  [[nodiscard]] std::uint64_t events() const { return events_taken_; }
  // Digest of every delivery so far: time, ends and payload.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

  static constexpr dsht::NetworkId kNetwork = 0x5265656653696d31;

 private:
  // What somebody waits for.
  struct Waiting {
    std::unordered_map<dsht::WalkId, std::function<void(const dsht::Found&)>> gets;
    std::unordered_map<dsht::WalkId, std::function<void(const dsht::Announced&)>> announces;
    std::unordered_map<dsht::WalkId, std::function<void(const dsht::PutDone&)>> puts;
    std::unordered_map<dsht::WalkId, std::function<void(const dsht::NodesNear&)>> searches;
    std::function<void()> left;
  };
  // Small, and what each datagram needs first: of thousands of hosts each costs the cache a miss.
  struct HostState {
    Endpoint endpoint;
    int group = 0;
    std::unique_ptr<dsht::Node> node;
    std::unique_ptr<Interceptor> interceptor;
    TimePoint wake_at = TimePoint::max();
    Place place;
    NodeId id;
    int life = 0;
    int wakes = 0;  // at woken_at
    TimePoint woken_at{};
    std::unique_ptr<SimCredentials> credentials;
    std::unique_ptr<const dsht::NodeOptions> options;
    std::unique_ptr<Waiting> waiting;
    HostState() = default;
    HostState(HostState&&) noexcept = default;
    HostState& operator=(HostState&&) noexcept = default;
    ~HostState() { node.reset(); }  // before its credentials
  };

  void start_node(Host host);
  void pump(Host host);
  void transmit(Host from, const Endpoint& to, Bytes data);
  void send_copy(Host from, Host to, Bytes data);
  void schedule(TimePoint at, Event::Kind kind, Host to, Host from, std::uint32_t slot);
  void dispatch(const Event& event);
  void deliver(const Event& event);
  [[nodiscard]] std::optional<Host> host_at(const Endpoint& endpoint) const;
  [[nodiscard]] IpAddress own_network(Host host) const;

  Model model_;
  Random random_;
  Planet planet_;
  SipKey secret_{};
  TimePoint now_;
  std::vector<HostState> hosts_;
  std::unordered_map<IpAddress, Host> placed_;  // those at an address of the caller's choice
  EventQueue events_;
  std::uint64_t events_taken_ = 0;
  std::unordered_set<std::uint64_t> unreachable_;
  std::vector<Bytes> payloads_;
  std::vector<std::uint32_t> free_payloads_;
  std::vector<std::function<void()>> tasks_;
  std::vector<std::uint32_t> free_tasks_;
  std::vector<dsht::Action> actions_;
  std::vector<dsht::SendDatagram> intercepted_;
  std::array<float, 1024> jitter_;  // quantiles of the exponential distribution of mean one
  std::uint64_t datagrams_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325;
};

// The seed of this run: --seed N, else REEF_SIM_SEED, else a fixed one. Set once by main().
[[nodiscard]] std::uint64_t run_seed();
void set_run_seed(std::uint64_t seed);

}  // namespace reef::sim
