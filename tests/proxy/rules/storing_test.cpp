// What may be stored. How long it is fresh: freshness_test.cpp; with which fields: stored_fields_test.cpp.
#include "proxy/rules/storing.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;
namespace http = reef::proxy::http;

namespace {

using Fields = std::initializer_list<std::pair<std::string, std::string>>;

Options site() { return Options::site(); }
Options coralized() { return Options::coralized(); }

bool is_stored(Fields fields, int status = 200, Options options = site()) {
  return Exchange::with(fields, status).decide(options).has_value();
}

NotStored refused(const Exchange& exchange, Options options = site()) {
  const auto policy = exchange.decide(options);
  REQUIRE_FALSE(policy.has_value());
  return policy.error();
}
NotStored refused(Fields fields, int status = 200, Options options = site()) {
  return refused(Exchange::with(fields, status), options);
}

Exchange asked_with(std::string name, std::string value, Fields response_fields) {
  Exchange exchange = Exchange::with(response_fields);
  exchange.request_fields = {{std::move(name), std::move(value)}};
  return exchange;
}

}  // namespace

TEST_CASE("only the answer to a GET is stored; HEAD and POST never make an object (RFC 9111 §3)") {
  Exchange exchange = Exchange::with({{"Cache-Control", "max-age=60"}, {"Content-Location", "/"}});
  for (const char* method : {"HEAD", "POST", "PUT", "OPTIONS", "FOO", "get"}) {
    CAPTURE(method);
    exchange.method = method;
    CHECK(refused(exchange) == NotStored::method);
  }
}

TEST_CASE("an interim answer is never stored (RFC 9111 §3)") {
  for (const int status : {100, 102, 103, 199}) {
    CHECK(refused({{"Cache-Control", "max-age=60"}}, status) == NotStored::interim);
  }
}

TEST_CASE("neither a part nor a 304 is an object by itself (RFC 9111 §3.4, §4.3.4)") {
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"ETag", "\"1\""}, {"Content-Range", "bytes 0-1/9"}},
                206) == NotStored::partial);
  CHECK(refused({{"Cache-Control", "max-age=60"}}, 304) == NotStored::status);
}

TEST_CASE("no-store in the response forbids storing, in any letter case and place (RFC 9111 §5.2.2.5)") {
  CHECK(refused({{"Cache-Control", "no-store, max-age=60"}}) == NotStored::no_store);
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"cache-control", "public, No-Store"}}) ==
        NotStored::no_store);
}

TEST_CASE("no-store in the request forbids storing the answer (RFC 9111 §5.2.1.5)") {
  CHECK(refused(asked_with("Cache-Control", "no-store", {{"Cache-Control", "max-age=60"}})) ==
        NotStored::request_no_store);
  CHECK(asked_with("Cache-Control", "no-store", {{"Cache-Control", "max-age=60"}}).decide(coralized()));
}

TEST_CASE(
    "private forbids a shared cache to store; with a field list only those fields (RFC 9111 §5.2.2.7)") {
  CHECK(refused({{"Cache-Control", "private, max-age=60"}}) == NotStored::private_);
  CHECK(refused({{"Cache-Control", "max-age=60, private=\"a\", private"}}) == NotStored::private_);
  CHECK(refused({{"Cache-Control", "max-age=60, private=\"\""}}) == NotStored::private_);
  CHECK(is_stored({{"Cache-Control", "max-age=60, private=\"x-a\""}}));
  CHECK(refused({{"Cache-Control", "max-age=60, private=\"x-a\""}}, 200, coralized()) == NotStored::private_);
}

TEST_CASE("must-understand overrides no-store for a status that is understood (RFC 9111 §5.2.2.3)") {
  CHECK(is_stored({{"Cache-Control", "no-store, must-understand, max-age=60"}}));
  CHECK(refused({{"Cache-Control", "no-store, must-understand, private, max-age=60"}}) ==
        NotStored::private_);
}

TEST_CASE("must-understand forbids storing what is not understood (RFC 9111 §5.2.2.3)") {
  CHECK(refused({{"Cache-Control", "must-understand, max-age=60"}}, 599) == NotStored::not_understood);
  CHECK(refused({{"Cache-Control", "must-understand, no-store, max-age=60"}}, 299) ==
        NotStored::not_understood);
}

