#include "proxy/rules/storing.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;
namespace http = reef::proxy::http;

namespace {

Options site() { return Options::site(); }
Options coralized() { return Options::coralized(); }

milliseconds lifetime(std::initializer_list<std::pair<std::string, std::string>> fields,
                      Options options = site(), int status = 200) {
  const auto policy = Exchange::with(fields, status).decide(options);
  REQUIRE(policy.has_value());
  return policy->lifetime;
}

NotStored refused(const Exchange& exchange, Options options = site()) {
  const auto policy = exchange.decide(options);
  REQUIRE_FALSE(policy.has_value());
  return policy.error();
}

std::string stored_fields(std::initializer_list<std::pair<std::string, std::string>> fields,
                          Options options = site()) {
  std::string out;
  append_stored_fields(out, Exchange::with(fields).response(), kReceived, options);
  return out;
}

}  // namespace

TEST_CASE("only the answer to a GET is stored, never 1xx, 206 or 304 (RFC 9111 §3)") {
  Exchange exchange = Exchange::with({{"Cache-Control", "max-age=60"}});
  exchange.method = "HEAD";
  CHECK(refused(exchange) == NotStored::method);
  exchange.method = "POST";
  CHECK(refused(exchange) == NotStored::method);
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}}, 103)) == NotStored::interim);
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}}, 206)) == NotStored::partial);
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}}, 304)) == NotStored::status);
}

TEST_CASE("no-store in request or response, and private, forbid storing (RFC 9111 §3, §5.2)") {
  CHECK(refused(Exchange::with({{"Cache-Control", "no-store, max-age=60"}})) == NotStored::no_store);
  CHECK(refused(Exchange::with({{"Cache-Control", "private, max-age=60"}})) == NotStored::private_);
  Exchange exchange = Exchange::with({{"Cache-Control", "max-age=60"}});
  exchange.request_fields = {{"Cache-Control", "no-store"}};
  CHECK(refused(exchange) == NotStored::request_no_store);
}

TEST_CASE("must-understand overrides no-store for a status that is understood (RFC 9111 §5.2.2.3)") {
  CHECK(lifetime({{"Cache-Control", "no-store, must-understand, max-age=60"}}) == 60s);
  CHECK(refused(Exchange::with({{"Cache-Control", "must-understand, max-age=60"}}, 599)) ==
        NotStored::not_understood);
}

TEST_CASE("a Vary with * in any place is not stored (RFC 9111 §4.1)") {
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}, {"Vary", "*"}})) == NotStored::vary_any);
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}, {"Vary", "a"}, {"Vary", "b, *"}})) ==
        NotStored::vary_any);
  CHECK(Exchange::with({{"Cache-Control", "max-age=60"}, {"Vary", "Accept-Encoding"}})
            .decide()
            ->has(CachePolicy::kVaries));
}

TEST_CASE("an authorized answer is shared only where the author allows it (RFC 9111 §3.5)") {
  Exchange exchange = Exchange::with({{"Cache-Control", "max-age=60"}});
  exchange.request_fields = {{"Authorization", "Basic x"}};
  CHECK(refused(exchange) == NotStored::authorization);
  for (const char* allowed : {"max-age=60, public", "max-age=60, must-revalidate", "s-maxage=60"}) {
    exchange.response_fields = {{"Cache-Control", allowed}};
    CHECK(exchange.decide().has_value());
  }
}

TEST_CASE("with explicit freshness any final status is stored (RFC 9111 §3)") {
  for (const int status : {200, 204, 299, 302, 303, 307, 400, 404, 499, 500, 503, 599}) {
    CHECK(lifetime({{"Cache-Control", "max-age=60"}}, site(), status) == 60s);
  }
}

TEST_CASE("without it only heuristically cacheable ones, or those that are public (RFC 9110 §15.1)") {
  for (const int status : {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}) {
    CHECK(lifetime({{"Last-Modified", date_text(-1000)}}, site(), status) == 100s);
  }
  for (const int status : {201, 302, 303, 307, 400, 403, 500, 503}) {
    CHECK(refused(Exchange::with({{"Last-Modified", date_text(-1000)}}, status)) == NotStored::no_freshness);
  }
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}, {"Cache-Control", "public"}}, site(), 302) == 100s);
}

TEST_CASE("lifetime: s-maxage, then max-age, then Expires minus Date (RFC 9111 §4.2.1)") {
  CHECK(lifetime({{"Cache-Control", "max-age=5, s-maxage=60"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=5"}, {"Cache-Control", "max-age=60"}}) == 5s);
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", date_text(-100)}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", "0"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=0"}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Date", date_text(0)}, {"Expires", date_text(100)}}) == 100s);
}

TEST_CASE("Expires is compared with the response's Date, not with our clock (RFC 9111 §4.2.1)") {
  CHECK(lifetime({{"Date", date_text(2000)}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Date", date_text(1000)}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Date", date_text(-2000)}, {"Expires", date_text(-1000)}}) == 1000s);
}

