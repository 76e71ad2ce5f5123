// The name server of one loop: UDP and TCP sockets for each listening endpoint, one responder, one view.
//
// Several loops may each have one on the same endpoints (SO_REUSEPORT): the kernel spreads datagrams and
// connections. Everything belongs to the loop's thread, except counters(), which any thread may read.
#pragma once

#include <memory>
#include <vector>

#include "base/io/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "dnsd/io/answerer.h"
#include "dnsd/io/tcp_listener.h"
#include "dnsd/io/udp_listener.h"

namespace reef::dnsd {

struct Options {
  std::vector<Endpoint> listen;  // IPv4 and IPv6; port 0: the kernel chooses one for both transports
  ZoneOptions zone;
  ResponderOptions responder;
  TcpOptions tcp;
};

class Server {
 public:
  // Binds all endpoints. Fails with what could not be bound, or with what is wrong in the zone. `view` is not
  // null. May be called before the loop runs.
  static Result<std::unique_ptr<Server>> start(EventLoop& loop, const Options& options,
                                               std::shared_ptr<const View> view);

  void set_view(std::shared_ptr<const View> view) { answerer_.set_view(std::move(view)); }

  // What it listens on, ports known: give these to the next loop's Options.
  [[nodiscard]] const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  [[nodiscard]] const Counters& counters() const { return answerer_.counters(); }

 private:
  Server(Zone zone, const Options& options, std::shared_ptr<const View> view)
      : answerer_(std::move(zone), options.responder, std::move(view)) {}
  Result<> listen(EventLoop& loop, const Endpoint& endpoint, const TcpOptions& tcp);

  Answerer answerer_;
  std::vector<Endpoint> endpoints_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<TcpListener>> tcp_;
};

}  // namespace reef::dnsd
