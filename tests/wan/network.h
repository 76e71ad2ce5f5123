// The emulated Internet as a state machine: packets in from hosts, packets out to hosts when their time has
// come.
//
//   host --> [uplink queue] --> routers: TTL, delay, loss, partitions --> [downlink queue] --> host
//                                  \-- ICMP errors, back to the sender
//
// A packet enters the downlink's queue when it arrives there, not when it was sent; so it is in the heap
// twice where a downlink is capped. Not thread-safe: belongs to the loop that calls it. Does no I/O.
// Malformed packets are counted and dropped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "tests/wan/fair_queue.h"
#include "tests/wan/packet.h"
#include "tests/wan/shaper.h"
#include "tests/wan/topology.h"

namespace reef::wan {

struct NetworkOptions {
  std::uint64_t seed = 1;             // of the losses
  std::size_t packets_max = 200'000;  // under way at once; more are dropped and counted as overruns
};

struct NetworkCounters {
  std::uint64_t received = 0;   // from hosts
  std::uint64_t delivered = 0;  // to hosts
  std::uint64_t malformed = 0;
  std::uint64_t lost = 0;         // by commanded loss
  std::uint64_t cut = 0;          // by a partition or a host that is down
  std::uint64_t queue_full = 0;   // by a capped line
  std::uint64_t icmp_errors = 0;  // sent by routers
  std::uint64_t overruns = 0;     // dropped because too many were under way
};

enum class Reach : std::uint8_t { up, down, unreachable };  // down: silence; unreachable: its router says so
enum class Direction : std::uint8_t { up, down };           // from the host, to the host

class Network {
 public:
  // `topology` must outlive this.
  Network(const Topology& topology, const NetworkOptions& options);

  // `packet` left `from` at `now`. Copied.
  void on_packet(TimePoint now, HostIndex from, ByteView packet);

  struct Delivery {
    HostIndex to = 0;
    TimePoint due;    // when it should have arrived
    ByteView packet;  // valid until the next call
  };
  // The next packet whose time has come; nullopt: none is due at `now`.
  [[nodiscard]] std::optional<Delivery> next_due(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  void set_cap(HostIndex host, Direction direction, const Cap& cap);
  void set_loss(HostIndex host, Direction direction, double share);  // 0..1
  void set_reach(HostIndex host, Reach reach);
  void set_silent(RouterIndex router, bool silent);
  // No packet passes between a host of `a` and one of `b`, in silence, until heal().
  void partition(const std::vector<HostIndex>& a, const std::vector<HostIndex>& b);
  void heal();  // ends all partitions

  // What hosts sent one another to one port over UDP, and the TCP connections that they opened to it, counted
  // before anything can be lost. count_port() begins anew, at zero; port 0 ends it.
  struct Tally {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;  // of whole IP packets
  };
  void count_port(std::uint16_t port);
  [[nodiscard]] const std::map<std::pair<HostIndex, HostIndex>, Tally>& tallies() const { return tallies_; }

  [[nodiscard]] const NetworkCounters& counters() const { return counters_; }
  void reset_counters() { counters_ = {}; }

 private:
  using Slot = std::uint32_t;
  struct Line {
    Shaper shaper;
    FairQueue waiting;  // where the cap is fair
    bool busy = false;  // a packet from there is on the line
    double loss = 0;
  };
  struct Endpoint {
    Line up;
    Line down;
    Reach reach = Reach::up;
  };
  struct Owner {  // of an address
    bool is_router = false;
    std::uint32_t index = 0;
  };
  enum class Step : std::uint8_t {
    left_uplink,    // of a fair line: to be routed
    arrived,        // at the downlink
    left_downlink,  // to be delivered
  };
  struct Event {
    TimePoint at;
    std::uint64_t order;  // keeps packets of one time in the order of sending
    Slot slot;
    HostIndex host;  // the receiver; of left_uplink: the sender
    Step step;
    bool from_fair_line;  // the next one waits for this one to be off the line
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void count(HostIndex from, ByteView packet, const PacketInfo& info);
  void route(TimePoint left, HostIndex from, ByteView packet, const PacketInfo& info);
  void route_to_host(TimePoint left, HostIndex from, HostIndex to, ByteView packet, const PacketInfo& info);
  void route_to_router(TimePoint left, HostIndex from, RouterIndex to, ByteView packet,
                       const PacketInfo& info);
  void answer(TimePoint left, HostIndex to, const Hop& hop, ByteView packet, const PacketInfo& info,
              IcmpError error);
  // False: too many packets are under way, it is lost.
  bool schedule(TimePoint at, HostIndex host, ByteView packet, Step step, bool from_fair_line = false);
  void push(const Event& event);
  // The next packet of a fair queue goes onto its line.
  void start_line(TimePoint now, HostIndex host, Direction direction);
  void queue_fairly(TimePoint now, HostIndex host, Direction direction, ByteView packet, std::uint64_t flow);
  // Carries a step out; true: the packet is to be delivered now.
  bool step(Event& event);
  bool arrive(Event& event);
  [[nodiscard]] Line& line(HostIndex host, Direction direction) {
    return direction == Direction::up ? hosts_[host].up : hosts_[host].down;
  }
  [[nodiscard]] const std::vector<Hop>& path(HostIndex from, HostIndex to);
  [[nodiscard]] bool is_cut(HostIndex a, HostIndex b) const;
  [[nodiscard]] bool is_lost(const Line& on) { return on.loss > 0 && random_.unit() < on.loss; }

  const Topology& topology_;
  const NetworkOptions options_;
  Random random_;
  NetworkCounters counters_;
  std::vector<Endpoint> hosts_;
  std::vector<bool> silent_;
  std::vector<bool> cut_;  // host by host
  bool any_cut_ = false;
  std::uint16_t counted_port_ = 0;
  std::map<std::pair<HostIndex, HostIndex>, Tally> tallies_;  // from, to
  std::unordered_map<IpAddress, Owner> owners_;
  std::unordered_map<std::uint64_t, std::vector<Hop>> paths_;  // as asked for
  std::vector<Event> heap_;
  std::vector<Bytes> slots_;
  std::vector<Slot> free_slots_;
  std::optional<Slot> delivered_slot_;  // freed on the next call
  std::uint64_t order_ = 0;
};

}  // namespace reef::wan
