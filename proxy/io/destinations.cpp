#include "proxy/io/destinations.h"

#include <fmt/format.h>

#include <utility>

#include "proxy/http/fields.h"
#include "proxy/names/url.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHostsMax = 4096;  // remembered host names; all are forgotten when they are more

}  // namespace

const Destinations::Host& Destinations::find(std::string_view authority) {
  key_.assign(authority);
  const auto known = hosts_.find(key_);
  if (known != hosts_.end()) return known->second;
  if (hosts_.size() >= kHostsMax) hosts_.clear();
  return hosts_.emplace(key_, look_up(authority)).first->second;
}

Destinations::Host Destinations::look_up(std::string_view authority) const {
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
