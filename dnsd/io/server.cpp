#include "dnsd/io/server.h"

#include "base/check.h"
#include "base/io/socket.h"

namespace reef::dnsd {
namespace {

struct Sockets {
  Fd udp, tcp;
  Endpoint endpoint;
};

Result<Sockets> bind_both(const Endpoint& endpoint) {
  auto udp = bind_udp(endpoint, true);
  if (!udp) return fail(udp.error());
  auto local = local_endpoint(udp->get());
  if (!local) return fail(local.error());
  auto tcp = listen_tcp(*local, true, 256);
  if (!tcp) return fail(tcp.error());
  return Sockets{std::move(*udp), std::move(*tcp), *local};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(EventLoop& loop, const Options& options,
                                              std::shared_ptr<const View> view, WantVerdict want) {
  BASE_CHECK(view != nullptr);
  auto zone = Zone::make(options.zone);
  if (!zone) return fail(zone.error());
  auto records = Records::make(*zone, options.records);
  if (!records) return fail(records.error());
  std::unique_ptr<Server> server(
      new Server(loop, std::move(*zone), options, std::move(view), std::move(*records), std::move(want)));
  for (const Endpoint& endpoint : options.listen) {
    if (auto listening = server->listen(endpoint, options.tcp); !listening) return fail(listening.error());
  }
  return server;
}

Result<> Server::listen(const Endpoint& endpoint, const TcpOptions& tcp) {
  // A port that the kernel chose for UDP may be taken for TCP: then another one.
  constexpr int kTries = 16;
  auto sockets = bind_both(endpoint);
  for (int i = 1; !sockets && endpoint.port == 0 && i < kTries; ++i) sockets = bind_both(endpoint);
  if (!sockets) return fail(sockets.error());
  auto udp = UdpListener::start(loop_, std::move(sockets->udp), endpoint.address.is_unspecified(), answerer_);
  if (!udp) return fail(udp.error());
  udp_.push_back(std::move(*udp));
  tcp_.push_back(std::make_unique<TcpListener>(loop_, std::move(sockets->tcp), tcp, answerer_));
  endpoints_.push_back(sockets->endpoint);
  return {};
}

}  // namespace reef::dnsd
