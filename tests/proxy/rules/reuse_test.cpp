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

TEST_CASE("no-cache is always validated, however fresh (RFC 9111 §5.2.2.4)") {
  CHECK(reuse("no-cache, max-age=60", 0s) == Reuse::must_validate);
  CHECK(reuse("no-cache, max-age=60", 1s, "max-stale") == Reuse::must_validate);
  CHECK(reuse("no-cache, max-age=60, stale-while-revalidate=60", 61s) == Reuse::must_validate);
  CHECK(reuse("no-cache=\"x-a\", max-age=60", 1s) == Reuse::fresh);
}

TEST_CASE("must-revalidate: fresh is served, stale is always validated (RFC 9111 §5.2.2.2)") {
  CHECK(reuse("must-revalidate, max-age=60", 59s) == Reuse::fresh);
  CHECK(reuse("must-revalidate, max-age=60", 60s) == Reuse::must_validate);
  CHECK(reuse("must-revalidate, max-age=60, stale-while-revalidate=60", 61s) == Reuse::must_validate);
  CHECK(reuse("max-age=60, must-revalidate", 61s, "max-stale") == Reuse::must_validate);
}

TEST_CASE("proxy-revalidate is must-revalidate for a shared cache (RFC 9111 §5.2.2.8)") {
  CHECK(reuse("proxy-revalidate, max-age=60", 59s) == Reuse::fresh);
  CHECK(reuse("proxy-revalidate, max-age=60, stale-while-revalidate=60", 61s, "max-stale") ==
        Reuse::must_validate);
}

TEST_CASE("within stale-while-revalidate a stale response is served and validated behind (RFC 5861 §3)") {
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 59s) == Reuse::fresh);
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 60s) == Reuse::stale_while_revalidate);
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 90s) == Reuse::stale_while_revalidate);
}

TEST_CASE("past stale-while-revalidate the origin is asked first (RFC 5861 §3)") {
  CHECK(reuse("max-age=60, stale-while-revalidate=30", 90001ms) == Reuse::must_validate);
  CHECK(reuse("max-age=60, stale-while-revalidate=0", 60s) == Reuse::must_validate);
  CHECK(reuse("max-age=60, stale-while-revalidate=x", 60s) == Reuse::must_validate);
}

TEST_CASE("stale-while-revalidate beside s-maxage is honoured: its author means it (RFC 9111 §5.2.2.10)") {
  CHECK(reuse("s-maxage=60, stale-while-revalidate=30", 61s) == Reuse::stale_while_revalidate);
  CHECK(reuse("s-maxage=60", 61s) == Reuse::must_validate);
}

TEST_CASE("request no-cache validates what is fresh (RFC 9111 §5.2.1.4)") {
  CHECK(reuse("max-age=60", 1s, "no-cache") == Reuse::must_validate);
  CHECK(reuse("max-age=60, stale-while-revalidate=60", 61s, "no-cache") == Reuse::must_validate);
}

