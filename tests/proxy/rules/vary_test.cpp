#include "proxy/rules/vary.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

std::string key(std::string_view names, std::vector<std::pair<std::string, std::string>> fields,
                Mode mode = Mode::site, std::int64_t generation = 1) {
  Exchange exchange;
  exchange.request_fields = std::move(fields);
  std::string out;
  append_variant_key(out, "http://x/", names, generation, exchange.request().fields, mode);
  return out;
}

}  // namespace

TEST_CASE("every field named in Vary must match; absent matches only absent (RFC 9111 §4.1)") {
  CHECK(key("foo", {{"Foo", "1"}}) == key("foo", {{"FOO", " 1"}, {"Bar", "2"}}));
  CHECK(key("foo", {{"Foo", "1"}}) != key("foo", {{"Foo", "2"}}));
  CHECK(key("foo", {}) != key("foo", {{"Foo", ""}}));
  CHECK(key("foo, bar", {{"Foo", "1"}, {"Bar", "2"}}) == key("foo, bar", {{"Bar", "2"}, {"Foo", "1"}}));
  CHECK(key("foo, bar", {{"Foo", "1"}}) != key("foo, bar", {{"Bar", "1"}}));
  CHECK(key("foo", {{"Foo", "a"}}) != key("foo", {{"Foo", "A"}}));
  CHECK(key("bar, foo", {{"Bar", "1"}, {"Foo", "2"}}) != key("bar, foo", {{"Bar", "2"}, {"Foo", "1"}}));
}

TEST_CASE("fields that Vary does not name never matter (RFC 9111 §4.1)") {
  CHECK(key("foo", {{"Foo", "1"}, {"Cookie", "a"}, {"Accept", "x"}}) == key("foo", {{"Foo", "1"}}));
  CHECK(key("foo", {{"Food", "1"}}) == key("foo", {}));
}

TEST_CASE("values compare after joining lines and dropping blanks around commas (RFC 9111 §4.1)") {
  CHECK(key("foo", {{"Foo", "1, 2"}}) == key("foo", {{"Foo", "1 ,2"}}));
  CHECK(key("foo", {{"Foo", "1,2"}}) == key("foo", {{"Foo", "1"}, {"Foo", "2"}}));
  CHECK(key("foo", {{"Foo", "1,2"}}) != key("foo", {{"Foo", "2,1"}}));
}

TEST_CASE("Accept-Language compares without regard to case, blanks and order (RFC 9111 §4.1)") {
  CHECK(key("accept-language", {{"Accept-Language", "en, de;q=0.8"}}) ==
        key("accept-language", {{"Accept-Language", "DE; q=0.8,EN"}}));
  CHECK(key("accept-language", {{"Accept-Language", "en"}}) !=
        key("accept-language", {{"Accept-Language", "de"}}));
}

TEST_CASE("Accept-Encoding is reduced to the codings that are served (RFC 9111 §4.1)") {
  const auto normalized = [](std::string value) {
    Exchange exchange;
    exchange.request_fields = {{"Accept-Encoding", std::move(value)}};
    return std::string(normalized_accept_encoding(exchange.request().fields));
  };
  CHECK(normalized("gzip, deflate, br, zstd") == "br, gzip, zstd");
  CHECK(normalized("GZIP;q=0.5 , br;q=0") == "gzip");
  CHECK(normalized("identity, br; Q=0.000, *") == "");
  const auto coralized = [](std::vector<std::pair<std::string, std::string>> fields) {
    return key("accept-encoding", std::move(fields), Mode::coralized);
  };
  CHECK(coralized({{"Accept-Encoding", "deflate,gzip"}}) == coralized({{"Accept-Encoding", "gzip;q=1"}}));
  CHECK(coralized({}) == coralized({{"Accept-Encoding", "identity"}}));
}

TEST_CASE("in site mode Accept-Encoding compares by which codings are acceptable (RFC 9111 §4.1)") {
  const auto site = [](std::string value) {
    return key("accept-encoding", {{"Accept-Encoding", std::move(value)}});
  };
  CHECK(site("gzip, br") == site("BR;q=0.1,x-gzip ; q=1.0"));
  CHECK(site("gzip, identity") == site("gzip, br;q=0"));
  CHECK(site("gzip") != site("gzip, deflate"));
  CHECK(site("") != site("*"));
  CHECK(site("gzip") != site("gzip, identity;q=0"));
  CHECK(site("gzip") != site("gzip, *;q=0"));
  CHECK(site("") != key("accept-encoding", {}));
}

TEST_CASE("in Coralized mode a field that never reaches the origin makes no variant") {
  CHECK(key("cookie, user-agent", {{"Cookie", "a"}, {"User-Agent", "x"}}, Mode::coralized) ==
        key("cookie, user-agent", {{"Cookie", "b"}}, Mode::coralized));
  CHECK(key("cookie", {{"Cookie", "a"}}) != key("cookie", {{"Cookie", "b"}}));
}

TEST_CASE("the names of Vary on all its lines are one list, in any order and case (RFC 9111 §4.1)") {
  std::string names;
  append_vary_names(names, Exchange::with({{"Vary", "B, a"}, {"vary", "b,C"}}).response().fields);
  CHECK(names == "a, b, c");
}

TEST_CASE("the Vary of the most recent response decides: older variants are out of reach (RFC 9111 §4.1)") {
  CHECK(key("foo", {}, Mode::site, 1) != key("foo", {}, Mode::site, 2));
  const CachePolicy index = variant_index(kReceived);
  CHECK(index.has(CachePolicy::kVariantIndex));
  CHECK(generation_of(index) == kReceivedUnix * 1000);
}
