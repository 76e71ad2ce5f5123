#include "probe/io/prober.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "probe/io/trace_socket.h"

namespace reef::probe {

const char* to_string(PingEnd end) {
  switch (end) {
    case PingEnd::answered:
      return "answered";
    case PingEnd::silent:
      return "silent";
    case PingEnd::not_permitted:
      return "not_permitted";
    case PingEnd::refused:
      return "refused";
    case PingEnd::over_budget:
      return "over_budget";
    case PingEnd::failed:
      return "failed";
  }
  return "?";
}

const char* to_string(IcmpAccess access) {
  switch (access) {
    case IcmpAccess::datagram:
      return "datagram";
    case IcmpAccess::raw:
      return "raw";
    case IcmpAccess::none:
      return "none";
  }
  return "?";
}

struct Prober::RunningTrace {
  RunningTrace(EventLoop& loop, TraceSocket opened, std::function<void(const TraceResult&)> callback,
               Prober& prober, MeasurementId id)
      : socket(std::move(opened)),
        done(std::move(callback)),
        counters(prober.counters_),
        timer(loop, [&prober, id] { prober.on_trace_deadline(id); }),
        readable(loop, socket.fd(), EV_READ, [&prober, id](short) { prober.on_trace_readable(id); }) {}

  void begin(const TraceOptions& options, TimePoint now) {
    machine.emplace(options, now, to_send);
    settle(now);
  }
  void read(TimePoint now) {
    while (const auto reply = socket.read()) {
      counters.answers.add();
      machine->on_reply(now, *reply, to_send);
    }
    settle(now);
  }
  void settle(TimePoint now) {
    for (const ProbeId& probe : to_send) socket.send(probe);
    counters.packets.add(to_send.size());
    to_send.clear();
    if (const auto next = machine->next_deadline()) timer.start(*next - now);
  }

  TraceSocket socket;
  std::function<void(const TraceResult&)> done;
  ProberCounters& counters;
  std::vector<ProbeId> to_send;
  std::optional<Trace> machine;  // set by begin()
  Timer timer;
  FdEvent readable;
};

struct Prober::RunningPing {
  RunningPing(EventLoop& loop, IcmpSocket opened, std::function<void(const PingResult&)> callback,
              Prober& prober, MeasurementId id)
      : socket(std::move(opened)),
        done(std::move(callback)),
        timer(loop, [&prober, id] { prober.on_ping_deadline(id); }),
        readable(loop, socket.fd(), EV_READ, [&prober, id](short) { prober.on_ping_readable(id); }) {}

  void send_next(const PingOptions& options, TimePoint now) {
    sent_at = now;
    socket.send(++sequence);
    timer.start(options.timeout);
  }
  PingResult result() const { return {best ? PingEnd::answered : PingEnd::silent, best}; }

