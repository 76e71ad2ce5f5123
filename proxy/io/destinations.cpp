#include "proxy/io/destinations.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proxy/http/fields.h"
#include "proxy/names/url.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHostsMax = 4096;  // remembered host names; all are forgotten when they are more

// uri-host [ ":" port ] (RFC 9110 §7.2, RFC 3986 §3.2.2); what is anything else is answered with 400
// (RFC 9112 §3.2), whoever's name stands in it.
bool is_host(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const bool bracketed = authority.starts_with('[');
  const std::size_t literal_end = bracketed ? authority.find(']') : std::string_view::npos;
  const bool has_port = colon != std::string_view::npos && (!bracketed || colon > literal_end);
  const std::string_view port = has_port ? authority.substr(colon + 1) : std::string_view{};
  std::string_view host = has_port ? authority.substr(0, colon) : authority;
  if (!port.empty() && !http::is_digits(port)) return false;
  if (bracketed) {
    if (!host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
  }
  constexpr std::string_view kMarks = "-._~%!$&'()*+,;=";
  return std::all_of(host.begin(), host.end(), [&](char c) {
    const char lower = http::to_lower(c);
    // Names that are not ASCII have an answer of their own.
    const bool plain =
        (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    return plain || (bracketed && c == ':') || kMarks.find(c) != std::string_view::npos;
  });
}

}  // namespace

const Destinations::Host& Destinations::find(std::string_view authority) {
  key_.assign(authority);
  const auto known = hosts_.find(key_);
  if (known != hosts_.end()) return known->second;
  if (hosts_.size() >= kHostsMax) hosts_.clear();
  return hosts_.emplace(key_, look_up(authority)).first->second;
}

Destinations::Host Destinations::look_up(std::string_view authority) const {
  if (!is_host(authority)) return {nullptr, 400, "The request names no host that there could be."};
  std::string name;
  for (const char c : authority.substr(0, authority.rfind(':'))) name.push_back(http::to_lower(c));
  if (name.ends_with('.')) name.pop_back();
  for (const SiteOptions& site : options_.sites) {
    if (site.host != name) continue;
    const auto url = names::parse_url(site.origin);
    if (!url) return {nullptr, 502, "The origin of this site is not configured rightly."};
    auto to = std::make_shared<Destination>();
    to->mode = rules::Mode::site;
    to->origin = url->origin;
    to->authority = site.origin.substr(site.origin.find("//") + 2);
    to->authority = to->authority.substr(0, to->authority.find('/'));
    // Apart from what other sites' rules may have stored of the same origin.
    to->url_prefix = fmt::format("site+{}://{}", names::to_text(url->origin.scheme), site.host);
    to->trusted = true;
    to->rules = site.rules.value_or(options_.site);
    return {std::move(to), 0, {}};
  }
  const auto parsed = names_.parse(authority);
  if (!parsed) {
    switch (parsed.error()) {
      case names::NameError::suffix_itself:
        return {nullptr, 200, {}};
      case names::NameError::not_under_suffix:
        return {nullptr, 421,
                fmt::format("This proxy answers for names that end in .{} only.", names_.options().suffix)};
      case names::NameError::port_not_allowed:
      case names::NameError::not_allowed:
      case names::NameError::nested:
        return {nullptr, 403, std::string(names::to_text(parsed.error()))};
      default:
        return {nullptr, 400, std::string(names::to_text(parsed.error()))};
    }
  }
  auto to = std::make_shared<Destination>();
  to->rules = options_.coralized;
  to->origin = parsed->origin;
  to->host_port = parsed->host_port;
  names::append_normalized_url(to->url_prefix, parsed->origin, "/");
  to->url_prefix.pop_back();
  to->authority = to->url_prefix.substr(to->url_prefix.find("//") + 2);
  return {std::move(to), 0, {}};
}

}  // namespace reef::proxy