TEST_CASE("an invalid Expires is already expired; of several the first counts (RFC 9111 §5.3)") {
  CHECK(lifetime({{"Expires", "0"}, {"ETag", "\"1\""}}) == 0s);
  CHECK(lifetime({{"Expires", "tomorrow"}}) == 0s);
  CHECK(lifetime({{"Expires", date_text(10)}, {"Expires", date_text(1000)}}) == 10s);
  CHECK_FALSE(Exchange::with({{"Expires", "0"}}).decide()->has(CachePolicy::kHeuristic));
}

TEST_CASE("an invalid or missing Date is the time of receipt (RFC 9110 §6.6.1)") {
  CHECK(lifetime({{"Date", "yesterday"}, {"Expires", date_text(100)}}) == 100s);
  CHECK(lifetime({{"Expires", date_text(100)}}) == 100s);
}

TEST_CASE(
    "heuristic: a tenth of the time since Last-Modified, at most a day, never beside a lifetime (RFC 9111 "
    "§4.2.2)") {
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}}) == 100s);
  CHECK(lifetime({{"Last-Modified", date_text(-100'000'000)}}) == 24h);
  CHECK(lifetime({{"Last-Modified", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}, {"Cache-Control", "max-age=x"}}) == 0s);
  CHECK(lifetime({{"ETag", "\"1\""}}) == 0s);
}

TEST_CASE("a targeted field takes Expires out of play; without a lifetime heuristics apply (RFC 9213 §2.2)") {
  CHECK(lifetime({{"CDN-Cache-Control", "max-age=7"}, {"Expires", date_text(1000)}}) == 7s);
  CHECK(lifetime({{"CDN-Cache-Control", "must-revalidate"},
                  {"Expires", date_text(5000)},
                  {"Last-Modified", date_text(-1000)}}) == 100s);
  CHECK(refused(Exchange::with({{"CDN-Cache-Control", "private"}, {"Cache-Control", "max-age=60"}})) ==
        NotStored::private_);
}

TEST_CASE("age on arrival: the greater of Date's and Age's, with the time it took (RFC 9111 §4.2.3)") {
  Exchange exchange =
      Exchange::with({{"Date", date_text(-10)}, {"Age", "100"}, {"Cache-Control", "max-age=1000"}});
  exchange.receipt.request_time = kReceived - 2s;
  CHECK(exchange.decide()->initial_age == 102s);
  exchange.response_fields = {{"Date", date_text(-500)}, {"Age", "100"}, {"Cache-Control", "max-age=1000"}};
  CHECK(exchange.decide()->initial_age == 500s);
  exchange.response_fields = {{"Date", date_text(500)}, {"Cache-Control", "max-age=1000"}};
  CHECK(exchange.decide()->initial_age == 2s);
}

TEST_CASE("Age: first line, first member, digits only; else ignored; huge values clamp (RFC 9111 §5.1)") {
  const auto age = [](std::initializer_list<std::pair<std::string, std::string>> fields) {
    return corrected_initial_age(Exchange::with(fields).response(), {kReceived, kReceived, false});
  };
  CHECK(age({{"Age", "5, 100"}}) == 5s);
  CHECK(age({{"Age", "5"}, {"Age", "100"}}) == 5s);
  CHECK(age({{"Age", "-5"}}) == 0s);
  CHECK(age({{"Age", "5.5"}}) == 0s);
  CHECK(age({{"Age", "99999999999999999999"}}) == seconds{2147483648});
}

TEST_CASE("current age keeps milliseconds and does not run backwards (RFC 9111 §4.2.3)") {
  const auto policy = *Exchange::with({{"Cache-Control", "max-age=60"}}).decide();
  CHECK(current_age(policy, kReceived + 3990ms) == 3990ms);
  CHECK(current_age(policy, kReceived - 10s) == 0ms);
  CHECK(time_to_live(policy, kReceived + 60s) == 0s);
}

TEST_CASE(
    "an answer that sets cookies is stored under explicit freshness only, and in Coralized mode not at all") {
  const auto heuristic = Exchange::with({{"Set-Cookie", "a=b"}, {"Last-Modified", date_text(-1000)}});
  const auto given = Exchange::with({{"Set-Cookie", "a=b"}, {"Cache-Control", "max-age=60"}});
  CHECK(refused(heuristic) == NotStored::set_cookie);
  CHECK(given.decide().has_value());
  CHECK(refused(given, coralized()) == NotStored::set_cookie);
  Options strip = site();
  strip.set_cookie = SetCookie::strip;
  CHECK(heuristic.decide(strip).has_value());
  CHECK(stored_fields({{"Set-Cookie", "a=b"}, {"Date", "x"}}, strip) == "Date: x\r\n");
}

TEST_CASE("what is stale at once and has nothing to validate it with is not stored") {
  CHECK(refused(Exchange::with({{"Cache-Control", "no-cache"}})) == NotStored::no_lifetime_no_validator);
  CHECK(refused(Exchange::with({{"Cache-Control", "max-age=0, must-revalidate"}})) ==
        NotStored::no_lifetime_no_validator);
  CHECK(Exchange::with({{"Cache-Control", "no-cache"}, {"ETag", "\"1\""}}).decide().has_value());
}

