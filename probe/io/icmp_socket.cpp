#include "probe/io/icmp_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "base/crypto.h"

namespace reef::probe {
namespace {

constexpr std::uint8_t kEchoRequestV4 = 8, kEchoReplyV4 = 0;      // RFC 792
constexpr std::uint8_t kEchoRequestV6 = 128, kEchoReplyV6 = 129;  // RFC 4443
constexpr std::size_t kEchoBytes = 16;                            // header and token
constexpr int kReadsPerTurnMax = 64;  // a raw socket sees all echo replies from that address

Fd open_socket(bool v4, int type) {
  const int protocol = v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  return Fd(::socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

// RFC 1071; with ICMPv6 the kernel fills it in.
std::uint16_t checksum(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) << 8 | std::to_integer<std::uint32_t>(bytes[i + 1]);
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

Result<IcmpSocket> IcmpSocket::open(const IpAddress& target) {
  const bool v4 = target.is_v4();
  bool raw = false;
  Fd fd = open_socket(v4, SOCK_DGRAM);
  if (!fd.is_open() && (errno == EACCES || errno == EPERM)) {
    raw = true;
    fd = open_socket(v4, SOCK_RAW);
  }
  if (!fd.is_open()) return fail(errno_error("no ICMP socket"));
  sockaddr_storage address;
  const socklen_t length = Endpoint{target, 0}.to(address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return fail(errno_error("no route to " + to_string(target)));
  }
  return IcmpSocket(std::move(fd), v4, raw);
}

IcmpAccess IcmpSocket::access(bool v4) {
  if (open_socket(v4, SOCK_DGRAM).is_open()) return IcmpAccess::datagram;
  return open_socket(v4, SOCK_RAW).is_open() ? IcmpAccess::raw : IcmpAccess::none;
}

IcmpSocket::IcmpSocket(Fd fd, bool v4, bool raw) : fd_(std::move(fd)), v4_(v4), raw_(raw) {
  std::array<std::byte, 2> id;
  random_bytes(id);
  random_bytes(token_);
  id_ = static_cast<std::uint16_t>(std::to_integer<unsigned>(id[0]) << 8 | std::to_integer<unsigned>(id[1]));
}

void IcmpSocket::send(std::uint16_t sequence) {
  std::array<std::byte, kEchoBytes> packet;
  const auto write = [&](std::uint16_t sum) {
    ByteWriter writer(packet);
    writer.u8(v4_ ? kEchoRequestV4 : kEchoRequestV6);
    writer.u8(0);
    writer.u16(sum);
    writer.u16(id_);
    writer.u16(sequence);
    writer.bytes(token_);
  };
  write(0);
  write(checksum(packet));
  // What the kernel refuses is as good as lost: the time-out tells.
  [[maybe_unused]] const ssize_t sent = ::send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

std::optional<std::uint16_t> IcmpSocket::read() {
  for (int i = 0; i < kReadsPerTurnMax; ++i) {
    std::array<std::byte, 256> buffer;
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      continue;  // an ICMP error that an echo met, now cleared
    }
    ByteView packet = ByteView(buffer).first(static_cast<std::size_t>(got));
    if (raw_ && v4_) {  // with its IP header
      if (packet.empty()) continue;
      const std::size_t header = (std::to_integer<std::size_t>(packet[0]) & 0xf) * 4;
      packet = packet.subspan(std::min(header, packet.size()));
    }
    ByteReader reader(packet);
    const std::uint8_t type = reader.u8();
    reader.bytes(3);
    const std::uint16_t id = reader.u16(), sequence = reader.u16();
    const ByteView token = reader.bytes(token_.size());
    if (!reader.ok() || type != (v4_ ? kEchoReplyV4 : kEchoReplyV6) || (raw_ && id != id_)) continue;
    if (std::equal(token.begin(), token.end(), token_.begin(), token_.end())) return sequence;
  }
  return std::nullopt;
}

}  // namespace reef::probe
