// IP packets as a router handles them: reading the header, lowering the TTL, answering with ICMP.
// IPv4 (RFC 791, 792, 1812) and IPv6 (RFC 8200, 4443). Pure; views are only read during the call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/ip.h"

namespace reef::wan {

struct PacketInfo {
  IpAddress source;
  IpAddress destination;
  std::uint8_t ttl = 0;       // hop limit in IPv6
  std::uint8_t protocol = 0;  // next header in IPv6; extension headers are not followed
  std::size_t header_bytes = 0;
  bool later_fragment = false;  // of a packet whose first fragment carries the transport header
};

// nullopt: not a whole IP packet of either version (lengths that do not fit included).
[[nodiscard]] std::optional<PacketInfo> parse_packet(ByteView packet);

// Writes the TTL and, in IPv4, the header checksum. `packet` must have parsed.
void set_ttl(std::span<std::byte> packet, std::uint8_t ttl);

// Whether a router may answer this packet with an ICMP error: never for an ICMP error, a later fragment, or a
// multicast or unspecified address (RFC 1812 §4.3.2.7, RFC 4443 §2.4).
[[nodiscard]] bool may_have_error(ByteView packet, const PacketInfo& info);

enum class IcmpError : std::uint8_t {
  time_exceeded,
  network_unreachable,
  host_unreachable,
  port_unreachable
};

// The error that `router` sends to the packet's source. Quotes the original, with `ttl` 1 as it arrived
// there, up to 576 bytes in all for IPv4 and 1280 for IPv6. `packet` must have parsed, `router` is of its
// family.
[[nodiscard]] Bytes icmp_error(ByteView packet, const PacketInfo& info, const IpAddress& router,
                               IcmpError error);

// What a router answers to a packet for its own address: an echo reply to an echo request, port unreachable
// to anything over UDP or TCP; nullopt: nothing.
[[nodiscard]] std::optional<Bytes> answer_as_router(ByteView packet, const PacketInfo& info);

// The same number for all packets of a connection in one direction: addresses, protocol and ports.
[[nodiscard]] std::uint64_t flow_of(ByteView packet, const PacketInfo& info);

// The destination port of what asks for something: a UDP datagram, or a TCP segment that opens a connection;
// nullopt: anything else.
[[nodiscard]] std::optional<std::uint16_t> asked_port(ByteView packet, const PacketInfo& info);

// The Internet checksum (RFC 1071) over `data`, starting from `sum`; 0 over data that contains a right one.
[[nodiscard]] std::uint16_t internet_checksum(ByteView data, std::uint32_t sum = 0);

}  // namespace reef::wan
