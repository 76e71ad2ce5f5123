#include "proxy/rules/invalidation.h"

#include <algorithm>
#include <optional>

#include "proxy/http/fields.h"

namespace reef::proxy::rules {
namespace {

using http::equal_ignoring_case;

// Without the port that is the default of http or https.
std::string_view without_default_port(std::string_view authority) {
  for (const std::string_view port : {":80", ":443", ":"}) {
    if (authority.ends_with(port)) return authority.substr(0, authority.size() - port.size());
  }
  return authority;
}

bool is_of_site(std::string_view authority, std::span<const std::string_view> authorities) {
  return std::any_of(authorities.begin(), authorities.end(), [authority](std::string_view ours) {
    return equal_ignoring_case(without_default_port(authority), without_default_port(ours));
  });
}

// RFC 3986 §5.2.4, for a path that begins with "/".
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);  // with its "/" in front
    path.remove_prefix(end);
    const bool up = segment == "/..";
    if (up) out.erase(std::min(out.rfind('/'), out.size()));
    if (!up && segment != "/.") {
      out += segment;
    } else if (path.empty()) {
      out += '/';
    }
  }
  return out;
}

std::string_view path_of(std::string_view path_query) { return path_query.substr(0, path_query.find('?')); }

// A reference without scheme and authority, seen from `base`.
std::string resolved(std::string_view reference, std::string_view base) {
  const std::string_view path = path_of(reference);
  const std::string_view query = reference.substr(path.size());
  if (path.empty()) return std::string(query.empty() ? base : path_of(base)).append(query);
  if (path.front() == '/') return without_dot_segments(path).append(query);
  const std::string_view base_path = path_of(base);
  const std::size_t slash = base_path.rfind('/');
  std::string merged(slash == std::string_view::npos ? "/" : base_path.substr(0, slash + 1));
  return without_dot_segments(merged.append(path)).append(query);
}

// Length of "scheme:" in front, 0: none (RFC 3986 §3.1).
std::size_t scheme_size(std::string_view reference) {
  const std::size_t end = reference.find_first_of(":/?#");
  return end == std::string_view::npos || reference[end] != ':' ? 0 : end + 1;
}

// Path and query of a reference that is of the site; nullopt: another site's, or none of http.
std::optional<std::string> path_in_site(std::string_view value, std::string_view base,
                                        std::span<const std::string_view> authorities) {
  std::string_view reference = value.substr(0, value.find('#'));
  const std::string_view scheme = reference.substr(0, scheme_size(reference));
  const bool is_http = equal_ignoring_case(scheme, "http:") || equal_ignoring_case(scheme, "https:");
  if (!scheme.empty() && !is_http) return std::nullopt;
  reference.remove_prefix(scheme.size());
  if (!reference.starts_with("//")) {
    // "http:a" means different things to different clients.
    return scheme.empty() ? std::optional(resolved(reference, base)) : std::nullopt;
  }
  reference.remove_prefix(2);
  const std::string_view authority =
      reference.substr(0, std::min(reference.find_first_of("/?"), reference.size()));
  if (!is_of_site(authority, authorities)) return std::nullopt;
  reference.remove_prefix(authority.size());
  const std::string_view path = path_of(reference);
  return (path.empty() ? "/" : without_dot_segments(path)).append(reference.substr(path.size()));
}

}  // namespace

void append_invalidated(std::vector<std::string>& out, const http::ResponseHead& response,
                        std::string_view path_query, std::span<const std::string_view> authorities) {
  for (const std::string_view name : {"Location", "Content-Location"}) {
    const auto value = http::find(response.fields, name);
    if (!value || value->empty()) continue;
    auto path = path_in_site(*value, path_query, authorities);
    if (path && *path != path_query && std::find(out.begin(), out.end(), *path) == out.end()) {
      out.push_back(std::move(*path));
    }
  }
}

}  // namespace reef::proxy::rules
