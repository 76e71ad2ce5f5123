// URLs at the edges of the proxy: the normalized URL that keys the cache, Coralized URLs for people, and
// Location fields that keep a browser inside (RFC 3986 §3, §4; RFC 9110 §4.2, §10.2.2). Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/names/host.h"

namespace reef::proxy::names {

// An absolute http or https URL, taken apart; the views point into the text that was parsed.
struct Url {
  Origin origin;
  std::string_view path_query;  // from the first "/" or "?"; may be empty
  std::string_view fragment;    // with its "#"; may be empty
};

// Refuses other schemes, user information, empty hosts, characters outside visible ASCII, IPv6 literals (no
// Coralized form exists for them) and bad ports. The host is lower-cased and loses a trailing dot; it is not
// checked further (Names::check does).
[[nodiscard]] tl::expected<Url, NameError> parse_url(std::string_view text);

// Appends the normalized URL: scheme "://" lower-case host [":" port unless it is the scheme's default] and
// the bytes of path and query exactly as they will be sent, with "/" in front where the path is empty. Two
// requests with the same normalized URL are the same request; nothing else is folded (RFC 9111 §2).
void append_normalized_url(std::string& out, const Origin& origin, std::string_view path_query);

// How clients reach this node: what a Coralized URL starts with and which port it names.
struct Front {
  Scheme scheme = Scheme::http;
  std::uint16_t port = 0;  // 0: none is written
  Form form = Form::dotted;
};

// "http://www.x.com/a?b#c" -> "http://www.x.com.reef.example[:port]/a?b#c".
[[nodiscard]] tl::expected<std::string, NameError> coralize_url(const Names& names, std::string_view url,
                                                                const Front& front);
// The reverse.
[[nodiscard]] tl::expected<std::string, NameError> origin_url(const Names& names, std::string_view coralized);

// The value to send instead of a Location or Content-Location of the origin's answer, or nullopt: leave it as
// it is. An absolute or network-path reference to the same host is Coralized, whatever its scheme and port (a
// redirect from http to https stays inside too), and so is one that differs only by a leading "www.", the
// most common redirect of all. Relative references already lead back to us; other hosts are none of our
// business.
[[nodiscard]] std::optional<std::string> coralize_location(const Names& names, std::string_view location,
                                                           const Origin& origin, const Front& front);

}  // namespace reef::proxy::names
