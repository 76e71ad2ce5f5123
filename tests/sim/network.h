// An Internet of virtual time: any number of index nodes in one thread, hours in seconds.
//
// Hosts stand in metros of regions; the delay between two follows from their places, with jitter. Datagrams
// are lost, doubled and overtaken as the model says; hosts can be killed, restarted under the same identity,
// and cut apart. One seeded random source decides everything: the same seed gives the same trace, byte for
// byte (see trace()).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "dsht/node.h"

namespace reef::sim {

struct Model {
  int regions = 5;
  int metros_per_region = 6;
  double loss = 0;       // share of datagrams
  double duplicate = 0;  // share that arrives twice
  double reorder = 0;    // share delayed by up to reorder_delay more
  Duration reorder_delay = std::chrono::milliseconds(50);
};

using Host = std::uint32_t;

class Network {
 public:
  Network(std::uint64_t seed, const Model& model);

  // A new host in a random metro, up but alone. `id`: nullopt for a random one.
  Host add(const dsht::NodeOptions& options, std::optional<NodeId> id = std::nullopt);
  // The host's node finds the network through these hosts.
  void join(Host host, const std::vector<Host>& seeds);
  // From now on it neither sends nor hears anything, and its memory is lost.
  void kill(Host host);
  // Up again with the same identity and address and an empty memory.
  void restart(Host host);
  [[nodiscard]] bool is_up(Host host) const { return hosts_[host].node != nullptr; }
  // Hosts of different groups do not hear each other; all start in group 0.
  void set_group(Host host, int group) { hosts_[host].group = group; }
  // Two hosts that do not hear each other, though others hear both (non-transitive reachability).
  void set_unreachable(Host a, Host b, bool unreachable);
  void set_model(const Model& model) { model_ = model; }

  void get(Host host, const Key& key, Duration budget, std::function<void(dsht::Found)> done);
  void announce(Host host, const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                std::function<void(dsht::Announced)> done);
  void put(Host host, const Key& key, ByteView value, std::chrono::seconds ttl,
           std::function<void(bool)> done);
  void withdraw(Host host, const Key& key, std::function<void(bool)> done);
  void leave(Host host, std::function<void()> done);

  // Calls `task` when `delay` has passed.
  void after(Duration delay, std::function<void()> task);
  void run_for(Duration duration);

  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] dsht::Node& node(Host host) { return *hosts_[host].node; }
  [[nodiscard]] const NodeId& id(Host host) const { return hosts_[host].id; }
  [[nodiscard]] Endpoint endpoint(Host host) const;
  [[nodiscard]] std::size_t size() const { return hosts_.size(); }
  // The live host whose id is closest to the key.
  [[nodiscard]] Host closest(const Key& key) const;
  // Without jitter, both ways.
  [[nodiscard]] Duration rtt(Host a, Host b) const;

  [[nodiscard]] std::uint64_t datagrams() const { return datagrams_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Digest of every delivery so far: time, ends and payload.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

 private:
  struct Site {
    double x = 0, y = 0;   // one-way milliseconds on a plane
    double access_ms = 0;  // from the host to its metro
  };
  struct HostState {
    NodeId id;
    Site site;
    int group = 0;
    dsht::NodeOptions options;
    std::unique_ptr<dsht::Node> node;
    TimePoint wake_at = TimePoint::max();
    std::unordered_map<dsht::WalkId, std::function<void(dsht::Found)>> gets;
    std::unordered_map<dsht::WalkId, std::function<void(dsht::Announced)>> announces;
    std::unordered_map<dsht::WalkId, std::function<void(bool)>> puts;
    std::function<void()> left;
  };
  enum class Kind : std::uint8_t { deliver, wake, task };
  struct Event {
    TimePoint at;
    std::uint64_t order;
    Kind kind;
    Host to;
    Host from;
    std::uint32_t slot;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void start_node(Host host);
  void pump(Host host);
  void transmit(Host from, const Endpoint& to, Bytes data);
  void schedule(TimePoint at, Kind kind, Host to, Host from, std::uint32_t slot);
  void dispatch(const Event& event);
  [[nodiscard]] double one_way_ms(const HostState& a, const HostState& b) const;

  Model model_;
  Random random_;
  TimePoint now_;
  std::vector<Site> metros_;
  std::vector<HostState> hosts_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::set<std::pair<Host, Host>> unreachable_;
  std::vector<Bytes> payloads_;
  std::vector<std::uint32_t> free_payloads_;
  std::vector<std::function<void()>> tasks_;
  std::vector<std::uint32_t> free_tasks_;
  std::vector<dsht::Action> actions_;
  std::uint64_t datagrams_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325;
};

// The seed of this run: --seed N, else REEF_SIM_SEED, else a fixed one. Set once by main().
[[nodiscard]] std::uint64_t run_seed();
void set_run_seed(std::uint64_t seed);

}  // namespace reef::sim
