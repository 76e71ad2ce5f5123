// The responder with what surrounds it on one loop: the current view, the wall clock, the counters. Shared by
// the loop's UDP and TCP sockets.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "dnsd/io/counters.h"
#include "dnsd/responder.h"
#include "dnsd/view.h"

namespace reef::dnsd {

class Answerer {
 public:
  Answerer(Zone zone, const ResponderOptions& options, std::shared_ptr<const View> view)
      : responder_(std::move(zone), options, Random::from_os()), view_(std::move(view)) {}

  void set_view(std::shared_ptr<const View> view) { view_ = std::move(view); }

  // The size of the response in `out` (room for Responder::kResponseBytesMax); 0: stay silent.
  std::size_t answer(ByteView query, const Client& client, TimePoint now, std::span<std::byte> out) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto wall_seconds =
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(wall).count());
    const Outcome outcome = responder_.respond(query, client, *view_, now, wall_seconds, out);
    counters_.count(client.transport, outcome);
    return outcome.bytes;
  }

  [[nodiscard]] Counters& counters() { return counters_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  Responder responder_;
  std::shared_ptr<const View> view_;  // never null
  Counters counters_;
};

}  // namespace reef::dnsd
