// The socket of one traceroute: a connected UDP socket whose error queue brings what routers say to its
// datagrams.
#pragma once

#include <optional>

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "probe/trace.h"

namespace reef::probe {

class TraceSocket {
 public:
  // Fails without a route to the target, or without descriptors.
  static Result<TraceSocket> open(const Endpoint& target);

  [[nodiscard]] int fd() const { return fd_.get(); }
  // Sends one probe with its TTL. What the kernel refuses is as good as lost on the way.
  void send(const ProbeId& id);
  // The next answer that has come; nullopt: none is left for now.
  std::optional<ProbeReply> read();

 private:
  TraceSocket(Fd fd, bool v4, const IpAddress& target) : fd_(std::move(fd)), v4_(v4), target_(target) {}
  std::optional<ProbeReply> read_error(bool& read_something);

  Fd fd_;
  bool v4_;
  IpAddress target_;
};

}  // namespace reef::probe
