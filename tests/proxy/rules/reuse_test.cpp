#include "proxy/rules/reuse.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

CachePolicy policy_of(std::string cache_control, const Options& options = Options::site()) {
  const auto policy =
      Exchange::with({{"Cache-Control", std::move(cache_control)}, {"ETag", "\"1\""}}).decide(options);
  REQUIRE(policy.has_value());
  return *policy;
}

Reuse reuse(std::string cache_control, milliseconds after, std::string request = "",
            const Options& options = Options::site()) {
  Exchange exchange;
  if (!request.empty()) exchange.request_fields = {{"Cache-Control", std::move(request)}};
  const auto directives = parse_request_directives(exchange.request().fields);
  return decide_reuse(policy_of(std::move(cache_control), options), directives, kReceived + after, options)
      .reuse;
}

bool on_error(std::string cache_control, milliseconds after, OriginFailure failure,
              const Options& options = Options::site()) {
  return may_serve_on_error(policy_of(std::move(cache_control), options), kReceived + after, failure,
                            options);
}

}  // namespace

TEST_CASE("fresh means that the lifetime exceeds the age, strictly (RFC 9111 §4.2)") {
  CHECK(reuse("max-age=60", 59999ms) == Reuse::fresh);
  CHECK(reuse("max-age=60", 60s) == Reuse::must_validate);
}

TEST_CASE("a response that arrives older than its lifetime is stale at once (RFC 9111 §4.2.3)") {
  const auto policy =
      *Exchange::with({{"Cache-Control", "s-maxage=60"}, {"Age", "60"}, {"ETag", "x"}}).decide();
  CHECK(decide_reuse(policy, {}, kReceived, Options::site()).reuse == Reuse::must_validate);
}

TEST_CASE("no-cache is always validated, must-revalidate once it is stale (RFC 9111 §5.2.2)") {
  CHECK(reuse("no-cache, max-age=60", 0s) == Reuse::must_validate);
  CHECK(reuse("must-revalidate, max-age=60", 59s) == Reuse::fresh);
  CHECK(reuse("must-revalidate, max-age=60, stale-while-revalidate=60", 61s) == Reuse::must_validate);
  CHECK(reuse("max-age=60, must-revalidate", 61s, "max-stale") == Reuse::must_validate);
}

TEST_CASE("an expired response may be served while it is revalidated (RFC 5861 §3)") {
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 60s) == Reuse::stale_while_revalidate);
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 90s) == Reuse::stale_while_revalidate);
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 90001ms) == Reuse::must_validate);
  CHECK(reuse("s-maxage=60, stale-while-revalidate=30", 61s) == Reuse::stale_while_revalidate);
}

