// The request target and the authority it is for (RFC 9112 §3.2, §3.3; RFC 9110 §7.2). Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

#include "proxy/http/head.h"

namespace reef::proxy::names {

enum class TargetError : std::uint8_t {
  bad_character,   // a byte that is not visible ASCII, or a "#"
  bad_form,        // neither "/...", "http://..." nor "*"
  authority_form,  // CONNECT: this is no tunnel
  scheme,          // an absolute URL of a scheme other than http and https
  user_information,
  no_host,  // neither an absolute target nor a Host value
};
[[nodiscard]] std::string_view to_text(TargetError error);

enum class TargetForm : std::uint8_t { origin, absolute, asterisk };

// Views into the request head.
struct Target {
  TargetForm form = TargetForm::origin;
  std::string_view authority;  // "host[:port]": of an absolute target, else the Host value; not yet checked
  std::string_view
      path_query;      // exact bytes; empty or starting with "?" where an absolute target has no path; "*"
  bool https = false;  // the absolute target named https
};

// An absolute target wins over Host (RFC 9112 §3.2.2).
[[nodiscard]] tl::expected<Target, TargetError> parse_target(const http::RequestHead& head);

}  // namespace reef::proxy::names
