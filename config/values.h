// Text to value and back, for every type that a setting can have. Pure.
//
// A type is a small object: allowed() says what it takes, for people, and goes into every error message;
// parse() gives nullopt for anything else; format() gives text that parse() takes back to the same value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "config/settings.h"

namespace reef::config {

// A DNS host name in lower case without a trailing dot: labels of 1 to 63 letters, digits and inner hyphens,
// at most 253 bytes, the last label not all digits. nullopt for anything else.
std::optional<std::string> normal_host_name(std::string_view text);

struct BooleanType {
  using Value = bool;
  [[nodiscard]] std::string allowed() const { return "true or false"; }
  [[nodiscard]] std::optional<bool> parse(std::string_view text) const;
  [[nodiscard]] std::string format(bool value) const { return value ? "true" : "false"; }
};

struct IntegerType {
  using Value = int;
  int min, max;
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<int> parse(std::string_view text) const;
  [[nodiscard]] std::string format(int value) const { return std::to_string(value); }
};

// Bytes: a whole number with an optional unit B, KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000).
struct BytesType {
  using Value = std::uint64_t;
  std::uint64_t min, max;
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<std::uint64_t> parse(std::string_view text) const;
  [[nodiscard]] std::string format(std::uint64_t value) const;
};

// A whole number with a unit: ms, s, min, h or d. The value must be a whole number of the setting's own unit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds value);

template <class Unit>
struct DurationType {
  using Value = Unit;
  Unit min, max;
  [[nodiscard]] std::string allowed() const {
    return "a duration from " + format_duration(min) + " to " + format_duration(max) +
           " (units: ms, s, min, h, d)";
  }
  [[nodiscard]] std::optional<Unit> parse(std::string_view text) const {
    const auto value = parse_duration(text);
    if (!value) return std::nullopt;
    const auto rounded = std::chrono::duration_cast<Unit>(*value);
    if (rounded != *value || rounded < min || rounded > max) return std::nullopt;
    return rounded;
  }
  [[nodiscard]] std::string format(Unit value) const { return format_duration(value); }
};
using SecondsType = DurationType<Seconds>;
using MillisecondsType = DurationType<Milliseconds>;

// Any text without control characters.
struct TextType {
  using Value = std::string;
  std::size_t min_bytes, max_bytes;
  std::string what;  // "a path", for allowed()
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<std::string> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const std::string& value) const { return value; }
};

struct ChoiceType {
  using Value = std::string;
  std::vector<std::string> choices;
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<std::string> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const std::string& value) const { return value; }
};

// A domain name, normalized.
struct DomainType {
  using Value = std::string;
  [[nodiscard]] std::string allowed() const { return "a domain name, such as reef.example"; }
  [[nodiscard]] std::optional<std::string> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const std::string& value) const { return value; }
};

// The same, or nothing.
struct OptionalDomainType {
  using Value = std::string;
  [[nodiscard]] std::string allowed() const { return "a domain name, such as nodes.example, or nothing"; }
  [[nodiscard]] std::optional<std::string> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const std::string& value) const { return value; }
};

struct EndpointType {
  using Value = Endpoint;
  std::string example;
  bool port_zero;  // the kernel may choose the port
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<Endpoint> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const Endpoint& value) const { return to_string(value); }
};

// Exactly one endpoint, where the field can hold several.
struct OneEndpointType {
  using Value = std::vector<Endpoint>;
  EndpointType one;
  [[nodiscard]] std::string allowed() const { return one.allowed(); }
  [[nodiscard]] std::optional<Value> parse(std::string_view text) const {
    const auto endpoint = one.parse(text);
    if (!endpoint) return std::nullopt;
    return Value{*endpoint};
  }
  [[nodiscard]] std::string format(const Value& value) const { return one.format(value.front()); }
};

struct HostPortType {
  using Value = HostPort;
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<HostPort> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const HostPort& value) const;
};

// Optional: the empty text is "not given".
struct AddressType {
  using Value = std::optional<IpAddress>;
  [[nodiscard]] std::string allowed() const { return "an IPv4 or IPv6 address, or nothing"; }
  [[nodiscard]] std::optional<Value> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const Value& value) const { return value ? to_string(*value) : ""; }
};

struct PrefixType {
  using Value = IpPrefix;
  [[nodiscard]] std::string allowed() const {
    return "a prefix such as 192.0.2.0/24 or 2001:db8::/32 without bits beyond its length";
  }
  [[nodiscard]] std::optional<IpPrefix> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const IpPrefix& value) const { return to_string(value); }
};

struct PortRangeType {
  using Value = PortRange;
  [[nodiscard]] std::string allowed() const {
    return "a port or a range of ports from 1 to 65535, such as 80 or 8000-8100";
  }
  [[nodiscard]] std::optional<PortRange> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const PortRange& value) const;
};

// HOST=ORIGIN_URL. The URL is http:// or https://, a host and perhaps a port, and nothing more than a slash
// after it.
struct SiteType {
  using Value = Site;
  [[nodiscard]] std::string allowed() const;
  [[nodiscard]] std::optional<Site> parse(std::string_view text) const;
  [[nodiscard]] std::string format(const Site& value) const;
};

}  // namespace reef::config