TEST_CASE("a Vary with * in any member and line is not stored (RFC 9111 §4.1)") {
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "*"}}) == NotStored::vary_any);
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "*, a"}}) == NotStored::vary_any);
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "a, *,b"}}) == NotStored::vary_any);
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "a"}, {"vary", "b, *"}}) == NotStored::vary_any);
}

TEST_CASE("a Vary is stored with up to as many names as may be set, and if they are names (RFC 9111 §4.1)") {
  CHECK(Exchange::with({{"Cache-Control", "max-age=60"}, {"Vary", "Accept-Encoding"}})
            .decide()
            ->has(CachePolicy::kVaries));
  CHECK_FALSE(
      Exchange::with({{"Cache-Control", "max-age=60"}, {"Vary", ""}}).decide()->has(CachePolicy::kVaries));
  Options two = site();
  two.vary_names_max = 2;
  CHECK(is_stored({{"Cache-Control", "max-age=60"}, {"Vary", "a, b"}}, 200, two));
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "a, b, c"}}, 200, two) ==
        NotStored::vary_not_handled);
  CHECK(refused({{"Cache-Control", "max-age=60"}, {"Vary", "a b"}}) == NotStored::vary_not_handled);
}

TEST_CASE(
    "the answer to a request with Authorization needs public, must-revalidate or s-maxage (RFC 9111 §3.5)") {
  for (const char* forbidden : {"max-age=60", "max-age=60, proxy-revalidate", "max-age=60, immutable"}) {
    CAPTURE(forbidden);
    CHECK(refused(asked_with("Authorization", "Basic x", {{"Cache-Control", forbidden}})) ==
          NotStored::authorization);
  }
  CHECK(refused(asked_with("Authorization", "Basic x", {{"Expires", date_text(60)}})) ==
        NotStored::authorization);
  for (const char* allowed : {"max-age=60, public", "max-age=60, must-revalidate", "s-maxage=60"}) {
    CAPTURE(allowed);
    CHECK(asked_with("Authorization", "Basic x", {{"Cache-Control", allowed}}).decide());
  }
  CHECK(asked_with("Authorization", "Basic x",
                   {{"Cache-Control", "max-age=60"}, {"CDN-Cache-Control", "max-age=60, public"}})
            .decide());
}

TEST_CASE("with explicit freshness any final status is stored (RFC 9111 §3)") {
  for (const int status : {200, 201, 202, 203, 204, 205, 299, 300, 301, 302, 303, 305, 307, 308, 399,
                           400, 403, 404, 405, 410, 414, 451, 499, 500, 501, 502, 503, 504, 599, 999}) {
    CAPTURE(status);
    CHECK(is_stored({{"Cache-Control", "max-age=60"}}, status));
    CHECK(is_stored({{"Cache-Control", "s-maxage=60"}}, status));
    CHECK(is_stored({{"Expires", date_text(60)}}, status));
    CHECK(is_stored({{"CDN-Cache-Control", "max-age=60"}}, status));
  }
}

TEST_CASE("without it only heuristically cacheable ones, or those with public or no-cache (RFC 9110 §15.1)") {
  const std::string changed = date_text(-1000);
  for (const int status : {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}) {
    CAPTURE(status);
    CHECK(is_stored({{"Last-Modified", changed}}, status));
  }
  for (const int status : {201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599}) {
    CAPTURE(status);
    CHECK(refused({{"Last-Modified", changed}}, status) == NotStored::no_freshness);
    CHECK(is_stored({{"Last-Modified", changed}, {"Cache-Control", "public"}}, status));
    CHECK(is_stored({{"Last-Modified", changed}, {"Cache-Control", "no-cache"}}, status));
  }
}

TEST_CASE("a targeted field decides about storing, in both directions (RFC 9213 §2.2)") {
  CHECK(is_stored({{"Cache-Control", "no-store"}, {"CDN-Cache-Control", "max-age=60"}}));
  CHECK(is_stored({{"Cache-Control", "private"}, {"CDN-Cache-Control", "max-age=60"}}));
  CHECK(refused({{"CDN-Cache-Control", "no-store"}, {"Cache-Control", "max-age=60"}}) == NotStored::no_store);
  CHECK(refused({{"CDN-Cache-Control", "private"}, {"Cache-Control", "max-age=60"}}) == NotStored::private_);
  CHECK(refused({{"CDN-Cache-Control", "no-store, &&&"}, {"Cache-Control", "no-store"}}) ==
        NotStored::no_store);
  CHECK(is_stored({{"CDN-Cache-Control", "no-store, &&&"}, {"Cache-Control", "max-age=60"}}));
}

