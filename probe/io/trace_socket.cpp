#include "probe/io/trace_socket.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace reef::probe {
namespace {

constexpr int kSendTries = 3;  // a send may report (and clear) the error that an earlier probe met
constexpr int kReadsPerTurnMax = 64;

std::optional<Answer> meaning(const sock_extended_err& error) {
  if (error.ee_origin == SO_EE_ORIGIN_ICMP) {
    if (error.ee_type == ICMP_TIME_EXCEEDED && error.ee_code == ICMP_EXC_TTL) return Answer::time_exceeded;
    if (error.ee_type != ICMP_DEST_UNREACH) return std::nullopt;
    if (error.ee_code == ICMP_FRAG_NEEDED) return std::nullopt;  // not for datagrams of 30 bytes
    return error.ee_code == ICMP_PORT_UNREACH ? Answer::reached : Answer::unreachable;
  }
  if (error.ee_origin == SO_EE_ORIGIN_ICMP6) {
    if (error.ee_type == ICMP6_TIME_EXCEEDED && error.ee_code == ICMP6_TIME_EXCEED_TRANSIT) {
      return Answer::time_exceeded;
    }
    if (error.ee_type != ICMP6_DST_UNREACH) return std::nullopt;
    return error.ee_code == ICMP6_DST_UNREACH_NOPORT ? Answer::reached : Answer::unreachable;
  }
  return std::nullopt;
}

}  // namespace

Result<TraceSocket> TraceSocket::open(const Endpoint& target) {
  const bool v4 = target.address.is_v4();
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fail(errno_error("socket"));
  const int on = 1;
  if (::setsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on,
                   sizeof on) != 0) {
    return fail(errno_error("IP_RECVERR"));
  }
  sockaddr_storage address;
  const socklen_t length = target.to(address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return fail(errno_error("no route to " + to_string(target.address)));
  }
  return TraceSocket(std::move(fd), v4, target.address);
}

void TraceSocket::send(const ProbeId& id) {
  const int ttl = id.ttl;
  const int level = v4_ ? IPPROTO_IP : IPPROTO_IPV6;
  if (::setsockopt(fd_.get(), level, v4_ ? IP_TTL : IPV6_UNICAST_HOPS, &ttl, sizeof ttl) != 0) return;
  const std::array<std::uint8_t, 2> payload = {id.ttl, id.attempt};
  for (int i = 0; i < kSendTries; ++i) {
    if (::send(fd_.get(), payload.data(), payload.size(), MSG_NOSIGNAL) >= 0) return;
  }
}

std::optional<ProbeReply> TraceSocket::read() {
  for (int i = 0; i < kReadsPerTurnMax; ++i) {
    bool read_something = false;
    if (auto reply = read_error(read_something)) return reply;
    if (read_something) continue;
    // Somebody listens on that port after all and answers: the target, whichever probe it was. An error here
    // is one from the queue, reported a second time.
    std::array<std::byte, 16> data;
    if (::recv(fd_.get(), data.data(), data.size(), MSG_DONTWAIT) >= 0) {
      return ProbeReply{std::nullopt, target_, Answer::reached};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ProbeReply> TraceSocket::read_error(bool& read_something) {
  std::array<std::uint8_t, 16> payload{};
  alignas(cmsghdr) std::array<std::byte, 512> control;
  iovec io{payload.data(), payload.size()};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  read_something = true;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    const bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                      (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
    if (!ours || c->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + sizeof(sockaddr_in))) continue;
    sock_extended_err error;
    std::memcpy(&error, CMSG_DATA(c), sizeof error);
    const auto answer = meaning(error);
    if (!answer) continue;
    sockaddr_storage offender{};
    std::memcpy(&offender, CMSG_DATA(c) + sizeof error,
                std::min(sizeof offender, static_cast<std::size_t>(c->cmsg_len) - CMSG_LEN(sizeof error)));
    ProbeReply reply;
    reply.from = Endpoint::from(reinterpret_cast<const sockaddr*>(&offender)).address;
    reply.answer = *answer;
    // Routers that quote the headers only leave the payload empty; some pad it with zeros, which are no TTL.
    if (size >= 2 && payload[0] != 0) reply.id = ProbeId{payload[0], payload[1]};
    return reply;
  }
  return std::nullopt;
}

}  // namespace reef::probe
