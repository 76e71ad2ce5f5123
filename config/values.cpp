#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace reef::config {
namespace {

// Decimal digits only: no sign, no blanks.
template <class Integer>
std::optional<Integer> whole_number(std::string_view text) {
  Integer value{};
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

// The 1024 units come first, the largest in front: format() takes the first that divides the value.
constexpr std::array<Unit, 9> kByteUnits = {{{"TiB", kTiB},
                                             {"GiB", kGiB},
                                             {"MiB", kMiB},
                                             {"KiB", kKiB},
                                             {"TB", 1'000'000'000'000},
                                             {"GB", 1'000'000'000},
                                             {"MB", 1'000'000},
                                             {"kB", 1'000},
                                             {"B", 1}}};
constexpr std::array<Unit, 5> kTimeUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}, {"ms", 1}}};

// "5 MiB" or "5MiB": the digits, then the unit. `plain` is the unit's size when none is written; 0: it must
// be.
template <std::size_t N>
std::optional<std::uint64_t> with_unit(std::string_view text, const std::array<Unit, N>& units,
                                       std::uint64_t plain) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = whole_number<std::uint64_t>(text.substr(0, digits));
  if (!count) return std::nullopt;
  std::string_view name = text.substr(digits);
  if (name.starts_with(' ')) name.remove_prefix(1);
  std::uint64_t size = name.empty() && digits == text.size() ? plain : 0;
  for (const Unit& unit : units) {
    if (unit.name == name) size = unit.size;
  }
  if (size == 0 || *count > std::numeric_limits<std::uint64_t>::max() / size) return std::nullopt;
  return *count * size;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

// "host:port" or "[v6]:port"; `default_port` stands in for a missing one, 0: it must be there.
std::optional<HostPort> host_port(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text, port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    has_port = close + 1 < text.size();
    if (has_port && text[close + 1] != ':') return std::nullopt;
    if (has_port) port = text.substr(close + 2);
    const auto address = IpAddress::parse(host);
    if (!address || address->is_v4()) return std::nullopt;
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  HostPort out{.host = {}, .port = default_port};
  if (const auto address = IpAddress::parse(host)) {
    out.host = to_string(*address);
  } else if (const auto name = normal_host_name(host)) {
    out.host = *name;
  } else {
    return std::nullopt;
  }
  if (has_port) {
    const auto number = whole_number<std::uint16_t>(port);
    if (!number) return std::nullopt;
    out.port = *number;
  }
  if (out.port == 0) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::string> normal_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return std::nullopt;
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  std::string_view rest = name, label;
  while (true) {
    const auto dot = rest.find('.');
    label = rest.substr(0, dot);
    if (!is_label(label)) return std::nullopt;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // A name that ends in a number is somebody's idea of an address (WHATWG URL, "ends in a number").
  if (label.find_first_not_of("0123456789") == std::string_view::npos) return std::nullopt;
  return name;
}

std::optional<bool> BooleanType::parse(std::string_view text) const {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::string IntegerType::allowed() const {
  return "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
}

std::optional<int> IntegerType::parse(std::string_view text) const {
  const auto value = whole_number<int>(text);
  if (!value || *value < min || *value > max) return std::nullopt;
  return value;
}

std::string BytesType::allowed() const {
  return "a size from " + format(min) + " to " + format(max) + " (units: B, KiB, MiB, GiB, TiB)";
}

std::optional<std::uint64_t> BytesType::parse(std::string_view text) const {
  const auto value = with_unit(text, kByteUnits, 1);
  if (!value || *value < min || *value > max) return std::nullopt;
  return value;
}

std::string BytesType::format(std::uint64_t value) const {
  if (value == 0) return "0B";
  for (const Unit& unit : kByteUnits) {
    if (value % unit.size == 0) return std::to_string(value / unit.size) + std::string(unit.name);
  }
  return std::to_string(value);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto value = with_unit(text, kTimeUnits, 0);
  constexpr std::uint64_t kYearsMax = 100ull * 366 * 86'400'000;
  if (!value || *value > kYearsMax) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

std::string format_duration(std::chrono::milliseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  if (count == 0) return "0s";
  for (const Unit& unit : kTimeUnits) {
    if (count % unit.size == 0) return std::to_string(count / unit.size) + std::string(unit.name);
  }
  return std::to_string(count) + "ms";
}

std::string TextType::allowed() const {
  return what + " of " + std::to_string(min_bytes) + " to " + std::to_string(max_bytes) + " bytes";
}

std::optional<std::string> TextType::parse(std::string_view text) const {
  if (text.size() < min_bytes || text.size() > max_bytes) return std::nullopt;
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return std::nullopt;
  }
  return std::string(text);
}

std::string ChoiceType::allowed() const {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += i + 1 == choices.size() ? " or " : ", ";
    out += choices[i];
  }
  return out;
}

std::optional<std::string> ChoiceType::parse(std::string_view text) const {
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) return std::nullopt;
  return std::string(text);
}

std::optional<std::string> DomainType::parse(std::string_view text) const { return normal_host_name(text); }

std::optional<std::string> OptionalDomainType::parse(std::string_view text) const {
  return text.empty() ? std::string() : normal_host_name(text);
}

std::string EndpointType::allowed() const {
  return "ADDRESS:PORT, such as " + example + " (IPv6 in brackets: [::1]:80)";
}

std::optional<Endpoint> EndpointType::parse(std::string_view text) const {
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint || (endpoint->port == 0 && !port_zero)) return std::nullopt;
  return *endpoint;
}