TEST_CASE("a Cookie in the request does not keep its answer from being shared (RFC 9111 §3, §7.3)") {
  CHECK(asked_with("Cookie", "a=b", {{"Cache-Control", "max-age=60"}}).decide());
  CHECK(asked_with("Cookie", "a=b", {{"Last-Modified", date_text(-1000)}}).decide());
}

TEST_CASE("an answer that sets cookies is stored under explicit freshness only (RFC 9111 §7.3)") {
  CHECK(refused({{"Set-Cookie", "a=b"}, {"Last-Modified", date_text(-1000)}}) == NotStored::set_cookie);
  CHECK(is_stored({{"Set-Cookie", "a=b"}, {"Cache-Control", "max-age=60"}}));
  CHECK(is_stored({{"Set-Cookie", "a=b"}, {"Cache-Control", "private=\"Set-Cookie\""}, {"ETag", "x"}}));
  CHECK(is_stored({{"Set-Cookie", "a=b"}, {"Cache-Control", "no-cache=\"set-cookie\", max-age=60"}}, 200,
                  coralized()));
}

TEST_CASE("what happens to an answer that sets cookies can be set: replay, strip or refuse (RFC 9111 §7.3)") {
  const Exchange exchange = Exchange::with({{"Set-Cookie", "a=b"}, {"Cache-Control", "max-age=60"}});
  Options options = site();
  CHECK(options.set_cookie == SetCookie::replay);
  options.set_cookie = SetCookie::refuse;
  CHECK(refused(exchange, options) == NotStored::set_cookie);
  options.set_cookie = SetCookie::strip;
  CHECK(exchange.decide(options));
  CHECK(is_stored({{"Set-Cookie", "a=b"}, {"Last-Modified", date_text(-1000)}}, 200, options));
  CHECK(refused(exchange, coralized()) == NotStored::set_cookie);
}

TEST_CASE("what is stale at once and has nothing to validate it with is not stored (RFC 9111 §3)") {
  CHECK(refused({{"Cache-Control", "no-cache"}}) == NotStored::no_lifetime_no_validator);
  CHECK(refused({{"Cache-Control", "max-age=0, must-revalidate"}}) == NotStored::no_lifetime_no_validator);
  CHECK(is_stored({{"Cache-Control", "no-cache"}, {"ETag", "\"1\""}}));
  CHECK(is_stored({{"Cache-Control", "no-cache"}, {"Last-Modified", date_text(-9)}}));
}

TEST_CASE("Coralized mode: 200, and shortly 301, 308, 404 and 410; nothing else") {
  const auto lifetime = [](std::string value, int status) {
    return Exchange::with({{"Cache-Control", std::move(value)}}, status).decide(coralized())->lifetime;
  };
  CHECK(lifetime("max-age=3600", 200) == 3600s);
  CHECK(lifetime("max-age=3600", 404) == 60s);
  CHECK(lifetime("max-age=3600", 410) == 60s);
  CHECK(lifetime("max-age=3600", 301) == 300s);
  CHECK(lifetime("max-age=5", 308) == 5s);
  for (const int status : {203, 204, 300, 302, 303, 307, 400, 403, 413, 414, 431, 500, 501, 503}) {
    CHECK(refused({{"Cache-Control", "max-age=60"}}, status, coralized()) == NotStored::status);
  }
}

TEST_CASE("every reason for not storing has a text of its own") {
  std::vector<std::string_view> texts;
  for (int reason = 0; reason <= static_cast<int>(NotStored::no_lifetime_no_validator); ++reason) {
    const std::string_view text = to_text(static_cast<NotStored>(reason));
    CHECK(text != "unknown");
    CHECK(std::find(texts.begin(), texts.end(), text) == texts.end());
    texts.push_back(text);
  }
}
