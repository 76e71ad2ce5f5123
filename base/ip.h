// IP addresses, prefixes and endpoints, IPv4 and IPv6 alike.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace reef {

// An IPv4 or IPv6 address. Held as 16 bytes, IPv4 in its mapped form (::ffff:a.b.c.d), so that the two
// families compare and hash alike. Default: 0.0.0.0 ("unspecified").
class IpAddress {
 public:
  IpAddress();  // 0.0.0.0
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  static IpAddress v6(const std::array<std::uint8_t, 16>& network_order);  // a mapped address becomes IPv4

  // Dotted quad (four decimal numbers, no leading zeros) or RFC 4291 text without brackets or zone.
  static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] std::uint32_t v4_host_order() const;  // only where is_v4()
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;
  // Globally routable unicast by the IANA special-purpose registries: what a volunteer's node may be asked to
  // connect to. Everything private, loopback, link-local, shared, documentation, benchmark, multicast,
  // reserved, translated (6to4, NAT64, Teredo) or mapped is not.
  [[nodiscard]] bool is_global_unicast() const;

  auto operator<=>(const IpAddress&) const = default;
  bool operator==(const IpAddress& other) const {  // two words: quicker than memcmp()
    using Words = std::array<std::uint64_t, 2>;
    const auto a = std::bit_cast<Words>(bytes_), b = std::bit_cast<Words>(other.bytes_);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
  }

 private:
  explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  std::array<std::uint8_t, 16> bytes_;
};

[[nodiscard]] std::string to_string(const IpAddress& address);

// A CIDR prefix. `bits` counts within the address's own family: 0..32 or 0..128; host bits are zero.
struct IpPrefix {
  IpAddress address;
  int bits = 0;

  // "10.0.0.0/8", "2001:db8::/32", or a bare address (a host prefix). Host bits must be zero.
  static Result<IpPrefix> parse(std::string_view text);
  // The prefix of that length around an address (host bits cleared).
  static IpPrefix around(const IpAddress& address, int bits);
  [[nodiscard]] bool contains(const IpAddress& other) const;
  auto operator<=>(const IpPrefix&) const = default;
};

[[nodiscard]] std::string to_string(const IpPrefix& prefix);

// Address and port (host order).
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:80" or "[2001:db8::1]:80". The port is required, 0..65535 (0: the kernel chooses, in
  // listeners).
  static Result<Endpoint> parse(std::string_view text);
  static Endpoint from(const sockaddr* address);  // AF_INET or AF_INET6, anything else is 0.0.0.0:0
  // Fills `out`, returns its length.
  socklen_t to(sockaddr_storage& out) const;

  auto operator<=>(const Endpoint&) const = default;
};

[[nodiscard]] std::string to_string(const Endpoint& endpoint);

}  // namespace reef

template <>
struct std::hash<reef::IpAddress> {
  std::size_t operator()(const reef::IpAddress& address) const noexcept {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
  }
};
template <>
struct std::hash<reef::Endpoint> {
  std::size_t operator()(const reef::Endpoint& endpoint) const noexcept {
    return std::hash<reef::IpAddress>{}(endpoint.address) * 31 + endpoint.port;
  }
};
