// Sockets as the shells need them: non-blocking, close-on-exec.
#pragma once

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace reef {

// A listening TCP socket. With `reuse_port` several loops listen on one endpoint and the kernel spreads the
// connections (SO_REUSEPORT). An IPv6 wildcard does not take IPv4: listen on both where both are wanted.
[[nodiscard]] Result<Fd> listen_tcp(const Endpoint& endpoint, bool reuse_port, int backlog = 4096);

// A bound UDP socket.
[[nodiscard]] Result<Fd> bind_udp(const Endpoint& endpoint, bool reuse_port);

// The address that a socket is bound to (after port 0: the one that the kernel chose).
[[nodiscard]] Result<Endpoint> local_endpoint(int fd);

}  // namespace reef
