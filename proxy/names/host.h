// Coralized host names: which origin a name under our suffix stands for, and back. The grammar, with vectors
// that the tests read, is in docs/names.md.
//
//   www.x.com.reef.example               http://www.x.com
//   www.x.com.8080.reef.example          http://www.x.com:8080
//   www.x.com.8443.https.reef.example    https://www.x.com:8443
//   www-x-com.reef.example               http://www.x.com          (one label: for a certificate of
//   *.reef.example)
//
// Pure, no allocation in parse(); any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace reef::proxy::names {

enum class Scheme : std::uint8_t { http, https };
[[nodiscard]] constexpr std::string_view to_text(Scheme scheme) {
  return scheme == Scheme::http ? "http" : "https";
}
[[nodiscard]] constexpr std::uint16_t default_port(Scheme scheme) {
  return scheme == Scheme::http ? 80 : 443;
}

inline constexpr std::size_t kHostBytesMax = 253;  // RFC 1035 §2.3.4, as text without the trailing dot
inline constexpr std::size_t kLabelBytesMax = 63;

// A lower-case host name of at most 253 bytes, held in place.
class HostName {
 public:
  HostName() = default;
  // Cuts what is longer than 253 bytes: callers check first.
  explicit HostName(std::string_view lower_case) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  bool operator==(const HostName& other) const noexcept { return view() == other.view(); }

 private:
  std::array<char, kHostBytesMax> bytes_{};
  std::uint8_t size_ = 0;
};

// An origin (RFC 6454 §4): scheme, host, port. `host` is a name of two labels or more whose last label is not
// numeric; where the options allow them also "localhost" or an IPv4 address as text.
struct Origin {
  Scheme scheme = Scheme::http;
  std::uint16_t port = 80;  // never 0
  HostName host;

  bool operator==(const Origin&) const = default;
};

enum class Form : std::uint8_t { dotted, one_label };

// What a Host value under our suffix says.
struct CoralName {
  Origin origin;
  Form form = Form::dotted;
  bool scheme_given = false;  // there was a scheme label; without it the node's default applies
  std::uint16_t host_port =
      0;  // the port the client used to reach us, 0: none was named. No part of the origin
};

enum class NameError : std::uint8_t {
  not_under_suffix,    // someone else's name (a site of the site map, or 421)
  suffix_itself,       // the apex: the node's own page
  too_long,            // host over 253 bytes or a label over 63
  not_ascii,           // an IDN that is not in its A-label form
  bad_character,       // not a letter, digit, hyphen, underscore or dot; or a bad port behind the colon
  empty_label,         // two dots in a row or a dot in front
  hyphen_at_edge,      // a label begins or ends with "-"; in the one-label form an odd run of three or more
  single_label,        // the origin host has no dot
  numeric_last_label,  // the last label is a number (also 0x...), so it could be read as an address
  bad_port,            // not 1..65535 without leading zeros
  port_not_allowed,    // the node does not fetch from that port
  not_allowed,         // localhost or an IPv4 literal, which this node does not serve
  nested,              // the origin is under our own suffix
  bad_url,             // (of URLs) not an absolute http or https URL, or with user information
};
// A sentence for the body of a 400; the same text in log and test.
[[nodiscard]] std::string_view to_text(NameError error);

struct PortRange {
  std::uint16_t first = 0, last = 0;
};

struct Options {
  std::string suffix = "reef.localhost";  // lower case, no dot at either end
  Scheme default_scheme = Scheme::http;   // of names without a scheme label
  bool allow_localhost = false;           // "localhost" as an origin host
  bool allow_ipv4 = false;                // an IPv4 literal as an origin host
  // Ports of origins with a name. Origins that allow_localhost and allow_ipv4 open may use any port: they are
  // the operator's own. The default is what web servers listen on; an open list makes every service behind a
  // port a target.
  std::vector<PortRange> ports = {{80, 80}, {443, 443}, {8000, 8100}, {8443, 8443}, {8888, 8888}};
};

class Names {
 public:
  // BASE_CHECKs that the suffix is a valid lower-case name (config has seen to it).
  explicit Names(Options options);

  // `host` is the value of Host or the authority of the request target: "name[:port]".
  [[nodiscard]] tl::expected<CoralName, NameError> parse(std::string_view host) const;

  // The Coralized name of an origin, without port. The inverse of parse() for every origin that parse() can
  // yield.
  [[nodiscard]] tl::expected<std::string, NameError> coralize(const Origin& origin, Form form) const;

  // Whether this node would fetch from such an origin, as parse() decides.
  [[nodiscard]] tl::expected<void, NameError> check(const Origin& origin) const;

  [[nodiscard]] const Options& options() const { return options_; }

 private:
  [[nodiscard]] tl::expected<CoralName, NameError> parse_dotted(std::string_view labels) const;
  [[nodiscard]] bool is_under_suffix(std::string_view host) const;

  Options options_;
};

}  // namespace reef::proxy::names
