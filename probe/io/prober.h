// Traceroute and ping over real sockets, for one loop.
//
// Traces use UDP with IP_RECVERR: the kernel hands over the ICMP errors that our own datagrams met, so that
// no privilege is needed. Pings are ICMP echo, by datagram sockets where the system allows them to our group
// (net.ipv4.ping_group_range), else by raw sockets where we may open those; icmp() says which.
// Everything belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "base/ip.h"
#include "base/metrics.h"
#include "base/time.h"
#include "probe/budget.h"
#include "probe/io/icmp_socket.h"
#include "probe/trace.h"

namespace reef::probe {

struct PingOptions {
  int echoes = 2;  // sent one after the other's answer; the least round trip counts
  Duration timeout = std::chrono::milliseconds(1000);  // of each
};

struct ProberOptions {
  TraceOptions trace;
  PingOptions ping;
  BudgetOptions budget;
  std::size_t running_max = 64;      // measurements at once; more are refused
  std::uint16_t trace_port = 33434;  // where traceroutes go by custom, and nobody listens
};

enum class PingEnd : std::uint8_t {
  answered,
  silent,
  not_permitted,  // neither kind of ICMP socket may be opened: see net.ipv4.ping_group_range
  refused,        // this target may not be probed
  over_budget,    // its network had its share, or too much is running
  failed,         // no route, or out of sockets
};
[[nodiscard]] const char* to_string(PingEnd end);

struct PingResult {
  PingEnd end = PingEnd::failed;
  std::optional<Duration> rtt;  // with answered
};

[[nodiscard]] const char* to_string(IcmpAccess access);

struct ProberCounters {
  Counter traces, pings, refused, over_budget, packets, answers;
};

class Prober {
 public:
  Prober(EventLoop& loop, ProberOptions options);
  ~Prober();  // drops what is running, without calling back
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Each calls `done` once, later, on the loop; never inside the call.
  void trace(const IpAddress& target, std::function<void(const TraceResult&)> done);
  void ping(const IpAddress& target, std::function<void(const PingResult&)> done);

  // What ping can use on this machine for that family. Found out by opening a socket.
  [[nodiscard]] IcmpAccess icmp(bool v4);
  [[nodiscard]] const ProberCounters& counters() const { return counters_; }

 private:
  using MeasurementId = std::uint64_t;
  struct RunningTrace;
  struct RunningPing;
  enum class Grant : std::uint8_t { yes, refused, over_budget };

  Grant take_budget(const IpAddress& target, double packets);
  void later(std::function<void()> task);
  void on_trace_readable(MeasurementId id);
  void on_trace_deadline(MeasurementId id);
  void finish_trace(MeasurementId id);
  void on_ping_readable(MeasurementId id);
  void on_ping_deadline(MeasurementId id);
  void next_echo(MeasurementId id);

  EventLoop& loop_;
  const ProberOptions options_;
  Budget budget_;
  ProberCounters counters_;
  std::optional<IcmpAccess> icmp_v4_, icmp_v6_;
  MeasurementId next_id_ = 1;
  std::unordered_map<MeasurementId, std::unique_ptr<RunningTrace>> traces_;
  std::unordered_map<MeasurementId, std::unique_ptr<RunningPing>> pings_;
  std::vector<std::function<void()>> later_;
  Timer later_timer_;
};

}  // namespace reef::probe
