#include "tests/wan/packet.h"

#include <doctest/doctest.h>

#include "tests/wan/packets.h"

using namespace reef;
using namespace reef::wan;
using namespace reef::wan::testing;

namespace {

const IpAddress kA = IpAddress::v4(23, 1, 1, 10);
const IpAddress kB = IpAddress::v4(62, 2, 2, 10);
const IpAddress kRouter = IpAddress::v4(23, 1, 1, 1);
const IpAddress kA6 = *IpAddress::parse("2a0e:1701:1::a");
const IpAddress kB6 = *IpAddress::parse("2a0e:3e02:2::a");
const IpAddress kRouter6 = *IpAddress::parse("2a0e:1701:1::1");

std::uint8_t at(ByteView bytes, std::size_t index) { return std::to_integer<std::uint8_t>(bytes[index]); }

}  // namespace

TEST_CASE("both versions are read") {
  const Bytes v4 = udp_packet(kA, kB, 9, 100);
  const auto info = parse_packet(v4);
  REQUIRE(info);
  CHECK(info->source == kA);
  CHECK(info->destination == kB);
  CHECK(info->ttl == 9);
  CHECK(info->protocol == 17);
  const auto info6 = parse_packet(udp_packet(kA6, kB6, 8, 100));
  REQUIRE(info6);
  CHECK(info6->source == kA6);
  CHECK(info6->destination == kB6);
  CHECK(info6->ttl == 8);
}

TEST_CASE("what is not one whole packet is refused") {
  CHECK_FALSE(parse_packet({}));
  for (const Bytes& packet : {udp_packet(kA, kB, 9, 8), udp_packet(kA6, kB6, 9, 8)}) {
    for (std::size_t cut = 1; cut < packet.size(); ++cut)
      CHECK_FALSE(parse_packet(ByteView(packet).first(cut)));
    Bytes longer = packet;
    longer.push_back(std::byte{0});
    CHECK_FALSE(parse_packet(longer));
  }
  Bytes bad_header = udp_packet(kA, kB, 9, 8);
  bad_header[0] = std::byte{0x41};  // a header of 4 bytes
  CHECK_FALSE(parse_packet(bad_header));
  bad_header[0] = std::byte{0x75};  // version 7
  CHECK_FALSE(parse_packet(bad_header));
}

TEST_CASE("a new TTL comes with a right header checksum") {
  Bytes packet = udp_packet(kA, kB, 64, 20);
  set_ttl(packet, 3);
  CHECK(parse_packet(packet)->ttl == 3);
  CHECK(internet_checksum(ByteView(packet).first(20)) == 0);
  Bytes v6 = udp_packet(kA6, kB6, 64, 20);
  set_ttl(v6, 3);
  CHECK(parse_packet(v6)->ttl == 3);
}

TEST_CASE(
    "Time Exceeded comes from the router and quotes the packet as it arrived there, up to 576 bytes in all") {
  const Bytes packet = udp_packet(kA, kB, 5, 1400);
  const Bytes error = icmp_error(packet, *parse_packet(packet), kRouter, IcmpError::time_exceeded);
  const auto info = parse_packet(error);
  REQUIRE(info);
  CHECK(info->source == kRouter);
  CHECK(info->destination == kA);
  CHECK(info->protocol == 1);
  CHECK(error.size() == 576);
  CHECK(at(error, 20) == 11);
  CHECK(at(error, 21) == 0);
  CHECK(internet_checksum(ByteView(error).first(20)) == 0);
  CHECK(internet_checksum(ByteView(error).subspan(20)) == 0);
  const ByteView quote = ByteView(error).subspan(28);
  CHECK(at(quote, 8) == 1);  // its TTL there
  CHECK(internet_checksum(quote.first(20)) == 0);
  CHECK(as_text(quote.subspan(20)) == as_text(ByteView(packet).subspan(20, quote.size() - 20)));
}

