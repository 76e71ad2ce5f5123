// What the name server knows of the network: an immutable snapshot, replaced whole by the control loop.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "dsht/contact.h"

namespace reef::dnsd {

// One live node, verified by whoever builds the view (never hearsay: dead addresses in answers are what users
// see).
struct Candidate {
  IpAddress address;
  dsht::Services services = 0;
  dsht::Level level = 0;        // the highest level whose cluster it shares with us
  std::optional<Duration> rtt;  // from us to it
};

class View {
 public:
  // The addresses of one service in one family, without repetition, nearest first (level down, RTT up;
  // unknown last).
  struct Service {
    std::vector<IpAddress> v4, v6;
    [[nodiscard]] const std::vector<IpAddress>& of(bool want_v4) const { return want_v4 ? v4 : v6; }
  };

  View() = default;
  // `own`: this node's advertised addresses (none, one, or one or more of each family). They serve as proxies
  // in a family only where no candidate does, and stand first among the name servers: who reads our answer
  // reached us. A node that shall be in every answer is published as a candidate like any other. `serial`:
  // the SOA's (RFC 1982 arithmetic: wall-clock seconds at publication do). Unspecified addresses are dropped.
  View(std::vector<Candidate> candidates, std::vector<IpAddress> own, std::uint32_t serial);

  [[nodiscard]] const Service& proxies() const { return proxies_; }
  [[nodiscard]] const Service& name_servers() const { return name_servers_; }
  [[nodiscard]] const std::vector<Candidate>& candidates() const { return candidates_; }  // nearest first
  [[nodiscard]] std::uint32_t serial() const { return serial_; }

 private:
  std::vector<Candidate> candidates_;
  Service proxies_, name_servers_;
  std::uint32_t serial_ = 1;
};

}  // namespace reef::dnsd
