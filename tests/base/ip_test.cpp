#include "base/ip.h"

#include <doctest/doctest.h>

#include <cstring>
#include <unordered_set>

using namespace reef;

namespace {
IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}
}  // namespace

TEST_CASE("addresses of both families read back as they are written") {
  for (const char* text :
       {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"}) {
    CHECK(to_string(address(text)) == text);
  }
  CHECK(to_string(address("2001:DB8:0:0:0:0:0:1")) == "2001:db8::1");
  CHECK(IpAddress() == address("0.0.0.0"));
  CHECK(IpAddress::v4(192, 0, 2, 1) == address("192.0.2.1"));
  CHECK(IpAddress::v4(0xc0000201) == address("192.0.2.1"));
  CHECK(address("192.0.2.1").v4_host_order() == 0xc0000201);
}

TEST_CASE("an IPv4-mapped IPv6 address is that IPv4 address") {
  CHECK(address("::ffff:192.0.2.1") == address("192.0.2.1"));
  CHECK(address("::ffff:192.0.2.1").is_v4());
  CHECK_FALSE(address("::192.0.2.1").is_v4());
}

TEST_CASE("what only looks like an address is refused") {
  for (const std::string& wrong :
       {std::string(), std::string("1.2.3"), std::string("1.2.3.4.5"), std::string("01.2.3.4"),
        std::string("1.2.3.256"), std::string("0x7f.0.0.1"), std::string("2130706433"),
        std::string(" 1.2.3.4"), std::string("1.2.3.4 "), std::string("[::1]"), std::string("fe80::1%eth0"),
        std::string("::1::"), std::string("localhost"), std::string("127.0.0.1\0.example.com", 21),
        std::string("::1\0", 4)}) {
    CAPTURE(wrong);
    CHECK_FALSE(IpAddress::parse(wrong));
  }
}

TEST_CASE("loopback and unspecified addresses are known in both families") {
  CHECK(address("127.0.0.1").is_loopback());
  CHECK(address("127.255.0.1").is_loopback());
  CHECK(address("::1").is_loopback());
  CHECK_FALSE(address("128.0.0.1").is_loopback());
  CHECK_FALSE(address("::2").is_loopback());
  CHECK(address("0.0.0.0").is_unspecified());
  CHECK(address("::").is_unspecified());
  CHECK_FALSE(address("0.0.0.1").is_unspecified());
}

TEST_CASE("only globally routable unicast addresses may be connected to for a stranger") {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255",
                           "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0",
                           "223.255.255.255", "2001:200::1", "2600::1", "2a00:1450::1", "3ffe::1"}) {
    CAPTURE(text);
    CHECK(address(text).is_global_unicast());
  }
  for (const char* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::ffff:10.0.0.1",
                           "::ffff:127.0.0.1",
                           "64:ff9b::808:808",
                           "64:ff9b:1::1",
                           "100::1",
                           "2001::1",
                           "2001:1ff::1",
                           "2001:db8::1",
                           "2002:808:808::1",
                           "3fff::1",
                           "fc00::1",
                           "fd00::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "4000::1"}) {
    CAPTURE(text);
    CHECK_FALSE(address(text).is_global_unicast());
  }
}

TEST_CASE("a prefix contains the addresses of its own family that share its bits") {
  const IpPrefix ten = *IpPrefix::parse("10.0.0.0/8");
  CHECK(ten.contains(address("10.255.255.255")));
  CHECK_FALSE(ten.contains(address("11.0.0.0")));
  CHECK_FALSE(ten.contains(address("::1")));
  const IpPrefix odd = *IpPrefix::parse("192.0.2.128/25");
  CHECK(odd.contains(address("192.0.2.128")));
  CHECK_FALSE(odd.contains(address("192.0.2.127")));
  const IpPrefix six = *IpPrefix::parse("2001:db8::/33");
  CHECK(six.contains(address("2001:db8:7fff::1")));
  CHECK_FALSE(six.contains(address("2001:db8:8000::1")));
  CHECK(IpPrefix::parse("0.0.0.0/0")->contains(address("255.255.255.255")));
  CHECK_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(address("::1")));
  CHECK(IpPrefix::parse("::/0")->contains(address("ff02::1")));
  CHECK_FALSE(IpPrefix::parse("::/0")->contains(address("1.2.3.4")));
  CHECK(IpPrefix::parse("192.0.2.1")->bits == 32);
  CHECK(IpPrefix::parse("::1")->bits == 128);
}

