#include "proxy/rules/status.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {
std::string text(const CacheStatus& status) {
  std::string out;
  append_cache_status(out, "reef-1", status);
  return out;
}
}  // namespace

TEST_CASE("our name in Cache-Status is a Token, or a String where it is none (RFC 9211 §2)") {
  const auto named = [](std::string_view node) {
    std::string out;
    append_cache_status(out, node, {.hit = true});
    return out;
  };
  CHECK(named("reef-1") == "reef-1; hit");
  CHECK(named("1.example") == "\"1.example\"; hit");
  CHECK(named("a b\"") == "\"a b\\\"\"; hit");
}

TEST_CASE("fwd is one of the words for it (RFC 9211 §2.2)") {
  CHECK(to_text(Forward::bypass) == "bypass");
  CHECK(to_text(Forward::method) == "method");
  CHECK(to_text(Forward::uri_miss) == "uri-miss");
  CHECK(to_text(Forward::vary_miss) == "vary-miss");
  CHECK(to_text(Forward::miss) == "miss");
  CHECK(to_text(Forward::request) == "request");
  CHECK(to_text(Forward::stale) == "stale");
  CHECK(to_text(Forward::partial) == "partial");
}

TEST_CASE("Cache-Status says how an answer came about; hit and fwd exclude each other (RFC 9211 §2)") {
  CHECK(text({.hit = true, .has_ttl = true, .ttl = 123s}) == "reef-1; hit; ttl=123");
  CHECK(text({.forward = Forward::stale, .fwd_status = 304, .has_ttl = true, .ttl = 60s}) ==
        "reef-1; fwd=stale; fwd-status=304; ttl=60");
  CHECK(text({.forward = Forward::uri_miss, .fwd_status = 200, .stored = true, .collapsed = true}) ==
        "reef-1; fwd=uri-miss; fwd-status=200; stored; collapsed");
  CHECK(text({.hit = true, .forward = Forward::stale, .has_ttl = true, .ttl = -5s}) == "reef-1; hit; ttl=-5");
  CHECK(text({.forward = Forward::bypass, .detail = "no-store"}) == "reef-1; fwd=bypass; detail=no-store");
  CHECK(text({.hit = true, .detail = "peer \"a\" (2)"}) == "reef-1; hit; detail=\"peer \\\"a\\\" (2)\"");
}

TEST_CASE("Age is floored once (RFC 9111 §5.1)") {
  std::string out;
  append_age(out, 3990ms);
  out += ' ';
  append_age(out, -1ms);
  CHECK(out == "3 0");
  CHECK(floor_seconds(-200ms) == -1s);
}

TEST_CASE("Via and CDN-Loop get us behind those who came before (RFC 9110 §7.6.3, RFC 8586 §2)") {
  Exchange exchange;
  exchange.request_fields = {{"Via", "1.0 a"}, {"CDN-Loop", "x; k=1"}, {"via", "1.1 b (c, d)"}};
  std::string out;
  append_via(out, exchange.request().fields, 1, "reef-1");
  CHECK(out == "1.0 a, 1.1 b (c, d), 1.1 reef-1");
  out.clear();
  append_cdn_loop(out, exchange.request().fields, "reef-1");
  CHECK(out == "x; k=1, reef-1");
}

TEST_CASE("a request that was here, or passed too many CDNs, is a loop (RFC 8586 §2)") {
  const auto check = [](std::string value) {
    Exchange exchange;
    exchange.request_fields = {{"cdn-loop", std::move(value)}};
    return check_cdn_loop(exchange.request().fields, "reef-1", 4);
  };
  CHECK(check("") == Loop::none);
  CHECK(check("a, b, c, d") == Loop::none);
  CHECK(check("a, reef-1 ; x=\"y,z\"") == Loop::ourselves);
  CHECK(check("REEF-1") == Loop::ourselves);
  CHECK(check("reef-11") == Loop::none);
  CHECK(check("a, b, c, d, e") == Loop::too_many);
}