TEST_CASE("request directives: no-cache, max-age, min-fresh, max-stale, no-store (RFC 9111 §5.2.1)") {
  CHECK(reuse("max-age=60", 1s, "no-cache") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 10s, "max-age=10") == Reuse::fresh);
  CHECK(reuse("max-age=60", 10001ms, "max-age=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 0s, "max-age=0") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 50s, "min-fresh=10") == Reuse::fresh);
  CHECK(reuse("max-age=60", 51s, "min-fresh=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 70s, "max-stale=10") == Reuse::stale_allowed);
  CHECK(reuse("max-age=60", 71s, "max-stale=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 9999s, "max-stale") == Reuse::stale_allowed);
  CHECK(reuse("s-maxage=60", 61s, "max-stale") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 1s, "no-store") == Reuse::unusable);
}

TEST_CASE("only-if-cached gets what is stored, or 504 (RFC 9111 §5.2.1.7)") {
  CHECK(reuse("max-age=60", 1s, "only-if-cached") == Reuse::fresh);
  CHECK(reuse("max-age=60", 61s, "only-if-cached") == Reuse::gateway_timeout);
  CHECK(reuse("max-age=60", 1s, "only-if-cached, no-cache") == Reuse::gateway_timeout);
}

TEST_CASE("immutable: a reload does not validate while fresh, no-cache does (RFC 8246 §2)") {
  CHECK(reuse("max-age=60, immutable", 1s, "max-age=0") == Reuse::fresh);
  CHECK(reuse("max-age=60, immutable", 1s, "no-cache") == Reuse::must_validate);
  CHECK(reuse("max-age=60, immutable", 61s, "max-age=0") == Reuse::must_validate);
}

TEST_CASE("request directives can be switched off, and do not count against a young response") {
  Options off = Options::site();
  off.honour_request_directives = false;
  for (const char* request : {"no-cache", "max-age=0", "min-fresh=100", "no-store"}) {
    CHECK(reuse("max-age=60", 1s, request, off) == Reuse::fresh);
  }
  CHECK(reuse("max-age=60", 61s, "only-if-cached", off) == Reuse::gateway_timeout);
  CHECK(reuse("max-age=60", 9s, "no-cache", Options::coralized()) == Reuse::fresh);
  CHECK(reuse("max-age=60", 10s, "no-cache", Options::coralized()) == Reuse::must_validate);
}

TEST_CASE("the reason for asking the origin is the word of Cache-Status (RFC 9211 §2.2)") {
  const auto policy = policy_of("max-age=60");
  RequestDirectives reload;
  reload.no_cache = true;
  CHECK(decide_reuse(policy, reload, kReceived + 1s, Options::site()).forward == Forward::request);
  CHECK(decide_reuse(policy, reload, kReceived + 61s, Options::site()).forward == Forward::stale);
  const auto decision = decide_reuse(policy, {}, kReceived + 20s, Options::site());
  CHECK(decision.forward == Forward::none);
  CHECK(decision.age == 20s);
  CHECK(decision.ttl == 40s);
}

TEST_CASE("an unreachable origin: stale is served within the operator's window (RFC 9111 §4.2.4)") {
  CHECK(on_error("max-age=60", 61s, OriginFailure::unreachable));
  CHECK(on_error("max-age=60", 60s + 24h, OriginFailure::unreachable));
  CHECK_FALSE(on_error("max-age=60", 60s + 24h + 1ms, OriginFailure::unreachable));
}

TEST_CASE("a 5xx is forwarded without stale-if-error in site mode, hidden in Coralized mode (RFC 5861 §4)") {
  CHECK_FALSE(on_error("max-age=60", 61s, OriginFailure::server_error));
  CHECK(on_error("max-age=60", 61s, OriginFailure::server_error, Options::coralized()));
  CHECK(on_error("max-age=60, stale-if-error=10", 70s, OriginFailure::server_error));
  CHECK_FALSE(on_error("max-age=60, stale-if-error=10", 71s, OriginFailure::server_error));
  CHECK_FALSE(on_error("max-age=60, stale-if-error=10", 71s, OriginFailure::unreachable));
  CHECK_FALSE(on_error("max-age=60, stale-if-error=0", 61s, OriginFailure::unreachable));
}

TEST_CASE(
    "stale is never served against must-revalidate, proxy-revalidate, no-cache; s-maxage needs the author's "
    "word") {
  for (const char* value : {"max-age=60, must-revalidate, stale-if-error=100", "max-age=60, proxy-revalidate",
                            "s-maxage=60", "no-cache, stale-if-error=100"}) {
    CAPTURE(value);
    CHECK_FALSE(on_error(value, 61s, OriginFailure::unreachable));
    CHECK_FALSE(on_error(value, 61s, OriginFailure::server_error, Options::coralized()));
  }
  CHECK(on_error("s-maxage=60, stale-if-error=10", 61s, OriginFailure::unreachable));
}

TEST_CASE("500, 502, 503 and 504 are failures, other statuses are answers (RFC 5861 §4)") {
  for (const int status : {500, 502, 503, 504}) CHECK(failure_of(status) == OriginFailure::server_error);
  for (const int status : {200, 404, 501, 505, 599}) CHECK_FALSE(failure_of(status).has_value());
}
