// The name server of one loop: UDP and TCP sockets for each listening endpoint, one responder, one view.
//
// Several loops may each have one on the same endpoints (SO_REUSEPORT): the kernel spreads datagrams and
// connections. Everything belongs to the loop's thread, except counters(), which any thread may read.
#pragma once

#include <memory>
#include <utility>
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
  std::vector<Record> records;  // given by hand
  // How long an answer may wait for the verdict of a network of which nothing is known, where there is
  // somebody to find it out. 0: it does not wait, and the next one is better.
  Duration wait{};
  std::size_t waiting_max = 1000;  // at once, a loop; more are answered without waiting
};

class Server {
 public:
  // Binds all endpoints. Fails with what could not be bound, or with what is wrong in the zone or in a
  // record. `view` is not null. `want` is called on the loop's thread for networks whose verdict is missing
  // or old, each at most once in options.responder.locality.ask_again; empty: all clients are of level 0
  // unless set_verdict() says otherwise. May be called before the loop runs.
  static Result<std::unique_ptr<Server>> start(EventLoop& loop, const Options& options,
                                               std::shared_ptr<const View> view, WantVerdict want = {});

  void set_view(std::shared_ptr<const View> view) { answerer_.set_view(std::move(view)); }

  // From now on, until another one comes or the table needs its place. `verdict` is not null; the same object
  // may be given to all loops.
  void set_verdict(const Prefix& network, std::shared_ptr<const Verdict> verdict) {
    answerer_.set_verdict(loop_.now(), network, std::move(verdict));
  }

  // In place of all records there were, those of the options too; from Records::make(zone(), ...).
  void set_records(std::shared_ptr<const Records> records) { answerer_.set_records(std::move(records)); }

  [[nodiscard]] const Zone& zone() const { return answerer_.zone(); }

  // What it listens on, ports known: give these to the next loop's Options.
  [[nodiscard]] const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  [[nodiscard]] const Counters& counters() const { return answerer_.counters(); }

 private:
  Server(EventLoop& loop, Zone zone, const Options& options, std::shared_ptr<const View> view,
         std::shared_ptr<const Records> records, WantVerdict want)
      : loop_(loop),
        answerer_(loop, std::move(zone), options.responder, std::move(view), std::move(records),
                  std::move(want), options.wait, options.waiting_max) {}
  Result<> listen(const Endpoint& endpoint, const TcpOptions& tcp);

  EventLoop& loop_;
  Answerer answerer_;
  std::vector<Endpoint> endpoints_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<TcpListener>> tcp_;
};

}  // namespace reef::dnsd
