// Traceroute as a state machine: which routers lie between us and a target, in about two round trips. No I/O.
//
// Probes with TTL 1, 2, 3, … all belong to one flow (the same addresses and ports), so that load balancers
// send them the same way (Augustin et al., "Avoiding traceroute anomalies with Paris traceroute", IMC 2006).
// They go out together: at any time all TTLs up to `window` beyond the farthest hop that answered. A router
// answers Time Exceeded, the target Port Unreachable.
//
//   started ──> probing ──(the target answered, and every hop before it did or was given up)──> reached
//                  ├──(a router says unreachable, and every hop before it ...)───────────────> unreachable
//                  ├──(all attempts beyond the farthest hop timed out)────────────────────────> silent
//                  └──(the time is up, and neither of the first two answered)────────────────> timed_out
//
// Time-outs are aggressive where we know better: once a farther hop has answered, a nearer one that is not
// here after a little more than that hop's round trip is asked again, or given up.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/time.h"

namespace reef::probe {

struct TraceOptions {
  std::uint8_t hops_max = 30;
  std::uint8_t window = 8;                            // hops probed beyond the farthest that answered
  std::uint8_t attempts = 2;                          // probes a hop
  Duration silence = std::chrono::milliseconds(500);  // beyond the farthest hop that answered
  Duration slack = std::chrono::milliseconds(10);  // for routers slow to answer: on top of 1.25 round trips
  Duration time_max = std::chrono::seconds(3);     // of the whole trace
};

// Names one probe. Its payload carries both bytes; who answers quotes them.
struct ProbeId {
  std::uint8_t ttl = 0;
  std::uint8_t attempt = 0;
  auto operator<=>(const ProbeId&) const = default;
};

enum class Answer : std::uint8_t {
  time_exceeded,  // from a router on the way
  reached,        // Port Unreachable, or any answer of the target itself
  unreachable,    // from a router that cannot or may not pass it on
};

struct ProbeReply {
  // nullopt: the router quoted the headers only (RFC 792 asks for no more), so that the probe is not known.
  // It is then taken for the nearest hop without an answer, since answers mostly come in that order.
  std::optional<ProbeId> id;
  IpAddress from;
  Answer answer = Answer::time_exceeded;
};

struct Hop {
  std::uint8_t ttl = 0;
  std::optional<IpAddress> address;  // nullopt: no answer
  Duration rtt{};                    // of the answered probe
  bool inferred = false;             // its place follows from the order of answers only
};

enum class TraceEnd : std::uint8_t { reached, unreachable, silent, timed_out, refused, over_budget, failed };
[[nodiscard]] const char* to_string(TraceEnd end);

struct TraceResult {
  TraceEnd end = TraceEnd::failed;
  // By TTL from 1, without gaps; the last one is the target (reached) or the router that said so
  // (unreachable), else the farthest that answered. Empty: nobody answered.
  std::vector<Hop> hops;
  int probes = 0;  // sent
  Duration took{};
};

class Trace {
 public:
  // Appends the first probes to send.
  Trace(const TraceOptions& options, TimePoint now, std::vector<ProbeId>& out);

  // Each appends the probes to send now, in order. Answers that fit no probe are passed over; nothing changes
  // once is_done().
  void on_reply(TimePoint now, const ProbeReply& reply, std::vector<ProbeId>& out);
  void on_deadline(TimePoint now, std::vector<ProbeId>& out);

  [[nodiscard]] bool is_done() const { return end_.has_value(); }
  // nullopt only when done.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // Only when done.
  [[nodiscard]] TraceResult result() const;

 private:
  struct State {
    std::vector<TimePoint> sent_at;  // by attempt
    std::optional<Hop> answered;
    Answer answer = Answer::time_exceeded;
    bool given_up = false;
  };

  State& at(std::uint8_t ttl) { return states_[ttl - 1u]; }
  [[nodiscard]] const State& at(std::uint8_t ttl) const { return states_[ttl - 1u]; }
  [[nodiscard]] std::uint8_t sent_up_to() const { return static_cast<std::uint8_t>(states_.size()); }
  [[nodiscard]] std::optional<ProbeId> infer(Answer answer) const;
  [[nodiscard]] Duration patience(std::uint8_t ttl) const;
  [[nodiscard]] bool is_waiting(std::uint8_t ttl) const;
  void advance(TimePoint now, std::vector<ProbeId>& out);
  void send_more(TimePoint now, std::vector<ProbeId>& out);
  void retry_or_give_up(TimePoint now, std::vector<ProbeId>& out);
  void finish_if_settled(TimePoint now);
  [[nodiscard]] TraceEnd settled_end(TraceEnd without_last) const;
  void finish(TimePoint now, TraceEnd end);

  TraceOptions options_;
  TimePoint started_at_;
  std::vector<State> states_;  // of TTL 1, 2, …
  std::uint8_t farthest_ = 0;  // TTL of the farthest router that answered Time Exceeded
  std::uint8_t last_ = 0;      // least TTL that the target, or an unreachable, answered; 0: none
  int probes_ = 0;
  std::optional<TraceEnd> end_;
  TimePoint ended_at_;
};

}  // namespace reef::probe
