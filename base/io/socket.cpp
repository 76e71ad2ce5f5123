#include "base/io/socket.h"

#include <sys/socket.h>

namespace reef {
namespace {

Result<Fd> bound(const Endpoint& endpoint, int type, bool reuse_port) {
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fail(errno_error("socket"));
  const int on = 1;
  if (type == SOCK_STREAM && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return fail(errno_error("SO_REUSEADDR"));
  }
  if (reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return fail(errno_error("SO_REUSEPORT"));
  }
  if (family == AF_INET6 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return fail(errno_error("IPV6_V6ONLY"));
  }
  sockaddr_storage address;
  const socklen_t length = endpoint.to(address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return fail(errno_error("cannot bind " + to_string(endpoint)));
  }
  return fd;
}

}  // namespace

Result<Fd> listen_tcp(const Endpoint& endpoint, bool reuse_port, int backlog) {
  auto fd = bound(endpoint, SOCK_STREAM, reuse_port);
  if (fd && ::listen(fd->get(), backlog) != 0)
    return fail(errno_error("cannot listen on " + to_string(endpoint)));
  return fd;
}

Result<Fd> bind_udp(const Endpoint& endpoint, bool reuse_port) {
  return bound(endpoint, SOCK_DGRAM, reuse_port);
}

Result<Endpoint> local_endpoint(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail(errno_error("getsockname"));
  return Endpoint::from(reinterpret_cast<const sockaddr*>(&address));
}

}  // namespace reef
