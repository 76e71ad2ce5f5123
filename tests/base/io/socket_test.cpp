#include "base/io/socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <ostream>

using namespace reef;

namespace {
const Endpoint kAnyLoopbackPort = {IpAddress::v4(127, 0, 0, 1), 0};
}

TEST_CASE("a listener on port 0 says which port the kernel chose, and does not block") {
  const auto fd = listen_tcp(kAnyLoopbackPort, false);
  REQUIRE(fd);
  const auto bound = local_endpoint(fd->get());
  REQUIRE(bound);
  CHECK(bound->address == kAnyLoopbackPort.address);
  CHECK(bound->port != 0);
  CHECK((::fcntl(fd->get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(::accept(fd->get(), nullptr, nullptr) == -1);
}

TEST_CASE("an endpoint that is taken is one line with the endpoint; with reuse_port it is shared") {
  const auto first = listen_tcp(kAnyLoopbackPort, true);
  REQUIRE(first);
  const Endpoint taken = *local_endpoint(first->get());
  CHECK(listen_tcp(taken, true));
  const auto refused = listen_tcp(taken, false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == std::errc::address_in_use);
  CHECK(refused.error().message() == "cannot bind " + to_string(taken) + ": Address already in use");
}

TEST_CASE("UDP sockets are shared the same way, and carry datagrams") {
  const auto a = bind_udp(kAnyLoopbackPort, true), b = bind_udp(kAnyLoopbackPort, false);
  REQUIRE(a);
  REQUIRE(b);
  const Endpoint target = *local_endpoint(a->get());
  CHECK(bind_udp(target, true));
  CHECK_FALSE(bind_udp(target, false));
  sockaddr_storage raw;
  const socklen_t length = target.to(raw);
  CHECK(::sendto(b->get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&raw), length) == 1);
}

TEST_CASE("an address that is not ours cannot be bound") {
  CHECK(bind_udp({IpAddress::v4(192, 0, 2, 1), 0}, false).error().message() ==
        "cannot bind 192.0.2.1:0: Cannot assign requested address");
  CHECK_FALSE(local_endpoint(-1));
}
