#include "proxy/http/forward.h"

#include <doctest/doctest.h>

using namespace reef::proxy::http;

TEST_CASE("hop-by-hop fields and what Connection names go no further (RFC 9110 §7.6.1)") {
  const Field fields[] = {{"Connection", "close, X-Private"}, {"connection", "\tx-other "}};
  const EndToEnd filter(fields);
  for (const char* name :
       {"Connection", "keep-alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "upgrade",
        "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "x-private", "X-Other"}) {
    CAPTURE(name);
    CHECK_FALSE(filter.keeps(name));
  }
  CHECK(filter.keeps("X-Privat"));
  CHECK(filter.keeps("Content-Type"));
}

TEST_CASE("Connection cannot name what carries the meaning of a message (RFC 9110 §7.6.1)") {
  const Field fields[] = {{"Connection", "Host, Content-Length, Cache-Control, Set-Cookie, Vary"}};
  const EndToEnd filter(fields);
  for (const char* name : {"Host", "Content-Length", "Cache-Control", "Set-Cookie", "Vary"}) {
    CHECK(filter.keeps(name));
  }
}

TEST_CASE("under the suffix an origin sees no cookie, no credentials and nobody's address") {
  for (const char* name :
       {"Cookie", "Authorization", "Referer", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host",
        "Forwarded", "X-Original-URL", "Origin", "DNT", "Sec-Fetch-Mode", "X-Anything", "Range"}) {
    CAPTURE(name);
    CHECK_FALSE(is_coralized_request_field(name));
  }
  CHECK(is_coralized_request_field("accept-language"));
}

TEST_CASE("under the suffix no site speaks for its siblings") {
  for (const char* name : {"Set-Cookie", "set-cookie2", "Clear-Site-Data", "Strict-Transport-Security",
                           "Alt-Svc", "Service-Worker-Allowed", "NEL", "Report-To", "WWW-Authenticate",
                           "Public-Key-Pins", "Sec-Anything", "Proxy-Status"}) {
    CAPTURE(name);
    CHECK_FALSE(is_coralized_response_field(name));
  }
  CHECK(is_coralized_response_field("Content-Security-Policy"));
  CHECK(is_coralized_response_field("X-Anything"));
}

TEST_CASE("a site's origin gets the client's fields, without overrides of host, path and method") {
  for (const char* name : {"X-Forwarded-For", "Forwarded", "X-Original-URL", "X-Rewrite-URL",
                           "X-HTTP-Method-Override", "X-Host", "Expect"}) {
    CHECK_FALSE(is_site_request_field(name));
  }
  CHECK(is_site_request_field("Cookie"));
  CHECK(is_site_request_field("Authorization"));
}
