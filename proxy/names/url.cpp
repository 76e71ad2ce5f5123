#include "proxy/names/url.h"

#include <algorithm>
#include <charconv>

#include "proxy/http/fields.h"

namespace reef::proxy::names {
namespace {

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void append_number(std::string& out, unsigned value) {
  char digits[12];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

// "host[:port]" into `origin`, whose scheme is set.
bool parse_authority(std::string_view authority, Origin& origin) {
  if (authority.find('@') != std::string_view::npos || authority.find('[') != std::string_view::npos)
    return false;
  const std::size_t colon = authority.find(':');
  origin.port = default_port(origin.scheme);
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
    if (!digits.empty()) {
      const auto port = http::parse_decimal(digits);
      if (!port || *port == 0 || *port > 65535) return false;
      origin.port = static_cast<std::uint16_t>(*port);
    }
  }
  if (authority.ends_with('.')) authority.remove_suffix(1);
  if (authority.empty() || authority.size() > kHostBytesMax) return false;
  char lower[kHostBytesMax];
  std::transform(authority.begin(), authority.end(), lower, http::to_lower);
  origin.host = HostName({lower, authority.size()});
  return true;
}

// The scheme in front of "://" or, in a network-path reference, of "//" (then `base`'s). `rest` keeps what
// follows.
bool take_scheme(std::string_view& rest, Scheme& scheme) {
  if (http::starts_with_ignoring_case(rest, "http://")) {
    scheme = Scheme::http;
    rest.remove_prefix(7);
    return true;
  }
  if (http::starts_with_ignoring_case(rest, "https://")) {
    scheme = Scheme::https;
    rest.remove_prefix(8);
    return true;
  }
  return false;
}

tl::expected<Url, NameError> parse_after_scheme(std::string_view rest, Scheme scheme) {
  if (!is_visible_ascii(rest)) return tl::unexpected(NameError::bad_url);
  Url url;
  url.origin.scheme = scheme;
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  // A backslash ends the authority for browsers and not for RFC 3986: no URL that means two hosts.
  if (rest.substr(0, end).find('\\') != std::string_view::npos) return tl::unexpected(NameError::bad_url);
  if (!parse_authority(rest.substr(0, end), url.origin)) return tl::unexpected(NameError::bad_url);
  rest.remove_prefix(end);
  const std::size_t hash = std::min(rest.find('#'), rest.size());
  url.path_query = rest.substr(0, hash);
  url.fragment = rest.substr(hash);
  return url;
}

std::string_view without_www(std::string_view host) {
  return host.starts_with("www.") ? host.substr(4) : host;
}

// scheme://host[:port] path-and-query fragment
std::string assemble(const Front& front, std::string_view host, const Url& url) {
  std::string out(to_text(front.scheme));
  out += "://";
  out += host;
  if (front.port != 0 && front.port != default_port(front.scheme)) {
    out += ':';
    append_number(out, front.port);
  }
  if (!url.path_query.starts_with('/')) out += '/';
  out += url.path_query;
  out += url.fragment;
  return out;
}

}  // namespace

tl::expected<Url, NameError> parse_url(std::string_view text) {
  Scheme scheme = Scheme::http;
  if (!take_scheme(text, scheme)) return tl::unexpected(NameError::bad_url);
  return parse_after_scheme(text, scheme);
}

void append_normalized_url(std::string& out, const Origin& origin, std::string_view path_query) {
  out += to_text(origin.scheme);
  out += "://";
  out += origin.host.view();
  if (origin.port != default_port(origin.scheme)) {
    out += ':';
    append_number(out, origin.port);
  }
  if (!path_query.starts_with('/')) out += '/';
  out += path_query;
}

tl::expected<std::string, NameError> coralize_url(const Names& names, std::string_view text,
                                                  const Front& front) {
  const auto url = parse_url(text);
  if (!url) return tl::unexpected(url.error());
  const auto host = names.coralize(url->origin, front.form);
  if (!host) return tl::unexpected(host.error());
  return assemble(front, *host, *url);
}

tl::expected<std::string, NameError> origin_url(const Names& names, std::string_view coralized) {
  const auto url = parse_url(coralized);
  if (!url) return tl::unexpected(url.error());
  const auto name = names.parse(url->origin.host.view());
  if (!name) return tl::unexpected(name.error());
  std::string out;
  append_normalized_url(out, name->origin, url->path_query);
  out += url->fragment;
  return out;
}

std::optional<std::string> coralize_location(const Names& names, std::string_view location,
                                             const Origin& origin, const Front& front) {
  Scheme scheme = origin.scheme;
  std::string_view rest = location;
  if (!take_scheme(rest, scheme)) {
    if (!rest.starts_with("//")) return std::nullopt;
    rest.remove_prefix(2);
  }
  const auto url = parse_after_scheme(rest, scheme);
  if (!url || without_www(url->origin.host.view()) != without_www(origin.host.view())) return std::nullopt;
  const auto host = names.coralize(url->origin, front.form);
  if (!host) return std::nullopt;
  return assemble(front, *host, *url);
}

}  // namespace reef::proxy::names
