#include "proxy/names/host.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "proxy/http/fields.h"

namespace reef::proxy::names {
namespace {

using http::is_digits;
using http::to_lower;

constexpr std::string_view kLocalhost = "localhost";

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

// "0x7f" and the like: inet_aton() reads such a last label as part of an address.
bool is_hex_number(std::string_view label) {
  if (label.size() < 2 || label[0] != '0' || label[1] != 'x') return false;
  for (const char c : label.substr(2)) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

bool is_number(std::string_view label) { return is_digits(label) || is_hex_number(label); }

// 1..65535 without leading zeros.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (!is_digits(text) || text.size() > 5 || text[0] == '0') return std::nullopt;
  unsigned value = 0;
  for (const char c : text) value = value * 10 + static_cast<unsigned>(c - '0');
  if (value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

bool is_ipv4_octet(std::string_view label) {
  if (!is_digits(label) || label.size() > 3 || (label.size() > 1 && label[0] == '0')) return false;
  unsigned value = 0;
  for (const char c : label) value = value * 10 + static_cast<unsigned>(c - '0');
  return value <= 255;
}

// Splits off the last label; `rest` loses it and its dot.
std::string_view pop_label(std::string_view& rest) {
  const std::size_t dot = rest.rfind('.');
  const std::string_view label = dot == std::string_view::npos ? rest : rest.substr(dot + 1);
  rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(0, dot);
  return label;
}

std::string_view last_label(std::string_view name) { return pop_label(name); }

// How many labels, and whether each is a decimal number.
struct LabelCount {
  int labels = 0;
  bool all_numeric = true;
};
LabelCount count_labels(std::string_view name) {
  LabelCount count;
  while (!name.empty()) {
    ++count.labels;
    if (!is_digits(pop_label(name))) count.all_numeric = false;
  }
  return count;
}

bool is_ipv4_text(std::string_view host) {
  int octets = 0;
  while (!host.empty()) {
    if (!is_ipv4_octet(pop_label(host))) return false;
    ++octets;
  }
  return octets == 4;
}

// Every label non-empty, at most 63 bytes, of name characters, without a hyphen at either edge.
std::optional<NameError> check_labels(std::string_view name) {
  std::size_t start = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && name[i] != '.') {
      if (static_cast<unsigned char>(name[i]) >= 0x80) return NameError::not_ascii;
      if (!is_name_char(name[i])) return NameError::bad_character;
      continue;
    }
    if (i == start) return NameError::empty_label;
    if (i - start > kLabelBytesMax) return NameError::too_long;
    if (name[start] == '-' || name[i - 1] == '-') return NameError::hyphen_at_edge;
    start = i + 1;
  }
  return std::nullopt;
}

// The one-label form back to dots: "-" is ".", "--" is "-". A run of three or more hyphens of odd length
// would put a hyphen at the edge of a label, where no host name has one, so each run has one reading. `out`
// has room for the input.
std::optional<NameError> decode_one_label(std::string_view label, char* out, std::size_t& size) {
  if (label.front() == '-' || label.back() == '-') return NameError::hyphen_at_edge;
  size = 0;
  for (std::size_t i = 0; i < label.size();) {
    if (label[i] != '-') {
      out[size++] = label[i++];
      continue;
    }
    const std::size_t run_end =
        label.find_first_not_of('-', i);  // there is one: the last character is no hyphen
    const std::size_t run = run_end - i;
    if (run == 1) {
      out[size++] = '.';
    } else if (run % 2 != 0) {
      return NameError::hyphen_at_edge;
    } else {
      for (std::size_t n = 0; n < run / 2; ++n) out[size++] = '-';
    }
    i = run_end;
  }
  return std::nullopt;
}

std::string encode_one_label(std::string_view dotted) {
  std::string label;
  for (const char c : dotted) {
    if (c == '-') {
      label += "--";
    } else {
      label += c == '.' ? '-' : c;
    }
  }
  return label;
}

// "name[:port]" to a lower-case name without trailing dot, held in `name`.
std::optional<NameError> split_host(std::string_view host, HostName& name, std::uint16_t& port) {
  const std::size_t colon = host.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view digits = host.substr(colon + 1);
    if (!digits.empty()) {  // "name:" is allowed by the grammar (RFC 3986 §3.2.3)
      const auto parsed = parse_port(digits);
      if (!parsed) return NameError::bad_character;
      port = *parsed;
    }
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > kHostBytesMax) return NameError::too_long;
  char lower[kHostBytesMax];
  for (std::size_t i = 0; i < host.size(); ++i) lower[i] = to_lower(host[i]);
  name = HostName({lower, host.size()});
  return std::nullopt;
}

}  // namespace

HostName::HostName(std::string_view lower_case) noexcept
    : size_(static_cast<std::uint8_t>(std::min(lower_case.size(), kHostBytesMax))) {
  if (size_ != 0) std::memcpy(bytes_.data(), lower_case.data(), size_);
}

