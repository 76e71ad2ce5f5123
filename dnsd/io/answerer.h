// The responder with what surrounds it on one loop: the current view, verdicts, the wall clock, the counters.
// Shared by the loop's UDP and TCP sockets.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "dnsd/io/counters.h"
#include "dnsd/io/waiting.h"
#include "dnsd/responder.h"
#include "dnsd/view.h"

namespace reef::dnsd {

// Has a network's verdict found out, once per call and network: an answer comes, or does not, by
// Server::set_verdict(). `probe_target` is an address in it. Must return at once.
using WantVerdict = std::function<void(const Prefix& network, const IpAddress& probe_target)>;

class Answerer {
 public:
  // `records` and `want` may be empty.
  // `wait`, `waiting_max`: see Options.
  Answerer(EventLoop& loop, Zone zone, const ResponderOptions& options, std::shared_ptr<const View> view,
           std::shared_ptr<const Records> records, WantVerdict want, Duration wait, std::size_t waiting_max)
      : responder_(std::move(zone), options, Random::from_os()),
        view_(std::move(view)),
        want_(std::move(want)),
        verdicts_(options.locality, options.cookie_secret),
        waiting_(loop, wait, waiting_max) {
    set_records(std::move(records));
  }

  void set_view(std::shared_ptr<const View> view) { view_ = std::move(view); }
  void set_records(std::shared_ptr<const Records> records) {
    records_ = records ? std::move(records) : std::make_shared<const Records>();
  }
  void set_verdict(TimePoint now, const Prefix& network, std::shared_ptr<const Verdict> verdict) {
    verdicts_.set(now, network, std::move(verdict));
    waiting_.on_verdict(network);
  }

  // The size of the response in `out` (room for Responder::kResponseBytesMax); 0: stay silent. kHeld: the
  // answer may wait, and the caller gives hold() what asks again; only where `may_wait`.
  static constexpr std::size_t kHeld = SIZE_MAX;
  std::size_t answer(ByteView query, const Client& client, TimePoint now, std::span<std::byte> out,
                     bool may_wait) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto wall_seconds =
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(wall).count());
    outcome_ = responder_.respond(query, client, {*view_, *records_, verdicts_}, now, wall_seconds, out);
    const Outcome& outcome = outcome_;
    if (want_) {
      for (std::size_t i = 0; i < outcome.wanted_count; ++i) {
        counters_.verdicts_wanted.add();
        want_(outcome.wanted[i].network, outcome.wanted[i].target);
      }
      if (outcome.worth_waiting && may_wait && !outcome.limited && outcome.bytes > 0 && waiting_.has_room()) {
        counters_.held.add();
        return kHeld;
      }
    }
    counters_.count(client.transport, outcome);
    return outcome.bytes;
  }

  // Right after answer() said kHeld. `resume` asks again, without waiting; see Waiting::hold().
  void hold(std::function<void()> resume) {
    waiting_.hold(std::span(outcome_.wanted).first(outcome_.wanted_count), std::move(resume));
  }

  [[nodiscard]] const Zone& zone() const { return responder_.zone(); }
  [[nodiscard]] Counters& counters() { return counters_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  Responder responder_;
  std::shared_ptr<const View> view_;        // never null
  std::shared_ptr<const Records> records_;  // never null
  WantVerdict want_;
  VerdictCache verdicts_;
  Outcome outcome_;  // of the last answer
  Waiting waiting_;
  Counters counters_;
};

}  // namespace reef::dnsd
