#include "proxy/names/target.h"

#include <algorithm>

#include "proxy/http/fields.h"

namespace reef::proxy::names {

std::string_view to_text(TargetError error) {
  switch (error) {
    case TargetError::bad_character:
      return "the request target holds a byte that has to be percent-encoded";
    case TargetError::bad_form:
      return "the request target is neither a path nor an http URL";
    case TargetError::authority_form:
      return "this is not a tunnel: CONNECT is refused";
    case TargetError::scheme:
      return "the request target is not an http or https URL";
    case TargetError::user_information:
      return "the request target carries user information";
    case TargetError::no_host:
      return "the request names no host";
  }
  return "unknown";
}

tl::expected<Target, TargetError> parse_target(const http::RequestHead& head) {
  std::string_view rest = head.target;
  // Not SP (0x20), not DEL, no control, no obs-text: what Chrome and curl send is percent-encoded.
  for (const char c : rest) {
    if (c <= 0x20 || c >= 0x7f || c == '#') return tl::unexpected(TargetError::bad_character);
  }
  if (head.method == "CONNECT") return tl::unexpected(TargetError::authority_form);

  Target target;
  if (rest.starts_with('/') || rest == "*") {
    target.authority = http::find(head.fields, "Host").value_or(std::string_view{});
    target.path_query = rest;
    if (rest == "*") {
      if (head.method != "OPTIONS") return tl::unexpected(TargetError::bad_form);
      target.form = TargetForm::asterisk;
    }
  } else {
    target.form = TargetForm::absolute;
    target.https = http::starts_with_ignoring_case(rest, "https://");
    if (!target.https && !http::starts_with_ignoring_case(rest, "http://")) {
      const bool is_url = rest.find("://") != std::string_view::npos;
      return tl::unexpected(is_url ? TargetError::scheme : TargetError::bad_form);
    }
    rest.remove_prefix(target.https ? 8 : 7);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    target.authority = rest.substr(0, end);
    target.path_query = rest.substr(end);
    if (target.authority.find('@') != std::string_view::npos) {
      return tl::unexpected(TargetError::user_information);
    }
  }
  if (target.authority.empty()) return tl::unexpected(TargetError::no_host);
  return target;
}

}  // namespace reef::proxy::names