TEST_CASE("request max-age=N: the age must not exceed N (RFC 9111 §5.2.1.1)") {
  CHECK(reuse("max-age=60", 10s, "max-age=10") == Reuse::fresh);
  CHECK(reuse("max-age=60", 10001ms, "max-age=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 0s, "max-age=0") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 1s, "max-age=abc") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 1s, "max-age=99999999999999999999") == Reuse::fresh);
}

TEST_CASE("request min-fresh=N: lifetime - age must be N at least (RFC 9111 §5.2.1.3)") {
  CHECK(reuse("max-age=60", 50s, "min-fresh=10") == Reuse::fresh);
  CHECK(reuse("max-age=60", 50001ms, "min-fresh=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60, stale-while-revalidate=60", 61s, "min-fresh=1") == Reuse::must_validate);
}

TEST_CASE("request max-stale[=N]: stale by N at most, unless that is forbidden (RFC 9111 §5.2.1.2)") {
  CHECK(reuse("max-age=60", 70s, "max-stale=10") == Reuse::stale_allowed);
  CHECK(reuse("max-age=60", 70001ms, "max-stale=10") == Reuse::must_validate);
  CHECK(reuse("max-age=60", 9999s, "max-stale") == Reuse::stale_allowed);
  CHECK(reuse("max-age=60", 61s, "max-stale=x") == Reuse::must_validate);
  CHECK(reuse("s-maxage=60", 61s, "max-stale") == Reuse::must_validate);
}

TEST_CASE("request no-store: what is stored is not used (RFC 9111 §5.2.1.5)") {
  CHECK(reuse("max-age=60", 1s, "no-store") == Reuse::unusable);
  CHECK(reuse("max-age=60", 1s, "no-store", Options::coralized()) == Reuse::fresh);
}

TEST_CASE("only-if-cached gets what is stored, or 504 (RFC 9111 §5.2.1.7)") {
  CHECK(reuse("max-age=60", 1s, "only-if-cached") == Reuse::fresh);
  CHECK(reuse("max-age=60", 61s, "only-if-cached") == Reuse::gateway_timeout);
  CHECK(reuse("max-age=60", 1s, "only-if-cached, no-cache") == Reuse::gateway_timeout);
  CHECK(reuse("max-age=60", 61s, "only-if-cached, max-stale") == Reuse::stale_allowed);
  CHECK(reuse("max-age=60, stale-while-revalidate=9", 61s, "only-if-cached") ==
        Reuse::stale_while_revalidate);
}

TEST_CASE("Pragma: no-cache in a request without Cache-Control validates (RFC 9111 §5.4)") {
  const auto policy = policy_of("max-age=60");
  const auto asked = [&policy](std::vector<std::pair<std::string, std::string>> fields) {
    Exchange exchange;
    exchange.request_fields = std::move(fields);
    return decide_reuse(policy, parse_request_directives(exchange.request().fields), kReceived + 1s,
                        Options::site())
        .reuse;
  };
  CHECK(asked({{"Pragma", "no-cache"}}) == Reuse::must_validate);
  CHECK(asked({{"Pragma", "no-cache"}, {"Cache-Control", "max-age=10"}}) == Reuse::fresh);
  CHECK(asked({{"Pragma", "x"}}) == Reuse::fresh);
}

TEST_CASE("immutable: a reload does not validate while fresh, no-cache does (RFC 8246 §2)") {
  CHECK(reuse("max-age=60, immutable", 1s, "max-age=0") == Reuse::fresh);
  CHECK(reuse("max-age=60, immutable", 1s, "no-cache") == Reuse::must_validate);
  CHECK(reuse("max-age=60, immutable", 61s, "max-age=0") == Reuse::must_validate);
  CHECK(reuse("max-age=60, immutable", 60s) == Reuse::must_validate);
}

TEST_CASE("request directives can be switched off against cache busting (RFC 9111 §5.2.1)") {
  Options off = Options::site();
  off.honour_request_directives = false;
  for (const char* request : {"no-cache", "max-age=0", "min-fresh=100", "no-store"}) {
    CHECK(reuse("max-age=60", 1s, request, off) == Reuse::fresh);
  }
  CHECK(reuse("max-age=60", 61s, "max-stale", off) == Reuse::must_validate);
  CHECK(reuse("max-age=60", 61s, "only-if-cached", off) == Reuse::gateway_timeout);
}

TEST_CASE("a reload does not count against a response younger than is set, 10 s in Coralized mode") {
  CHECK(reuse("max-age=60", 9999ms, "no-cache", Options::coralized()) == Reuse::fresh);
  CHECK(reuse("max-age=60", 10s, "no-cache", Options::coralized()) == Reuse::must_validate);
  CHECK(reuse("max-age=60", 0s, "no-cache", Options::site()) == Reuse::must_validate);
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

TEST_CASE("an unreachable origin: stale is served for a day, or as long as is set (RFC 9111 §4.2.4)") {
  Options options = Options::site();
  options.stale_if_error_default = 5s;
  CHECK(on_error("max-age=60", 65s, OriginFailure::unreachable, options));
  CHECK_FALSE(on_error("max-age=60", 66s, OriginFailure::unreachable, options));
  options.stale_if_error_default = 0s;
  CHECK_FALSE(on_error("max-age=60", 60s, OriginFailure::unreachable, options));
  CHECK(on_error("max-age=60", 59s, OriginFailure::unreachable, options));
  CHECK(on_error("max-age=60", 61s, OriginFailure::unreachable));
  CHECK(on_error("max-age=60", 60s + 24h, OriginFailure::unreachable));
  CHECK_FALSE(on_error("max-age=60", 60s + 24h + 1ms, OriginFailure::unreachable));
}

TEST_CASE("stale-if-error=N covers failures and 5xx up to N past the lifetime (RFC 5861 §4)") {
  for (const OriginFailure failure : {OriginFailure::server_error, OriginFailure::unreachable}) {
    CHECK(on_error("max-age=60, stale-if-error=10", 70s, failure));
    CHECK_FALSE(on_error("max-age=60, stale-if-error=10", 71s, failure));
    CHECK_FALSE(on_error("max-age=60, stale-if-error=0", 61s, failure));
  }
}

TEST_CASE("without stale-if-error a 5xx is forwarded as it is (RFC 5861 §4)") {
  CHECK_FALSE(on_error("max-age=60", 61s, OriginFailure::server_error));
}

TEST_CASE("Coralized mode: a stale copy hides a 5xx for a day") {
  CHECK(on_error("max-age=60", 60s + 24h, OriginFailure::server_error, Options::coralized()));
  CHECK_FALSE(on_error("max-age=60", 61s + 24h, OriginFailure::server_error, Options::coralized()));
}

TEST_CASE("must-revalidate, proxy-revalidate and no-cache forbid stale on any failure (RFC 9111 §4.2.4)") {
  for (const char* value :
       {"max-age=60, must-revalidate, stale-if-error=100", "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate, stale-if-error=100", "no-cache, stale-if-error=100"}) {
    CAPTURE(value);
    CHECK_FALSE(on_error(value, 61s, OriginFailure::unreachable));
    CHECK_FALSE(on_error(value, 61s, OriginFailure::server_error, Options::coralized()));
  }
}

TEST_CASE(
    "s-maxage forbids the operator's default, not the author's own stale-if-error (RFC 9111 §5.2.2.10)") {
  CHECK_FALSE(on_error("s-maxage=60", 61s, OriginFailure::unreachable));
  CHECK_FALSE(on_error("s-maxage=60", 61s, OriginFailure::server_error, Options::coralized()));
  CHECK(on_error("s-maxage=60, stale-if-error=10", 61s, OriginFailure::unreachable));
  CHECK_FALSE(on_error("s-maxage=60, stale-if-error=10", 71s, OriginFailure::unreachable));
}

TEST_CASE("a stored error is not served stale by the operator's default (RFC 9111 §4.2.4)") {
  const auto covers = [](std::string value) {
    const auto policy = Exchange::with({{"Cache-Control", std::move(value)}, {"ETag", "x"}}, 404).decide();
    return may_serve_on_error(*policy, kReceived + 61s, OriginFailure::unreachable, Options::site());
  };
  CHECK_FALSE(covers("max-age=60"));
  CHECK(covers("max-age=60, stale-if-error=9"));
}

TEST_CASE("500, 502, 503 and 504 are failures, other statuses are answers (RFC 5861 §4)") {
  for (const int status : {500, 502, 503, 504}) CHECK(failure_of(status) == OriginFailure::server_error);
  for (const int status : {200, 404, 501, 505, 599}) CHECK_FALSE(failure_of(status).has_value());
}

TEST_CASE("whether the author's windows count beside s-maxage can be set (RFC 9111 §5.2.2.10)") {
  Options options = Options::site();
  options.stale_beside_s_maxage = false;
  const CachePolicy strict = policy_of("s-maxage=60, stale-while-revalidate=30, stale-if-error=30", options);
  CHECK(decide_reuse(strict, {}, kReceived + 61s, options).reuse == Reuse::must_validate);
  CHECK_FALSE(may_serve_on_error(strict, kReceived + 61s, OriginFailure::unreachable, options));
  const CachePolicy other = policy_of("max-age=60, stale-while-revalidate=30", options);
  CHECK(decide_reuse(other, {}, kReceived + 61s, options).reuse == Reuse::stale_while_revalidate);
}
