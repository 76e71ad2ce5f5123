// The node on a real network: one UDP socket on the control loop, one timer, the core in between.
//
// Belongs to the control loop's thread, constructor and destructor included. Callbacks run on it, never
// inside the call that was given them; those still owed are dropped on destruction.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "base/io/fd.h"
#include "base/result.h"
#include "dsht/identity.h"
#include "dsht/membership.h"
#include "dsht/node.h"

namespace reef::dsht {

struct UdpNodeOptions {
  Endpoint listen;                     // port 0: the kernel chooses
  std::optional<IpAddress> advertise;  // the address others should use; nullopt: the one that they see
  std::vector<Endpoint> seeds;     // resolved; empty: the first node of a network, or known contacts suffice
  bool seeds_follow = false;       // by join(), once their names are resolved: we are not the first node
  Bytes network_key;               // the same in all nodes; empty: the open network
  MembershipOptions membership;    // of a closed one
  std::filesystem::path data_dir;  // contacts are kept here; empty: nowhere
  Duration save_contacts_every = std::chrono::minutes(5);
  std::size_t datagrams_per_turn = 256;  // read before other work of the loop has its turn
  int receive_buffer_bytes = 1 << 20;    // asked of the kernel, as is the next
  int send_buffer_bytes = 1 << 20;
  NodeOptions node;  // ports and services are what we tell others of ourselves
};

// What the shell counts, beside NodeCounters.
struct UdpNodeCounters {
  Counter send_failed;   // the kernel did not take a datagram: its buffer is full, or there is no route
  Counter receive_full;  // turns that ended with datagrams left to read
};

// An Index itself, for users on the control loop; those on worker loops have a RemoteIndex each.
class UdpNode : public Index {
 public:
  // What others hold to reach the node from their own loops. The pointer is read on the control loop only,
  // and is null once the node is gone.
  struct Handle {
    explicit Handle(UdpNode* self) : node(self) {}
    UdpNode* node;
    std::atomic<bool> has_others{false};  // Index::has_others(), readable from any thread
  };

  // `disk` writes the contacts; it and `loop` must outlive the node.
  UdpNode(EventLoop& loop, DiskPool& disk, const Identity& identity, const UdpNodeOptions& options);
  ~UdpNode() override;
  UdpNode(const UdpNode&) = delete;
  UdpNode& operator=(const UdpNode&) = delete;

  // Binds the socket and starts to join. An error is the socket's; a damaged contacts file is only logged.
  [[nodiscard]] Result<> start();
  // Other seeds, in place of those given before.
  void join(std::vector<Endpoint> seeds);
  // Hands values over, tells neighbours, saves the contacts; `done` follows within NodeOptions::leave_max.
  // Once.
  void leave(std::function<void()> done);

  [[nodiscard]] bool has_others() const override {
    return handle_->has_others.load(std::memory_order_relaxed);
  }
  void get(const Key& key, Duration budget, std::function<void(Found)> done) override;
  // The same for whoever chooses the levels, or wants to see the way (GetDone::steps).
  void get(const Key& key, Duration budget, const GetOptions& how, std::function<void(GetDone)> done);
  void announce(const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                std::function<void(Announced)> done) override;
  void put(const Key& key, ByteView value, std::chrono::seconds ttl,
           std::function<void(bool stored)> done) override;
  void withdraw(const Key& key) override;

  // Nodes near somebody else, or strangers of our cluster (Node::find_nodes).
  void find_nodes(FindNodes what, Duration budget, std::function<void(NodesNear)> done);

  // Where we are, as keys of the hint domain, in place of those given before (dsht/hints.h).
  void set_hints(std::vector<Key> hints);

  // What we say that we offer, from now on.
  void set_services(Services services) { node_.set_services(services); }

  // ---- what it knows
  [[nodiscard]] const NodeId& id() const { return node_.id(); }
  [[nodiscard]] Key key(KeyDomain domain, std::string_view name) const;
  [[nodiscard]] bool is_joined() const { return node_.is_joined(); }
  [[nodiscard]] std::size_t contact_count() const { return node_.contact_count(); }
  // Where the socket is bound; 0.0.0.0:0 before start().
  [[nodiscard]] const Endpoint& bound() const { return bound_; }
  // The endpoint that others reach us at: the configured address, or else the one that most of them see;
  // before anybody answered, the bound one unless that is a wildcard.
  [[nodiscard]] std::optional<Endpoint> advertised() const;
  // Ourselves as others see us, for answers that list us too; nullopt while advertised() is.
  [[nodiscard]] std::optional<Contact> self() const;
  [[nodiscard]] std::vector<Neighbour> nodes(const NodesQuery& query) const;
  [[nodiscard]] LevelVerdict level_of(const IpAddress& address) const;
  [[nodiscard]] ClusterStatus cluster(Level level) const;  // 1 or 2
  [[nodiscard]] const NodeOptions& node_options() const { return options_.node; }
  // What a request should wait for the index at most: max(300 ms, 4 × p90 RTT), at most 1.5 s.
  [[nodiscard]] Duration budget() const;
  [[nodiscard]] const Node& core() const { return node_; }
  [[nodiscard]] const UdpNodeCounters& counters() const { return counters_; }
  // Counts what a closed network did not take; that never reaches the node.
  [[nodiscard]] const Membership& membership() const { return membership_; }
  [[nodiscard]] EventLoop& loop() { return loop_; }
  [[nodiscard]] std::shared_ptr<const Handle> handle() const { return handle_; }

 private:
  struct Receiving;
  struct Sending;
  struct Waiting;

  void join_through(std::vector<Endpoint> seeds, std::vector<Contact> known);
  void on_readable();
  void on_timer();
  void finish_turn();
  void send_actions();
  void start_timer();
  void answer();
  void save();

  EventLoop& loop_;
  DiskPool& disk_;
  const UdpNodeOptions options_;
  const Identity identity_;
  Membership membership_;
  Node node_;
  UdpNodeCounters counters_;
  Endpoint bound_;
  Fd socket_;
  std::unique_ptr<Receiving> receiving_;
  std::unique_ptr<Sending> sending_;
  std::unique_ptr<Waiting> waiting_;  // callbacks by walk
  std::shared_ptr<Handle> handle_;
  std::optional<FdEvent> readable_;
  Timer timer_;
  TimePoint timer_at_{};
  Timer answer_timer_;  // calls back in a turn of its own
  Timer save_timer_;
  std::vector<Action> actions_;
  std::vector<Action> answers_;
};

}  // namespace reef::dsht
