#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace reef {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool prefix_matches(std::span<const std::uint8_t> address, std::span<const std::uint8_t> prefix, int bits) {
  const int whole = bits / 8;
  if (!std::equal(prefix.begin(), prefix.begin() + whole, address.begin())) return false;
  const int rest = bits % 8;
  return rest == 0 || ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

// Decimal without sign, blanks or leading zeros.
bool parse_decimal(std::string_view text, unsigned max, unsigned& out) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  unsigned value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  out = value;
  return value <= max;
}

// IANA IPv4 Special-Purpose Address Registry (RFC 6890 and later), plus multicast and reserved space.
constexpr struct {
  std::uint32_t network;
  int bits;
} kSpecialV4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
    {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

// The first bytes that a special network has. This is asked of every address that a datagram names, and most
// have another one.
constexpr auto kMaybeSpecialV4 = [] {
  std::array<bool, 256> out{};
  for (const auto& special : kSpecialV4) {
    const std::uint32_t first = special.network >> 24;
    const std::uint32_t count = special.bits >= 8 ? 1 : 1u << (8 - special.bits);
    for (std::uint32_t i = first; i < first + count; ++i) out[i] = true;
  }
  return out;
}();

// Inside 2000::/3 (all else is refused): Teredo and other IETF assignments, documentation, 6to4.
constexpr struct {
  std::array<std::uint8_t, 4> network;
  int bits;
} kSpecialV6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x20, 0x02, 0x00, 0x00}, 16},
    {{0x3f, 0xff, 0x00, 0x00}, 20},
};

}  // namespace

IpAddress::IpAddress() : IpAddress(v4(0)) {}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  return v4(static_cast<std::uint8_t>(host_order >> 24), static_cast<std::uint8_t>(host_order >> 16),
            static_cast<std::uint8_t>(host_order >> 8), static_cast<std::uint8_t>(host_order));
}

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d});
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& network_order) {
  return IpAddress(network_order);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  const bool ends_early =
      text.find('\0') != std::string_view::npos;  // for inet_pton, which would not see the rest
  in_addr four{};
  // inet_pton refuses leading zeros, octal, hex and short forms, unlike inet_aton.
  if (!ends_early && inet_pton(AF_INET, copy.c_str(), &four) == 1) return v4(ntohl(four.s_addr));
  std::array<std::uint8_t, 16> six{};
  if (!ends_early && inet_pton(AF_INET6, copy.c_str(), six.data()) == 1) return v6(six);
  return fail(invalid("'" + copy + "' is not an IPv4 or IPv6 address"));
}

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin()); }

std::uint32_t IpAddress::v4_host_order() const {
  return std::uint32_t{bytes_[12]} << 24 | std::uint32_t{bytes_[13]} << 16 | std::uint32_t{bytes_[14]} << 8 |
         bytes_[15];
}

bool IpAddress::is_unspecified() const {
  if (is_v4()) return v4_host_order() == 0;
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  static constexpr std::array<std::uint8_t, 16> kOne = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return bytes_ == kOne;
}

bool IpAddress::is_global_unicast() const {
  if (is_v4()) {
    if (!kMaybeSpecialV4[bytes_[12]]) return true;
    const std::uint32_t value = v4_host_order();
    return std::none_of(std::begin(kSpecialV4), std::end(kSpecialV4), [value](const auto& special) {
      return (value ^ special.network) >> (32 - special.bits) == 0;
    });
  }
  if ((bytes_[0] & 0xe0) != 0x20) return false;
  return std::none_of(std::begin(kSpecialV6), std::end(kSpecialV6), [this](const auto& special) {
    return prefix_matches(bytes_, special.network, special.bits);
  });
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  if (address.is_v4()) {
    inet_ntop(AF_INET, address.bytes().data() + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, address.bytes().data(), text, sizeof text);
  }
  return text;
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return fail(address.error());
  const unsigned full = address->is_v4() ? 32 : 128;
  unsigned bits = full;
  if (slash != std::string_view::npos && !parse_decimal(text.substr(slash + 1), full, bits)) {
    return fail(
        invalid("'" + std::string(text) + "': the prefix length must be 0 to " + std::to_string(full)));
  }
  const IpPrefix out = around(*address, static_cast<int>(bits));
  if (out.address != *address) {
    return fail(invalid("'" + std::string(text) + "' has bits set beyond its length; did you mean " +
                        to_string(out) + "?"));
  }
  return out;
}

IpPrefix IpPrefix::around(const IpAddress& address, int bits) {
  std::array<std::uint8_t, 16> bytes = address.bytes();
  const int kept = bits + (address.is_v4() ? 96 : 0);
  for (int i = 0; i < 16; ++i) {
    const int left = std::clamp(kept - i * 8, 0, 8);
    bytes[i] &= static_cast<std::uint8_t>(0xff00 >> left);
  }
  return {IpAddress::v6(bytes), bits};
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (address.is_v4() != other.is_v4()) return false;
  return prefix_matches(other.bytes(), address.bytes(), bits + (address.is_v4() ? 96 : 0));
}

std::string to_string(const IpPrefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.bits);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const Error bad = invalid("'" + std::string(text) + "' is not ADDRESS:PORT (IPv6 in brackets: [::1]:80)");
  std::string_view host, port;
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos) return fail(bad);
    host = text.substr(1, close - 1);
    port = text.substr(close + 2);
    if (host.find(':') == std::string_view::npos) return fail(bad);
  } else {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return fail(bad);
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  auto address = IpAddress::parse(host);
  unsigned number = 0;
  if (!address || !parse_decimal(port, 65535, number)) return fail(bad);
  return Endpoint{*address, static_cast<std::uint16_t>(number)};
}

Endpoint Endpoint::from(const sockaddr* address) {
  if (address == nullptr) return {};
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, 16);
    return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return {};
}

socklen_t Endpoint::to(sockaddr_storage& out) const {
  std::memset(&out, 0, sizeof out);
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.v4_host_order());
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&out, &in, sizeof in);
  return sizeof in;
}

std::string to_string(const Endpoint& endpoint) {
  const std::string port = std::to_string(endpoint.port);
  if (endpoint.address.is_v4()) return to_string(endpoint.address) + ":" + port;
  return "[" + to_string(endpoint.address) + "]:" + port;
}

}  // namespace reef