TEST_CASE("a prefix with bits beyond its length is refused, with the one that was probably meant") {
  CHECK(IpPrefix::parse("10.0.0.1/8").error().message() ==
        "'10.0.0.1/8' has bits set beyond its length; did you mean 10.0.0.0/8?");
  for (const char* wrong : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
                            "10.0.0.0/8/8", "::/129", "10.0.0.0/8 ", "10/8"}) {
    CAPTURE(wrong);
    CHECK_FALSE(IpPrefix::parse(wrong));
  }
}

TEST_CASE("the prefix around an address clears the bits beyond its length") {
  CHECK(to_string(IpPrefix::around(address("192.0.2.129"), 24)) == "192.0.2.0/24");
  CHECK(to_string(IpPrefix::around(address("192.0.2.129"), 25)) == "192.0.2.128/25");
  CHECK(to_string(IpPrefix::around(address("192.0.2.129"), 0)) == "0.0.0.0/0");
  CHECK(to_string(IpPrefix::around(address("192.0.2.129"), 32)) == "192.0.2.129/32");
  CHECK(to_string(IpPrefix::around(address("2001:db8:1:2:3::"), 48)) == "2001:db8:1::/48");
  CHECK(to_string(IpPrefix::around(address("2001:db8:1:2:3::"), 0)) == "::/0");
}

TEST_CASE("an endpoint is an address and a port, IPv6 in brackets") {
  CHECK(to_string(*Endpoint::parse("192.0.2.1:80")) == "192.0.2.1:80");
  CHECK(to_string(*Endpoint::parse("[2001:db8::1]:65535")) == "[2001:db8::1]:65535");
  CHECK(Endpoint::parse("0.0.0.0:0")->port == 0);
  for (const std::string& wrong :
       {std::string(), std::string("192.0.2.1"), std::string("192.0.2.1:"), std::string(":80"),
        std::string("192.0.2.1:080"), std::string("192.0.2.1:65536"), std::string("192.0.2.1:+1"),
        std::string("192.0.2.1:80 "), std::string("::1:80"), std::string("[::1]"), std::string("[::1]80"),
        std::string("[192.0.2.1]:80"), std::string("host:80"), std::string("192.0.2.1:80\0", 13)}) {
    CAPTURE(wrong);
    CHECK_FALSE(Endpoint::parse(wrong));
  }
}

TEST_CASE("an endpoint survives the way through a socket address") {
  for (const char* text : {"192.0.2.1:80", "[2001:db8::1]:443", "0.0.0.0:0"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    sockaddr_storage raw;
    const socklen_t length = endpoint.to(raw);
    CHECK(length == (endpoint.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
    CHECK(Endpoint::from(reinterpret_cast<const sockaddr*>(&raw)) == endpoint);
  }
  CHECK(Endpoint::from(nullptr) == Endpoint{});
  sockaddr other{};
  other.sa_family = AF_UNIX;
  CHECK(Endpoint::from(&other) == Endpoint{});
}

TEST_CASE("addresses and endpoints can be keys") {
  const std::unordered_set<IpAddress> addresses = {address("192.0.2.1"), address("::ffff:192.0.2.1"),
                                                   address("::1")};
  CHECK(addresses.size() == 2);
  const std::unordered_set<Endpoint> endpoints = {*Endpoint::parse("192.0.2.1:1"),
                                                  *Endpoint::parse("192.0.2.1:2")};
  CHECK(endpoints.size() == 2);
}
