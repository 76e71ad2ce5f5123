#include "tests/wan/packet.h"

#include <algorithm>

#include "base/check.h"

namespace reef::wan {
namespace {

constexpr std::size_t kIpv4HeaderBytes = 20;
constexpr std::size_t kIpv6HeaderBytes = 40;
constexpr std::size_t kIcmpHeaderBytes = 8;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpV6 = 58;
constexpr std::uint8_t kReplyTtl = 64;

std::uint8_t octet(ByteView data, std::size_t at) { return std::to_integer<std::uint8_t>(data[at]); }
std::uint16_t pair(ByteView data, std::size_t at) {
  return static_cast<std::uint16_t>(octet(data, at) << 8 | octet(data, at + 1));
}
void put_pair(std::span<std::byte> data, std::size_t at, std::uint16_t value) {
  data[at] = static_cast<std::byte>(value >> 8);
  data[at + 1] = static_cast<std::byte>(value & 0xff);
}

std::uint32_t add_words(ByteView data, std::uint32_t sum) {
  std::size_t i = 0;
  for (; i + 1 < data.size(); i += 2) sum += pair(data, i);
  if (i < data.size()) sum += static_cast<std::uint32_t>(octet(data, i)) << 8;
  return sum;
}

bool is_v6(ByteView packet) { return octet(packet, 0) >> 4 == 6; }

ByteView address_bytes(const IpAddress& address) {
  const auto all = std::as_bytes(std::span(address.bytes()));
  return address.is_v4() ? all.subspan(12) : all;
}

IpAddress v6_address(ByteView bytes) {
  std::array<std::uint8_t, 16> raw;
  std::ranges::transform(bytes, raw.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return IpAddress::v6(raw);
}

std::optional<PacketInfo> parse_v4(ByteView packet) {
  if (packet.size() < kIpv4HeaderBytes) return std::nullopt;
  const std::size_t header = (octet(packet, 0) & 0x0fu) * 4u;
  if (header < kIpv4HeaderBytes || header > packet.size() || pair(packet, 2) != packet.size())
    return std::nullopt;
  PacketInfo info;
  info.source = IpAddress::v4(octet(packet, 12), octet(packet, 13), octet(packet, 14), octet(packet, 15));
  info.destination =
      IpAddress::v4(octet(packet, 16), octet(packet, 17), octet(packet, 18), octet(packet, 19));
  info.ttl = octet(packet, 8);
  info.protocol = octet(packet, 9);
  info.header_bytes = header;
  info.later_fragment = (pair(packet, 6) & 0x1fff) != 0;
  return info;
}

std::optional<PacketInfo> parse_v6(ByteView packet) {
  if (packet.size() < kIpv6HeaderBytes || pair(packet, 4) + kIpv6HeaderBytes != packet.size())
    return std::nullopt;
  PacketInfo info;
  info.source = v6_address(packet.subspan(8, 16));
  info.destination = v6_address(packet.subspan(24, 16));
  info.ttl = octet(packet, 7);
  info.protocol = octet(packet, 6);
  info.header_bytes = kIpv6HeaderBytes;
  return info;
}

void write_v4_checksum(std::span<std::byte> packet, std::size_t header_bytes) {
  put_pair(packet, 10, 0);
  put_pair(packet, 10, internet_checksum(packet.first(header_bytes)));
}

// ICMPv6's checksum covers a pseudo-header (RFC 8200 §8.1).
std::uint32_t pseudo_header_sum(const IpAddress& from, const IpAddress& to, std::size_t payload_bytes) {
  const std::uint32_t sum = add_words(address_bytes(to), add_words(address_bytes(from), 0));
  return sum + static_cast<std::uint32_t>(payload_bytes) + kIcmpV6;
}

// An IP packet with an ICMP message as its payload; writes both checksums.
Bytes icmp_packet(const IpAddress& from, const IpAddress& to, ByteView message) {
  const bool v4 = from.is_v4();
  const std::size_t header = v4 ? kIpv4HeaderBytes : kIpv6HeaderBytes;
  Bytes out(header + message.size());
  ByteWriter writer(out);
  if (v4) {
    writer.u16(0x4500);
    writer.u16(static_cast<std::uint16_t>(out.size()));
    writer.u32(0);  // identification, no fragmentation flags
    writer.u8(kReplyTtl);
    writer.u8(kIcmp);
    writer.u16(0);
  } else {
    writer.u32(0x60000000);
    writer.u16(static_cast<std::uint16_t>(message.size()));
    writer.u8(kIcmpV6);
    writer.u8(kReplyTtl);
  }
  writer.bytes(address_bytes(from));
  writer.bytes(address_bytes(to));
  writer.bytes(message);
  BASE_CHECK(writer.ok());
  if (v4) write_v4_checksum(out, header);
  const std::span<std::byte> icmp = std::span(out).subspan(header);
  put_pair(icmp, 2, 0);
  put_pair(icmp, 2, internet_checksum(icmp, v4 ? 0 : pseudo_header_sum(from, to, icmp.size())));
  return out;
}

bool is_icmp_error(ByteView packet, const PacketInfo& info) {
  if (info.protocol != kIcmp && info.protocol != kIcmpV6) return false;
  if (info.later_fragment || packet.size() <= info.header_bytes) return true;  // cannot tell: be silent
  const std::uint8_t type = octet(packet, info.header_bytes);
  if (info.protocol == kIcmpV6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

bool is_multicast(const IpAddress& address) {
  return address.is_v4() ? address.v4_host_order() >> 28 >= 0xe : address.bytes()[0] == 0xff;
}

std::pair<std::uint8_t, std::uint8_t> type_and_code(IcmpError error, bool v4) {
  switch (error) {
    case IcmpError::time_exceeded:
      return v4 ? std::pair(11, 0) : std::pair(3, 0);
    case IcmpError::network_unreachable:
      return v4 ? std::pair(3, 0) : std::pair(1, 0);
    case IcmpError::host_unreachable:
      return v4 ? std::pair(3, 1) : std::pair(1, 3);
    case IcmpError::port_unreachable:
      return v4 ? std::pair(3, 3) : std::pair(1, 4);
  }
  return {0, 0};
}

}  // namespace

std::uint16_t internet_checksum(ByteView data, std::uint32_t sum) {
  sum = add_words(data, sum);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

std::optional<PacketInfo> parse_packet(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  switch (octet(packet, 0) >> 4) {
    case 4:
      return parse_v4(packet);
    case 6:
      return parse_v6(packet);
    default:
      return std::nullopt;
  }
}

std::uint64_t flow_of(ByteView packet, const PacketInfo& info) {
  const std::hash<IpAddress> hash;
  std::uint64_t out = hash(info.source) * 31 + hash(info.destination);
  out = out * 31 + info.protocol;
  const bool has_ports = (info.protocol == kUdp || info.protocol == kTcp) && !info.later_fragment &&
                         packet.size() >= info.header_bytes + 4;
  if (has_ports)
    out = out * 65537 + (static_cast<std::uint64_t>(pair(packet, info.header_bytes)) << 16 |
                         pair(packet, info.header_bytes + 2));
  return out;
}

std::optional<std::uint16_t> asked_port(ByteView packet, const PacketInfo& info) {
  constexpr std::size_t kTcpFlagsAt = 13;
  constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
  if (info.later_fragment || packet.size() < info.header_bytes + 4) return std::nullopt;
  if (info.protocol == kTcp) {
    if (packet.size() <= info.header_bytes + kTcpFlagsAt) return std::nullopt;
    if ((octet(packet, info.header_bytes + kTcpFlagsAt) & (kSyn | kAck)) != kSyn) return std::nullopt;
  } else if (info.protocol != kUdp) {
    return std::nullopt;
  }
  return pair(packet, info.header_bytes + 2);
}

void set_ttl(std::span<std::byte> packet, std::uint8_t ttl) {
  if (is_v6(packet)) {
    packet[7] = static_cast<std::byte>(ttl);
    return;
  }
  packet[8] = static_cast<std::byte>(ttl);
  write_v4_checksum(packet, (octet(packet, 0) & 0x0fu) * 4u);
}

bool may_have_error(ByteView packet, const PacketInfo& info) {
  return !info.later_fragment && !is_icmp_error(packet, info) && !is_multicast(info.destination) &&
         !is_multicast(info.source) && !info.source.is_unspecified();
}

Bytes icmp_error(ByteView packet, const PacketInfo& info, const IpAddress& router, IcmpError error) {
  const bool v4 = router.is_v4();
  const std::size_t room =
      v4 ? 576 - kIpv4HeaderBytes - kIcmpHeaderBytes : 1280 - kIpv6HeaderBytes - kIcmpHeaderBytes;
  const std::size_t quoted = std::min(packet.size(), room);
  Bytes message(kIcmpHeaderBytes + quoted);
  const auto [type, code] = type_and_code(error, v4);
  message[0] = static_cast<std::byte>(type);
  message[1] = static_cast<std::byte>(code);
  std::ranges::copy(packet.first(quoted), message.begin() + kIcmpHeaderBytes);
  const std::span<std::byte> quote = std::span(message).subspan(kIcmpHeaderBytes);
  if (error == IcmpError::time_exceeded && quoted >= info.header_bytes) set_ttl(quote, 1);
  return icmp_packet(router, info.source, message);
}

std::optional<Bytes> answer_as_router(ByteView packet, const PacketInfo& info) {
  if (info.later_fragment) return std::nullopt;
  if (info.protocol == kUdp || info.protocol == kTcp) {
    return icmp_error(packet, info, info.destination, IcmpError::port_unreachable);
  }
  const bool v4 = info.destination.is_v4();
  const std::uint8_t request = v4 ? 8 : 128;
  const std::uint8_t reply = v4 ? 0 : 129;
  if (info.protocol != (v4 ? kIcmp : kIcmpV6) || packet.size() < info.header_bytes + kIcmpHeaderBytes ||
      octet(packet, info.header_bytes) != request) {
    return std::nullopt;
  }
  Bytes message(packet.begin() + static_cast<std::ptrdiff_t>(info.header_bytes), packet.end());
  message[0] = static_cast<std::byte>(reply);
  return icmp_packet(info.destination, info.source, message);
}

}  // namespace reef::wan