TEST_CASE("Coralized mode: 200, and shortly 301, 308, 404 and 410; nothing else") {
  CHECK(lifetime({{"Cache-Control", "max-age=3600"}}, coralized()) == 3600s);
  CHECK(lifetime({{"Cache-Control", "max-age=3600"}}, coralized(), 404) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=3600"}}, coralized(), 410) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=3600"}}, coralized(), 301) == 300s);
  CHECK(lifetime({{"Cache-Control", "max-age=5"}}, coralized(), 308) == 5s);
  for (const int status : {203, 204, 300, 302, 303, 307, 400, 403, 413, 414, 431, 500, 501, 503}) {
    CHECK(refused(Exchange::with({{"Cache-Control", "max-age=60"}}, status), coralized()) ==
          NotStored::status);
  }
}

TEST_CASE("Coralized mode: without explicit freshness at least 5 minutes, at most 12 hours") {
  CHECK(lifetime({}, coralized()) == 300s);
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}}, coralized()) == 300s);
  CHECK(lifetime({{"Last-Modified", date_text(-36000)}}, coralized()) == 3600s);
  CHECK(lifetime({{"Last-Modified", date_text(-100'000'000)}}, coralized()) == 12h);
  CHECK(lifetime({{"Cache-Control", "max-age=1"}}, coralized()) == 1s);
  Exchange closed = Exchange::with({{"Cache-Control", "max-age=3600"}});
  closed.receipt.close_delimited = true;
  CHECK(closed.decide(coralized())->lifetime == 300s);
  CHECK(closed.decide(site())->lifetime == 3600s);
}

TEST_CASE("every end-to-end field is stored unchanged and in order, unknown ones too (RFC 9111 §3.1)") {
  CHECK(stored_fields({{"Date", "d"},
                       {"X-Unknown", "\xc3\xbc"},
                       {"Content-Range", "bytes 0-1/2"},
                       {"Set-Cookie", "a"},
                       {"Set-Cookie", "b"},
                       {"Clear-Site-Data", "*"},
                       {"Content-Encoding", "zz"}}) ==
        "Date: d\r\nX-Unknown: \xc3\xbc\r\nContent-Range: bytes 0-1/2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        "Clear-Site-Data: *\r\nContent-Encoding: zz\r\n");
}

TEST_CASE("hop-by-hop fields, what Connection names, and what is made anew are not stored (RFC 9111 §3.1)") {
  CHECK(stored_fields({{"Date", "d"},
                       {"Connection", "X-A"},
                       {"X-A", "1"},
                       {"Keep-Alive", "1"},
                       {"Transfer-Encoding", "chunked"},
                       {"Trailer", "x"},
                       {"Upgrade", "h2c"},
                       {"Proxy-Authenticate", "x"},
                       {"Age", "5"},
                       {"Via", "1.1 x"},
                       {"Cache-Status", "x; hit"},
                       {"Content-Length", "5"}}) == "Date: d\r\n");
}

TEST_CASE("the fields of no-cache and private with a list are left out (RFC 9111 §5.2.2.4, §5.2.2.7)") {
  CHECK(stored_fields({{"Date", "d"},
                       {"Cache-Control", "no-cache=\"x-a\", private=\"x-b, X-C\""},
                       {"X-A", "1"},
                       {"X-B", "1"},
                       {"X-C", "1"},
                       {"X-D", "1"}}) ==
        "Date: d\r\nCache-Control: no-cache=\"x-a\", private=\"x-b, X-C\"\r\nX-D: 1\r\n");
}

TEST_CASE("a Date is added where the origin sent none, and never rewritten (RFC 9110 §6.6.1)") {
  CHECK(stored_fields({{"X", "y"}}) == "X: y\r\nDate: " + date_text(0) + "\r\n");
}

TEST_CASE("Coralized mode lets no site speak for its siblings, and adds nosniff") {
  CHECK(stored_fields({{"Date", "d"},
                       {"Set-Cookie", "a"},
                       {"Strict-Transport-Security", "x"},
                       {"Alt-Svc", "x"},
                       {"Clear-Site-Data", "x"},
                       {"Service-Worker-Allowed", "/"},
                       {"X-Content-Type-Options", "x"}},
                      coralized()) == "Date: d\r\nX-Content-Type-Options: nosniff\r\n");
}

TEST_CASE("2xx and 3xx to a method that is not known to be safe invalidate (RFC 9111 §4.4)") {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "FOO", "get"}) {
    CHECK(invalidates(method, 200));
    CHECK(invalidates(method, 303));
    CHECK_FALSE(invalidates(method, 404));
    CHECK_FALSE(invalidates(method, 500));
  }
  CHECK_FALSE(invalidates("GET", 200));
  CHECK_FALSE(invalidates("HEAD", 200));
}
