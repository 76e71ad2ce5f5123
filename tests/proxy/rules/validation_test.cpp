#include "proxy/rules/validation.h"

#include <doctest/doctest.h>

#include "proxy/rules/reuse.h"
#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;
namespace http = reef::proxy::http;

TEST_CASE("validators go out exactly as they came (RFC 9111 §4.3.1)") {
  std::string out;
  http::HeadBuilder builder(out);
  CHECK(append_validators(builder, "W/\"1\"", "Sun, 06 Nov 1994 08:49:37 GMT"));
  CHECK(append_validators(builder, "unquoted", ""));
  CHECK_FALSE(append_validators(builder, "", ""));
  CHECK(out ==
        "If-None-Match: W/\"1\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: "
        "unquoted\r\n");
  CHECK(is_client_condition("if-range"));
  CHECK_FALSE(is_client_condition("If-Match"));
}

TEST_CASE("a 304 updates only what it is about (RFC 9111 §4.3.4)") {
  const auto about = [](std::initializer_list<std::pair<std::string, std::string>> fields,
                        std::string_view etag, std::string_view last_modified) {
    const Exchange exchange = Exchange::with(fields, 304);
    return is_about_stored(exchange.response(), etag, last_modified);
  };
  CHECK(about({{"ETag", "\"1\""}}, "\"1\"", ""));
  CHECK_FALSE(about({{"ETag", "\"2\""}}, "\"1\"", ""));
  CHECK_FALSE(about({{"ETag", "\"2\""}}, "", "x"));
  CHECK(about({{"ETag", "\"1\""}}, "W/\"1\"", ""));
  CHECK(about({}, "\"1\"", ""));
  CHECK(about({{"Last-Modified", "x"}}, "", "x"));
  CHECK_FALSE(about({{"Last-Modified", "y"}}, "", "x"));
}

TEST_CASE(
    "a 304 replaces fields by name, adds new ones, keeps the rest, never Content-Length (RFC 9111 §3.2)") {
  const Exchange exchange = Exchange::with({{"Date", "d2"},
                                            {"x-a", "new"},
                                            {"X-New", "1"},
                                            {"Content-Length", "0"},
                                            {"Connection", "X-Hop"},
                                            {"X-Hop", "1"},
                                            {"Age", "7"}},
                                           304);
  std::string merged;
  append_merged_fields(merged, "Date: d1\r\nX-A: old\r\nX-A: older\r\nX-Keep: 1\r\n", exchange.response(),
                       kReceived, Options::site());
  CHECK(merged == "X-Keep: 1\r\nDate: d2\r\nx-a: new\r\nX-New: 1\r\n");
}

TEST_CASE("after a 304 the next request is a hit under the new lifetime (RFC 9111 §4.3.4)") {
  const Exchange exchange = Exchange::with({{"Cache-Control", "max-age=100"}, {"Age", "10"}}, 304);
  std::string merged;
  append_merged_fields(merged, "Cache-Control: max-age=1\r\nETag: \"1\"\r\n", exchange.response(), kReceived,
                       Options::site());
  const auto policy =
      freshen(exchange.request(), 200, merged, exchange.response(), exchange.receipt, Options::site());
  REQUIRE(policy.has_value());
  CHECK(policy->lifetime == 100s);
  CHECK(policy->initial_age == 10s);
  CHECK(policy->has(CachePolicy::kHasEtag));
  CHECK(decide_reuse(*policy, {}, kReceived + 89s, Options::site()).reuse == Reuse::fresh);
  CHECK(decide_reuse(*policy, {}, kReceived + 90s, Options::site()).reuse == Reuse::must_validate);
}

TEST_CASE("a 304 that says no-store ends the stored response") {
  const Exchange exchange = Exchange::with({{"Cache-Control", "no-store"}}, 304);
  std::string merged;
  append_merged_fields(merged, "Cache-Control: max-age=1\r\n", exchange.response(), kReceived,
                       Options::site());
  CHECK(freshen(exchange.request(), 200, merged, exchange.response(), exchange.receipt, Options::site())
            .error() == NotStored::no_store);
}

TEST_CASE("a HEAD that contradicts the stored GET makes it stale (RFC 9111 §4.3.5)") {
  const auto contradicts = [](std::initializer_list<std::pair<std::string, std::string>> fields,
                              int status = 200) {
    const Exchange exchange = Exchange::with(fields, status);
    return head_contradicts(exchange.response(), "\"1\"", "x", 5);
  };
  CHECK_FALSE(contradicts({{"ETag", "\"1\""}, {"Last-Modified", "x"}, {"Content-Length", "5"}}));
  CHECK(contradicts({{"ETag", "\"2\""}}));
  CHECK(contradicts({{"Last-Modified", "y"}}));
  CHECK(contradicts({{"Content-Length", "6"}}));
  CHECK_FALSE(contradicts({{"Content-Length", "6"}}, 404));
}
