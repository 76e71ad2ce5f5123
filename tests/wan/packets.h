// Packets for the tests of this folder, made independently of packet.cpp.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ip.h"
#include "tests/wan/packet.h"

namespace reef::wan::testing {

inline void append_address(ByteWriter& writer, const IpAddress& address) {
  const auto all = std::as_bytes(std::span(address.bytes()));
  writer.bytes(address.is_v4() ? all.subspan(12) : all);
}

inline Bytes ip_packet(const IpAddress& from, const IpAddress& to, std::uint8_t ttl, std::uint8_t protocol,
                       ByteView payload) {
  const bool v4 = from.is_v4();
  Bytes out((v4 ? 20 : 40) + payload.size());
  ByteWriter writer(out);
  if (v4) {
    writer.u16(0x4500);
    writer.u16(static_cast<std::uint16_t>(out.size()));
    writer.u32(0);
    writer.u8(ttl);
    writer.u8(protocol);
    writer.u16(0);
  } else {
    writer.u32(0x60000000);
    writer.u16(static_cast<std::uint16_t>(payload.size()));
    writer.u8(protocol);
    writer.u8(ttl);
  }
  append_address(writer, from);
  append_address(writer, to);
  writer.bytes(payload);
  if (v4) {
    const std::uint16_t sum = internet_checksum(ByteView(out).first(20));
    out[10] = static_cast<std::byte>(sum >> 8);
    out[11] = static_cast<std::byte>(sum & 0xff);
  }
  return out;
}

// UDP from port 4000 to 33434, without a checksum, over `payload_bytes` counting bytes.
inline Bytes udp_packet(const IpAddress& from, const IpAddress& to, std::uint8_t ttl,
                        std::size_t payload_bytes) {
  Bytes udp(8 + payload_bytes);
  ByteWriter writer(udp);
  writer.u16(4000);
  writer.u16(33434);
  writer.u16(static_cast<std::uint16_t>(udp.size()));
  writer.u16(0);
  for (std::size_t i = 0; i < payload_bytes; ++i) writer.u8(static_cast<std::uint8_t>(i));
  return ip_packet(from, to, ttl, 17, udp);
}

// The checksum over an ICMPv6 packet with its pseudo-header: 0 when it is right.
inline std::uint16_t pseudo_checksum(ByteView packet) {
  Bytes all(packet.begin() + 8, packet.begin() + 40);
  const auto length = static_cast<std::uint32_t>(packet.size() - 40);
  for (std::uint32_t word : {length, std::uint32_t{58}}) {
    for (int shift = 24; shift >= 0; shift -= 8) all.push_back(static_cast<std::byte>(word >> shift & 0xff));
  }
  all.insert(all.end(), packet.begin() + 40, packet.end());
  return internet_checksum(all);
}

inline Bytes echo_request(const IpAddress& from, const IpAddress& to, std::uint8_t ttl) {
  const bool v4 = from.is_v4();
  Bytes icmp;
  for (int byte : {v4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 1, 0x72, 0x65, 0x65, 0x66})
    icmp.push_back(std::byte(byte));
  return ip_packet(from, to, ttl, v4 ? 1 : 58, icmp);
}

}  // namespace reef::wan::testing