std::string HostPortType::allowed() const {
  return "HOST:PORT, such as seed.reef.example:8091 or [2001:db8::1]:8091";
}

std::optional<HostPort> HostPortType::parse(std::string_view text) const { return host_port(text, 0); }

std::string HostPortType::format(const HostPort& value) const {
  return bracketed(value.host) + ":" + std::to_string(value.port);
}

std::optional<AddressType::Value> AddressType::parse(std::string_view text) const {
  if (text.empty()) return Value{};
  const auto address = IpAddress::parse(text);
  if (!address || address->is_unspecified()) return std::nullopt;
  return Value{*address};
}

std::optional<IpPrefix> PrefixType::parse(std::string_view text) const {
  const auto prefix = IpPrefix::parse(text);
  if (!prefix) return std::nullopt;
  return *prefix;
}

std::optional<PortRange> PortRangeType::parse(std::string_view text) const {
  const auto dash = text.find('-');
  const auto first = whole_number<std::uint16_t>(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : whole_number<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

std::string PortRangeType::format(const PortRange& value) const {
  if (value.first == value.last) return std::to_string(value.first);
  return std::to_string(value.first) + "-" + std::to_string(value.last);
}

std::string SiteType::allowed() const {
  return "HOST=ORIGIN_URL, such as www.small.org=https://origin.small.org";
}

std::optional<Site> SiteType::parse(std::string_view text) const {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto host = normal_host_name(text.substr(0, equals));
  std::string_view url = text.substr(equals + 1);
  Site site;
  for (const std::string_view scheme : {"http", "https"}) {
    if (url.starts_with(scheme) && url.substr(scheme.size()).starts_with("://")) site.scheme = scheme;
  }
  if (!host || site.scheme.empty()) return std::nullopt;
  url.remove_prefix(site.scheme.size() + 3);
  if (url.ends_with('/')) url.remove_suffix(1);
  const auto origin = host_port(url, site.scheme == "https" ? 443 : 80);
  if (!origin) return std::nullopt;
  site.host = *host;
  site.origin_host = origin->host;
  site.origin_port = origin->port;
  return site;
}

std::string SiteType::format(const Site& value) const {
  const std::uint16_t usual = value.scheme == "https" ? 443 : 80;
  const std::string port = value.origin_port == usual ? "" : ":" + std::to_string(value.origin_port);
  return value.host + "=" + value.scheme + "://" + bracketed(value.origin_host) + port;
}

}  // namespace reef::config