TEST_CASE("a short packet is quoted whole") {
  const Bytes packet = udp_packet(kA, kB, 1, 10);
  CHECK(icmp_error(packet, *parse_packet(packet), kRouter, IcmpError::host_unreachable).size() ==
        28 + packet.size());
}

TEST_CASE("ICMPv6 errors have their own types and a checksum over the pseudo-header (RFC 4443)") {
  const Bytes packet = udp_packet(kA6, kB6, 1, 31);
  const Bytes error = icmp_error(packet, *parse_packet(packet), kRouter6, IcmpError::time_exceeded);
  REQUIRE(parse_packet(error));
  CHECK(parse_packet(error)->protocol == 58);
  CHECK(at(error, 40) == 3);
  CHECK(pseudo_checksum(error) == 0);
}

TEST_CASE("no error answers an error, a later fragment or a multicast packet (RFC 1812)") {
  const Bytes packet = udp_packet(kA, kB, 1, 10);
  CHECK(may_have_error(packet, *parse_packet(packet)));
  const Bytes error = icmp_error(packet, *parse_packet(packet), kRouter, IcmpError::time_exceeded);
  CHECK_FALSE(may_have_error(error, *parse_packet(error)));
  Bytes fragment = packet;
  fragment[7] = std::byte{8};
  CHECK_FALSE(may_have_error(fragment, *parse_packet(fragment)));
  const Bytes multicast = udp_packet(kA, IpAddress::v4(224, 0, 0, 5), 1, 10);
  CHECK_FALSE(may_have_error(multicast, *parse_packet(multicast)));
  const Bytes echo = echo_request(kA, kB, 1);
  CHECK(may_have_error(echo, *parse_packet(echo)));
}

TEST_CASE("a router answers an echo request with its payload, and refuses UDP") {
  const Bytes echo = echo_request(kA, kRouter, 3);
  const auto reply = answer_as_router(echo, *parse_packet(echo));
  REQUIRE(reply);
  CHECK(at(*reply, 20) == 0);
  CHECK(internet_checksum(ByteView(*reply).subspan(20)) == 0);
  CHECK(as_text(ByteView(*reply).subspan(24)) == as_text(ByteView(echo).subspan(24)));
  const Bytes echo6 = echo_request(kA6, kRouter6, 3);
  const auto reply6 = answer_as_router(echo6, *parse_packet(echo6));
  REQUIRE(reply6);
  CHECK(at(*reply6, 40) == 129);
  CHECK(pseudo_checksum(*reply6) == 0);
  const Bytes udp = udp_packet(kA, kRouter, 3, 10);
  const auto refusal = answer_as_router(udp, *parse_packet(udp));
  REQUIRE(refusal);
  CHECK(at(*refusal, 20) == 3);
  CHECK(at(*refusal, 21) == 3);
  CHECK_FALSE(answer_as_router(*reply, *parse_packet(*reply)));
}

TEST_CASE("a datagram and the opening of a connection ask for a port, the rest of a connection does not") {
  const auto port = [](const Bytes& packet) { return asked_port(packet, *parse_packet(packet)); };
  CHECK(port(udp_packet(kA, kB, 9, 100)) == 33434);
  CHECK(port(udp_packet(kA6, kB6, 9, 100)) == 33434);
  CHECK_FALSE(port(echo_request(kA, kB, 9)));
  const auto segment = [](int flags) {
    Bytes tcp(20);
    tcp[3] = std::byte{53};
    tcp[13] = std::byte(flags);
    return ip_packet(kA, kB, 9, 6, tcp);
  };
  CHECK(port(segment(0x02)) == 53);
  CHECK_FALSE(port(segment(0x12)));
  CHECK_FALSE(port(segment(0x10)));
  CHECK_FALSE(port(ip_packet(kA, kB, 9, 6, Bytes(13))));  // cut before its flags
  Bytes fragment = udp_packet(kA, kB, 9, 100);
  fragment[7] = std::byte{1};
  CHECK_FALSE(port(fragment));
}