std::string_view to_text(NameError error) {
  switch (error) {
    case NameError::not_under_suffix:
      return "this node does not serve that host name";
    case NameError::suffix_itself:
      return "the name of the network itself stands for no site";
    case NameError::too_long:
      return "a host name has at most 253 bytes, each of its labels at most 63";
    case NameError::not_ascii:
      return "an international host name must be in its ASCII form (xn--...)";
    case NameError::bad_character:
      return "a host name consists of letters, digits, hyphens and dots";
    case NameError::empty_label:
      return "the host name has an empty label";
    case NameError::hyphen_at_edge:
      return "no label of a host name begins or ends with a hyphen";
    case NameError::single_label:
      return "the origin's host name has no dot";
    case NameError::numeric_last_label:
      return "the last label of the origin's host name is a number";
    case NameError::bad_port:
      return "the port label is not a number from 1 to 65535 without leading zeros";
    case NameError::port_not_allowed:
      return "this node does not fetch from that port";
    case NameError::not_allowed:
      return "this node does not fetch from localhost or from literal addresses";
    case NameError::nested:
      return "the origin's host name is itself under this network's suffix";
    case NameError::bad_url:
      return "not an absolute http or https URL with a host name";
  }
  return "unknown";
}

Names::Names(Options options) : options_(std::move(options)) {
  BASE_CHECK(!options_.suffix.empty() && options_.suffix.size() < kHostBytesMax);
  BASE_CHECK(!check_labels(options_.suffix));
}

bool Names::is_under_suffix(std::string_view host) const {
  const std::string_view suffix = options_.suffix;
  if (!host.ends_with(suffix)) return false;
  return host.size() == suffix.size() || host[host.size() - suffix.size() - 1] == '.';
}

tl::expected<CoralName, NameError> Names::parse(std::string_view host) const {
  HostName name;
  std::uint16_t host_port = 0;
  if (const auto error = split_host(host, name, host_port)) return tl::unexpected(*error);
  std::string_view labels = name.view();
  if (!is_under_suffix(labels)) return tl::unexpected(NameError::not_under_suffix);
  if (labels.size() == options_.suffix.size()) return tl::unexpected(NameError::suffix_itself);
  labels.remove_suffix(options_.suffix.size() + 1);
  if (const auto error = labels.empty() ? std::optional(NameError::empty_label) : check_labels(labels)) {
    return tl::unexpected(*error);
  }

  char decoded[kLabelBytesMax];
  Form form = Form::dotted;
  // A dotted form always has a dot, except for "localhost", which both forms write alike.
  if (labels.find('.') == std::string_view::npos) {
    std::size_t size = 0;
    if (const auto error = decode_one_label(labels, decoded, size)) return tl::unexpected(*error);
    labels = {decoded, size};
    form = Form::one_label;
  }
  auto result = parse_dotted(labels);
  if (result) {
    result->form = form;
    result->host_port = host_port;
  }
  return result;
}

tl::expected<CoralName, NameError> Names::parse_dotted(std::string_view labels) const {
  CoralName name;
  name.origin.scheme = options_.default_scheme;
  const std::string_view scheme = last_label(labels);
  if (scheme == "https" || scheme == "http") {
    pop_label(labels);
    name.origin.scheme = scheme == "https" ? Scheme::https : Scheme::http;
    name.scheme_given = true;
  }
  name.origin.port = default_port(name.origin.scheme);

  // Digits at the end are a port, unless they complete an IPv4 address: four numbers are one, a fifth is its
  // port.
  const LabelCount count = count_labels(labels);
  if (count.labels > 0 && is_digits(last_label(labels)) && !(count.all_numeric && count.labels <= 4)) {
    const auto port = parse_port(pop_label(labels));
    if (!port) return tl::unexpected(NameError::bad_port);
    name.origin.port = *port;
  }
  name.origin.host = HostName(labels);
  if (auto allowed = check(name.origin); !allowed) return tl::unexpected(allowed.error());
  return name;
}

tl::expected<void, NameError> Names::check(const Origin& origin) const {
  const std::string_view host = origin.host.view();
  if (const auto error = check_labels(host)) return tl::unexpected(*error);
  if (host == kLocalhost || is_ipv4_text(host)) {
    if (host == kLocalhost ? options_.allow_localhost : options_.allow_ipv4) return {};
    return tl::unexpected(NameError::not_allowed);
  }
  if (is_number(last_label(host))) return tl::unexpected(NameError::numeric_last_label);
  if (host.find('.') == std::string_view::npos) return tl::unexpected(NameError::single_label);
  if (is_under_suffix(host)) return tl::unexpected(NameError::nested);
  for (const PortRange& range : options_.ports) {
    if (origin.port >= range.first && origin.port <= range.last) return {};
  }
  return tl::unexpected(NameError::port_not_allowed);
}

tl::expected<std::string, NameError> Names::coralize(const Origin& origin, Form form) const {
  if (auto allowed = check(origin); !allowed) return tl::unexpected(allowed.error());
  std::string name(origin.host.view());
  if (origin.port != default_port(origin.scheme)) name += "." + std::to_string(origin.port);
  // A host whose own last label reads like a scheme needs the label too, or it would be taken for one.
  const std::string_view last = last_label(origin.host.view());
  const bool looks_like_scheme =
      (last == "http" || last == "https") && origin.port == default_port(origin.scheme);
  if (origin.scheme != options_.default_scheme || looks_like_scheme) {
    name += ".";
    name += to_text(origin.scheme);
  }
  if (form == Form::one_label) {
    name = encode_one_label(name);
    if (name.size() > kLabelBytesMax) return tl::unexpected(NameError::too_long);
  }
  name += "." + options_.suffix;
  if (name.size() > kHostBytesMax) return tl::unexpected(NameError::too_long);
  return name;
}

}  // namespace reef::proxy::names
