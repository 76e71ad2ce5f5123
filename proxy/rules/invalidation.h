// What else an answer to an unsafe method makes invalid (RFC 9111 §4.4), besides the target itself
// (invalidates() in storing.h). Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/head.h"

namespace reef::proxy::rules {

// Appends path and query ("/a?b", byte for byte as a client would send them) of the URIs that Location and
// Content-Location of `response` name, where they are of the same site; at most two, without repetition and
// without the target. References are resolved against `path_query`, the target's own (RFC 3986 §5.2).
//
// `authorities`: all names of the site, "host[:port]" in any case: the one that clients use and the origin's,
// which is what an origin that does not know of the other writes. A URI of another site is passed over, or
// one site could empty the cache of another. http and https are not told apart: one object serves both.
void append_invalidated(std::vector<std::string>& out, const http::ResponseHead& response,
                        std::string_view path_query, std::span<const std::string_view> authorities);

}  // namespace reef::proxy::rules