  IcmpSocket socket;
  std::function<void(const PingResult&)> done;
  std::uint16_t sequence = 0;  // of the last echo sent
  TimePoint sent_at;
  std::optional<Duration> best;
  Timer timer;
  FdEvent readable;
};

Prober::Prober(EventLoop& loop, ProberOptions options)
    : loop_(loop), options_(std::move(options)), budget_(options_.budget), later_timer_(loop, [this] {
        const auto tasks = std::exchange(later_, {});
        for (const auto& task : tasks) task();
      }) {}

Prober::~Prober() = default;

Prober::Grant Prober::take_budget(const IpAddress& target, double packets) {
  if (!budget_.is_allowed(target)) {
    counters_.refused.add();
    return Grant::refused;
  }
  if (traces_.size() + pings_.size() >= options_.running_max ||
      budget_.take(loop_.now(), target, packets) != Budget::Verdict::granted) {
    counters_.over_budget.add();
    return Grant::over_budget;
  }
  return Grant::yes;
}

void Prober::later(std::function<void()> task) {
  later_.push_back(std::move(task));
  later_timer_.start(Duration::zero());
}

IcmpAccess Prober::icmp(bool v4) {
  auto& known = v4 ? icmp_v4_ : icmp_v6_;
  // "none" may have been a want of descriptors.
  if (!known || *known == IcmpAccess::none) known = IcmpSocket::access(v4);
  return *known;
}

void Prober::trace(const IpAddress& target, std::function<void(const TraceResult&)> done) {
  const auto end_with = [&](TraceEnd end) {
    TraceResult nothing;
    nothing.end = end;
    later([done = std::move(done), nothing] { done(nothing); });
  };
  const Grant grant = take_budget(target, options_.trace.hops_max);
  if (grant == Grant::refused) return end_with(TraceEnd::refused);
  if (grant == Grant::over_budget) return end_with(TraceEnd::over_budget);
  auto socket = TraceSocket::open({target, options_.trace_port});
  if (!socket) {
    budget_.give_back(options_.trace.hops_max);
    return end_with(TraceEnd::failed);
  }
  counters_.traces.add();
  const MeasurementId id = next_id_++;
  auto running = std::make_unique<RunningTrace>(loop_, std::move(*socket), std::move(done), *this, id);
  running->begin(options_.trace, loop_.now());
  traces_.emplace(id, std::move(running));
}

void Prober::on_trace_readable(MeasurementId id) {
  const auto found = traces_.find(id);
  if (found == traces_.end()) return;
  found->second->read(loop_.now());
  if (found->second->machine->is_done()) finish_trace(id);
}

void Prober::on_trace_deadline(MeasurementId id) {
  const auto found = traces_.find(id);
  if (found == traces_.end()) return;
  RunningTrace& running = *found->second;
  const TimePoint now = loop_.now();
  running.read(now);  // what came before the deadline and was not read yet counts
  running.machine->on_deadline(now, running.to_send);
  running.settle(now);
  if (running.machine->is_done()) finish_trace(id);
}

void Prober::finish_trace(MeasurementId id) {
  const auto node = traces_.extract(id);
  const TraceResult result = node.mapped()->machine->result();
  budget_.give_back(options_.trace.hops_max - result.probes);
  node.mapped()->done(result);
}

void Prober::ping(const IpAddress& target, std::function<void(const PingResult&)> done) {
  const auto end_with = [&](PingEnd end) {
    later([done = std::move(done), end] { done({end, std::nullopt}); });
  };
  if (!budget_.is_allowed(target)) {
    counters_.refused.add();
    return end_with(PingEnd::refused);
  }
  if (icmp(target.is_v4()) == IcmpAccess::none) return end_with(PingEnd::not_permitted);
  if (take_budget(target, options_.ping.echoes) != Grant::yes) return end_with(PingEnd::over_budget);
  auto socket = IcmpSocket::open(target);
  if (!socket) {
    budget_.give_back(options_.ping.echoes);
    return end_with(PingEnd::failed);
  }
  counters_.pings.add();
  const MeasurementId id = next_id_++;
  auto running = std::make_unique<RunningPing>(loop_, std::move(*socket), std::move(done), *this, id);
  running->send_next(options_.ping, loop_.now());
  counters_.packets.add();
  pings_.emplace(id, std::move(running));
}

void Prober::on_ping_readable(MeasurementId id) {
  const auto found = pings_.find(id);
  if (found == pings_.end()) return;
  RunningPing& running = *found->second;
  const TimePoint now = loop_.now();
  while (const auto sequence = running.socket.read()) {
    if (*sequence != running.sequence) continue;  // late: its round trip is no longer known
    counters_.answers.add();
    const Duration rtt = now - running.sent_at;
    running.best = running.best ? std::min(*running.best, rtt) : rtt;
    return next_echo(id);
  }
}

void Prober::on_ping_deadline(MeasurementId id) { next_echo(id); }

void Prober::next_echo(MeasurementId id) {
  const auto found = pings_.find(id);
  if (found == pings_.end()) return;
  if (found->second->sequence < options_.ping.echoes) {
    counters_.packets.add();
    return found->second->send_next(options_.ping, loop_.now());
  }
  const auto node = pings_.extract(found);
  node.mapped()->done(node.mapped()->result());
}

}  // namespace reef::probe
