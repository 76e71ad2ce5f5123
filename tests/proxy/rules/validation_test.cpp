#include "proxy/rules/validation.h"

#include <doctest/doctest.h>

#include "proxy/rules/reuse.h"
#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;
namespace http = reef::proxy::http;

namespace {

using Fields = std::initializer_list<std::pair<std::string, std::string>>;

bool about(Fields fields, std::string_view etag, std::string_view last_modified) {
  const Exchange exchange = Exchange::with(fields, 304);
  return is_about_stored(exchange.response(), etag, last_modified);
}

std::string merged_with(std::string_view stored, Fields fields, const Options& options = Options::site()) {
  std::string merged;
  append_merged_fields(merged, stored, Exchange::with(fields, 304).response(), kReceived, options);
  return merged;
}

}  // namespace

TEST_CASE("validators go out exactly as they came, weak or even unquoted (RFC 9111 §4.3.1)") {
  std::string out;
  http::HeadBuilder builder(out);
  CHECK(append_validators(builder, "W/\"1\"", "Sun, 06 Nov 1994 08:49:37 GMT"));
  CHECK(append_validators(builder, "unquoted", ""));
  CHECK(append_validators(builder, "", "Sunday, 06-Nov-94 08:49:37 gmt"));
  CHECK_FALSE(append_validators(builder, "", ""));
  CHECK(out ==
        "If-None-Match: W/\"1\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: "
        "unquoted\r\nIf-Modified-Since: Sunday, 06-Nov-94 08:49:37 gmt\r\n");
}

TEST_CASE("the client's own conditions and ranges are no part of our validation (RFC 9111 §4.3.1)") {
  for (const char* name : {"If-None-Match", "if-modified-since", "If-Range", "RANGE"}) {
    CHECK(is_client_condition(name));
  }
  for (const char* name : {"If-Match", "If-Unmodified-Since", "Accept-Language", "Cookie"}) {
    CHECK_FALSE(is_client_condition(name));
  }
}

TEST_CASE("a 304 with a validator that the stored response has not updates nothing (RFC 9111 §4.3.4)") {
  CHECK_FALSE(about({{"ETag", "\"2\""}}, "\"1\"", ""));
  CHECK_FALSE(about({{"ETag", "\"2\""}}, "", "x"));
  CHECK_FALSE(about({{"ETag", "\"2\""}, {"Last-Modified", "x"}}, "\"1\"", "x"));
  CHECK_FALSE(about({{"ETag", "W/\"2\""}}, "\"1\"", ""));
  CHECK_FALSE(about({{"Last-Modified", "y"}}, "", "x"));
  CHECK_FALSE(about({{"Last-Modified", "y"}}, "\"1\"", "x"));
}

TEST_CASE("a 304 with the stored validator, or with none, is about the stored response (RFC 9111 §4.3.4)") {
  CHECK(about({{"ETag", "\"1\""}}, "\"1\"", ""));
  CHECK(about({{"ETag", "\"1\""}, {"Last-Modified", "y"}}, "\"1\"", "x"));
  CHECK(about({{"ETag", "W/\"1\""}}, "W/\"1\"", ""));
  CHECK(about({{"Last-Modified", "x"}}, "", "x"));
  CHECK(about({{"Last-Modified", "x"}}, "\"1\"", "x"));
  CHECK(about({{"Last-Modified", "x"}}, "\"1\"", ""));
  CHECK(about({}, "\"1\"", ""));
  CHECK(about({}, "", "x"));
}

TEST_CASE("a strong ETag in a 304 also confirms the same one stored as weak, as nginx sends it") {
  CHECK(about({{"ETag", "\"1\""}}, "W/\"1\"", ""));
  CHECK_FALSE(about({{"ETag", "\"2\""}}, "W/\"1\"", ""));
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

TEST_CASE("a 304 takes over all its fields but Content-Length, even unlikely ones (RFC 9111 §3.2)") {
  const std::string date = "Date: " + date_text(0) + "\r\n";
  CHECK(merged_with("Content-Type: a/b\r\nETag: \"1\"\r\nExpires: 0\r\n",
                    {{"Content-Type", "c/d"}, {"Expires", date_text(9)}, {"Content-Encoding", "x"}}) ==
        "ETag: \"1\"\r\nContent-Type: c/d\r\nExpires: " + date_text(9) + "\r\nContent-Encoding: x\r\n" +
            date);
  CHECK(merged_with("Set-Cookie: a=1\r\nSet-Cookie: b=1\r\n", {{"Set-Cookie", "a=2"}}) ==
        "Set-Cookie: a=2\r\n" + date);
  CHECK(merged_with("X: 1\r\n", {{"Content-Length", "77"}, {"Transfer-Encoding", "x"}}) == "X: 1\r\n" + date);
}

TEST_CASE("the field lists of no-cache and private hold for a 304's fields too (RFC 9111 §3.1, §5.2.2.4)") {
  const std::string date = "Date: " + date_text(0) + "\r\n";
  const std::string listed = "Cache-Control: no-cache=\"set-cookie\", private=\"X-User\"\r\n";
  CHECK(merged_with(listed, {{"Set-Cookie", "a=b"}, {"X-User", "me"}, {"X-Other", "1"}}) ==
        listed + "X-Other: 1\r\n" + date);
  CHECK(merged_with("Cache-Control: max-age=9\r\nX-User: me\r\nX-Other: 1\r\n",
                    {{"Cache-Control", "private=\"x-user\""}}) ==
        "X-Other: 1\r\nCache-Control: private=\"x-user\"\r\n" + date);
  CHECK(
      merged_with("CDN-Cache-Control: max-age=9\r\n", {{"Cache-Control", "private=\"x-a\""}, {"X-A", "1"}}) ==
      "CDN-Cache-Control: max-age=9\r\nCache-Control: private=\"x-a\"\r\nX-A: 1\r\n" + date);
}

TEST_CASE("after a 304 directives, Date, Age and freshness are computed anew (RFC 9111 §4.3.4)") {
  const auto freshened = [](std::string_view stored, Fields fields) {
    const Exchange exchange = Exchange::with(fields, 304);
    const std::string merged = merged_with(stored, fields);
    return freshen(exchange.request(), 200, merged, exchange.response(), exchange.receipt, Options::site());
  };
  const std::string old = "Date: " + date_text(-5000) + "\r\nETag: \"1\"\r\nCache-Control: max-age=60\r\n";
  CHECK(freshened(old, {})->initial_age == 0s);
  CHECK(freshened(old, {})->lifetime == 60s);
  CHECK(freshened(old, {{"Date", date_text(-20)}})->initial_age == 20s);
  CHECK(freshened(old, {{"Age", "30"}})->initial_age == 30s);
  CHECK(freshened(old, {{"Cache-Control", "no-cache"}})->has(CachePolicy::kNoCache));
  CHECK(freshened(old, {{"CDN-Cache-Control", "max-age=7"}})->lifetime == 7s);
  CHECK(freshened("ETag: \"1\"\r\nCache-Control: no-cache\r\n", {{"Cache-Control", "max-age=8"}})->lifetime ==
        8s);
  CHECK_FALSE(freshened("ETag: \"1\"\r\nCache-Control: no-cache\r\n", {{"Cache-Control", "max-age=8"}})
                  ->has(CachePolicy::kNoCache));
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

TEST_CASE("a 304 that says no-store ends the stored response (RFC 9111 §3.2, §5.2.2.5)") {
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
