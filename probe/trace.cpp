#include "probe/trace.h"

#include <algorithm>

#include "base/check.h"

namespace reef::probe {

const char* to_string(TraceEnd end) {
  switch (end) {
    case TraceEnd::reached:
      return "reached";
    case TraceEnd::unreachable:
      return "unreachable";
    case TraceEnd::silent:
      return "silent";
    case TraceEnd::timed_out:
      return "timed_out";
    case TraceEnd::refused:
      return "refused";
    case TraceEnd::over_budget:
      return "over_budget";
    case TraceEnd::failed:
      return "failed";
  }
  return "?";
}

Trace::Trace(const TraceOptions& options, TimePoint now, std::vector<ProbeId>& out)
    : options_(options), started_at_(now) {
  BASE_CHECK(options_.hops_max > 0 && options_.window > 0 && options_.attempts > 0);
  advance(now, out);
}

void Trace::on_reply(TimePoint now, const ProbeReply& reply, std::vector<ProbeId>& out) {
  if (is_done()) return;
  const auto id = reply.id ? reply.id : infer(reply.answer);
  if (!id || id->ttl == 0 || id->ttl > sent_up_to()) return;
  State& state = at(id->ttl);
  if (state.answered || id->attempt >= state.sent_at.size()) return;
  state.answered = Hop{id->ttl, reply.from, now - state.sent_at[id->attempt], !reply.id.has_value()};
  state.answer = reply.answer;
  if (reply.answer == Answer::time_exceeded) {
    farthest_ = std::max(farthest_, id->ttl);
  } else if (last_ == 0 || id->ttl < last_) {
    last_ = id->ttl;
  }
  advance(now, out);
}

void Trace::on_deadline(TimePoint now, std::vector<ProbeId>& out) {
  if (!is_done()) advance(now, out);
}

std::optional<ProbeId> Trace::infer(Answer answer) const {
  const std::uint8_t from = answer == Answer::time_exceeded ? 1 : static_cast<std::uint8_t>(farthest_ + 1);
  for (std::uint8_t ttl = from; ttl <= sent_up_to(); ++ttl) {
    const State& state = at(ttl);
    if (!state.answered && !state.given_up)
      return ProbeId{ttl, static_cast<std::uint8_t>(state.sent_at.size() - 1)};
  }
  return std::nullopt;
}

// How long an answer from that hop is waited for. A farther hop that answered bounds the nearer ones.
Duration Trace::patience(std::uint8_t ttl) const {
  std::optional<Duration> farther;
  for (std::uint8_t t = static_cast<std::uint8_t>(ttl + 1); t <= sent_up_to(); ++t) {
    const State& state = at(t);
    if (state.answered && (!farther || state.answered->rtt < *farther)) farther = state.answered->rtt;
  }
  if (!farther) return options_.silence;
  return std::min(options_.silence, *farther + *farther / 4 + options_.slack);
}

bool Trace::is_waiting(std::uint8_t ttl) const {
  const State& state = at(ttl);
  return !state.answered && !state.given_up && (last_ == 0 || ttl < last_);
}

void Trace::advance(TimePoint now, std::vector<ProbeId>& out) {
  if (now - started_at_ >= options_.time_max) return finish(now, settled_end(TraceEnd::timed_out));
  send_more(now, out);
  retry_or_give_up(now, out);
  finish_if_settled(now);
}

void Trace::send_more(TimePoint now, std::vector<ProbeId>& out) {
  if (last_ != 0) return;
  const int up_to = std::min<int>(options_.hops_max, farthest_ + options_.window);
  while (sent_up_to() < up_to) {
    states_.emplace_back().sent_at.push_back(now);
    out.push_back({sent_up_to(), 0});
    ++probes_;
  }
}

void Trace::retry_or_give_up(TimePoint now, std::vector<ProbeId>& out) {
  for (std::uint8_t ttl = 1; ttl <= sent_up_to(); ++ttl) {
    State& state = at(ttl);
    if (!is_waiting(ttl) || now - state.sent_at.back() < patience(ttl)) continue;
    if (state.sent_at.size() < options_.attempts) {
      out.push_back({ttl, static_cast<std::uint8_t>(state.sent_at.size())});
      state.sent_at.push_back(now);
      ++probes_;
    } else {
      state.given_up = true;
    }
  }
}

void Trace::finish_if_settled(TimePoint now) {
  for (std::uint8_t ttl = 1; ttl <= sent_up_to(); ++ttl) {
    if (is_waiting(ttl)) return;
  }
  finish(now, settled_end(TraceEnd::silent));
}

TraceEnd Trace::settled_end(TraceEnd without_last) const {
  if (last_ == 0) return without_last;
  return at(last_).answer == Answer::reached ? TraceEnd::reached : TraceEnd::unreachable;
}

void Trace::finish(TimePoint now, TraceEnd end) {
  end_ = end;
  ended_at_ = now;
}

std::optional<TimePoint> Trace::next_deadline() const {
  if (is_done()) return std::nullopt;
  TimePoint next = started_at_ + options_.time_max;
  for (std::uint8_t ttl = 1; ttl <= sent_up_to(); ++ttl) {
    if (is_waiting(ttl)) next = std::min(next, at(ttl).sent_at.back() + patience(ttl));
  }
  return next;
}

TraceResult Trace::result() const {
  BASE_CHECK(is_done());
  TraceResult result;
  result.end = *end_;
  result.probes = probes_;
  result.took = ended_at_ - started_at_;
  const std::uint8_t up_to = last_ != 0 ? last_ : farthest_;
  for (std::uint8_t ttl = 1; ttl <= up_to; ++ttl) {
    result.hops.push_back(at(ttl).answered.value_or(Hop{ttl, std::nullopt, {}, false}));
  }
  return result;
}

}  // namespace reef::probe
