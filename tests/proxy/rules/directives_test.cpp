#include "proxy/rules/directives.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proxy/rules/options.h"

using namespace reef::proxy::rules;
using reef::proxy::http::Field;

namespace {

ResponseDirectives cache_control(std::string_view value) {
  const Field fields[] = {{"Cache-Control", value}};
  return parse_cache_control(fields);
}
std::optional<ResponseDirectives> targeted(std::string_view value) {
  const Field fields[] = {{"CDN-Cache-Control", value}};
  return parse_targeted(fields, "CDN-Cache-Control");
}
RequestDirectives request(std::string_view name, std::string_view value) {
  const Field fields[] = {{name, value}};
  return parse_request_directives(fields);
}

}  // namespace

TEST_CASE("directive names are case-insensitive and go on over lines (RFC 9111 §5.2)") {
  const Field fields[] = {{"cache-control", "MAX-AGE=5"}, {"CACHE-CONTROL", "No-Store, Public"}};
  const ResponseDirectives directives = parse_cache_control(fields);
  CHECK(directives.max_age == 5);
  CHECK(directives.no_store);
  CHECK(directives.public_);
}

TEST_CASE("text inside a quoted string is no directive (RFC 9111 §5.2)") {
  const auto directives = cache_control("ext=\"max-age=3600, no-store\", max-age=1");
  CHECK(directives.max_age == 1);
  CHECK_FALSE(directives.no_store);
}

TEST_CASE("unknown directives are ignored, also in requests; empty members are skipped (RFC 9111 §5.2.3)") {
  const auto directives = cache_control(", foo, bar=1, , max-age=1, no-stores,");
  CHECK(directives.max_age == 1);
  CHECK_FALSE(directives.no_store);
  const auto asked = request("Cache-Control", "foo, , no-stores, bar=\"no-cache\", x-no-cache, max-stale=3");
  CHECK(asked.max_stale == 3);
  CHECK_FALSE(asked.no_store);
  CHECK_FALSE(asked.no_cache);
}

TEST_CASE("delta-seconds: leading zeros are fine, more than 2^31 is 2^31 (RFC 9111 §1.2.2)") {
  CHECK(cache_control("max-age=00060").max_age == 60);
  CHECK(cache_control("max-age=2147483647").max_age == 2147483647);
  for (const char* value : {"max-age=2147483648", "max-age=2147483649", "max-age=99999999999999999999",
                            "max-age=00000000000000000000009999999999"}) {
    CAPTURE(value);
    CHECK(cache_control(value).max_age == 2147483648);
  }
}

TEST_CASE("a lifetime that is no number is zero, stale at once (RFC 9111 §4.2.1)") {
  for (const char* value :
       {"max-age=-1", "max-age=+60", "max-age=1.5", "max-age='60'", "max-age=60s", "max-age=", "max-age",
        "max-age=\"60", "max-age=6 0", "max-age=0x10", "max-age=abc", "max-age=\"-1\"", "max-age=\"1.0\""}) {
    CAPTURE(value);
    CHECK(cache_control(value).max_age == 0);
    CHECK(cache_control("s-" + std::string(value).replace(3, 1, "")).s_maxage == 0);
  }
}

TEST_CASE("a quoted lifetime is read; blanks around = make a directive unknown (RFC 9111 §5.2, §5.2.2.1)") {
  CHECK(cache_control("max-age=\"60\"").max_age == 60);
  CHECK_FALSE(cache_control("max-age =60").max_age.has_value());
  CHECK_FALSE(cache_control("max-age= 60").max_age.has_value());
  CHECK_FALSE(cache_control("max-age = 60").max_age.has_value());
}

TEST_CASE("of a directive that occurs twice the first counts (RFC 9111 §4.2.1)") {
  CHECK(cache_control("max-age=5, max-age=60").max_age == 5);
  CHECK(cache_control("max-age=x, max-age=60").max_age == 0);
}

TEST_CASE("no-cache and private with a field list concern those fields only (RFC 9111 §5.2.2.4, §5.2.2.7)") {
  const auto directives = cache_control("no-cache=\"a, b\", private=\"c\"");
  CHECK_FALSE(directives.no_cache);
  CHECK_FALSE(directives.private_);
  CHECK(directives.no_cache_fields == "a, b");
  CHECK(directives.private_fields == "c");
  CHECK(cache_control("no-cache=\"a\", no-cache").no_cache);
  CHECK(cache_control("no-cache=Set-Cookie").no_cache_fields == "Set-Cookie");
}

TEST_CASE(
    "no-cache and private with anything but one field list hold for all (RFC 9111 §5.2.2.4, §5.2.2.7)") {
  for (const char* argument : {"=", "=\"\"", "=\",\"", "=\"a", "=\"a b\"", "=\"a\" b", "=\"\\a\""}) {
    CAPTURE(argument);
    CHECK(cache_control("no-cache" + std::string(argument)).no_cache);
    CHECK(cache_control("private" + std::string(argument)).private_);
  }
  CHECK(cache_control("private=\"a\", private=\"b\"").private_);
  CHECK(cache_control("no-cache=\"a\", no-cache=\"b\"").no_cache);
  CHECK_FALSE(cache_control("private=\"a\", private=\"a\"").private_);
}

TEST_CASE("Pragma counts in requests without Cache-Control only, and in no response (RFC 9111 §5.4)") {
  CHECK(request("Pragma", "no-cache").no_cache);
  const Field both[] = {{"Pragma", "no-cache"}, {"Cache-Control", "max-stale=5"}};
  CHECK_FALSE(parse_request_directives(both).no_cache);
  CHECK(parse_request_directives(both).max_stale == 5);
  const Field response[] = {{"Pragma", "no-cache"}};
  CHECK_FALSE(parse_cache_control(response).no_cache);
  CHECK_FALSE(effective_directives(response, Options::site().targeted_fields).no_cache);
}

TEST_CASE("a targeted field decides over Cache-Control in both directions (RFC 9213 §2.2)") {
  const auto targets = Options::site().targeted_fields;
  const Field longer[] = {{"Cache-Control", "no-store"}, {"CDN-Cache-Control", "max-age=60"}};
  CHECK(effective_directives(longer, targets).max_age == 60);
  CHECK_FALSE(effective_directives(longer, targets).no_store);
  const Field shorter[] = {{"CDN-Cache-Control", "no-store"}, {"Cache-Control", "max-age=3600"}};
  CHECK(effective_directives(shorter, targets).no_store);
  CHECK_FALSE(effective_directives(shorter, targets).max_age.has_value());
  const Field empty[] = {{"CDN-Cache-Control", ""}, {"Cache-Control", "max-age=3600"}};
  CHECK(effective_directives(empty, targets).max_age == 3600);
}

TEST_CASE(
    "of several targeted fields the first usable one decides, in the order of the list (RFC 9213 §2.2)") {
  const std::vector<std::string> targets = {"My-Cache-Control", "CDN-Cache-Control"};
  const Field both[] = {{"CDN-Cache-Control", "max-age=10"}, {"my-cache-control", "max-age=20"}};
  CHECK(effective_directives(both, targets).max_age == 20);
  const Field invalid[] = {{"My-Cache-Control", "max-age=20, &&&"}, {"CDN-Cache-Control", "max-age=10"}};
  CHECK(effective_directives(invalid, targets).max_age == 10);
  const Field neither[] = {{"My-Cache-Control", "Max-Age=20"},
                           {"CDN-Cache-Control", "max-age=x"},
                           {"Cache-Control", "max-age=30"}};
  CHECK(effective_directives(neither, targets).max_age == 30);
  CHECK_FALSE(effective_directives(neither, targets).targeted);
}

TEST_CASE("a targeted field goes on over lines, and of a key twice the last counts (RFC 8941 §3.2)") {
  const Field lines[] = {{"CDN-Cache-Control", "max-age=5, no-store"}, {"cdn-cache-control", "no-store=?0"}};
  const auto joined = parse_targeted(lines, "CDN-Cache-Control");
  REQUIRE(joined.has_value());
  CHECK(joined->max_age == 5);
  CHECK_FALSE(joined->no_store);
  CHECK(targeted("max-age=5, max-age=60")->max_age == 60);
  CHECK(targeted("max-age=\"5\", max-age=60")->max_age == 60);
  CHECK_FALSE(targeted("max-age=60, max-age=\"5\"").has_value());
  CHECK(targeted("private, private=\"a\"")->private_fields == "a");
}

TEST_CASE("a targeted field may hold all directives of Cache-Control (RFC 9213 §2.1)") {
  const auto all = targeted(
      "s-maxage=1, max-age=2, stale-while-revalidate=3, stale-if-error=4, public, private, no-cache, "
      "no-store, "
      "must-revalidate, proxy-revalidate, must-understand, immutable");
  REQUIRE(all.has_value());
  CHECK(all->s_maxage == 1);
  CHECK(all->max_age == 2);
  CHECK(all->stale_while_revalidate == 3);
  CHECK(all->stale_if_error == 4);
  CHECK(all->public_);
  CHECK(all->private_);
  CHECK(all->no_cache);
  CHECK(all->no_store);
  CHECK(all->must_revalidate);
  CHECK(all->proxy_revalidate);
  CHECK(all->must_understand);
  CHECK(all->immutable);
  const auto lists = targeted("private=\"a\", no-cache=\"b, c\"");
  CHECK(lists->private_fields == "a");
  CHECK(lists->no_cache_fields == "b, c");
  CHECK_FALSE(lists->private_);
  CHECK(targeted("max-age=999999999999999")->max_age == 2147483648);
}

TEST_CASE("a targeted field that is no dictionary is ignored whole (RFC 9213 §2.1)") {
  for (const char* value :
       {"max-age=60, &&&", "Max-Age=60", "max-age=\"60\"", "max-age=6.0", "max-age=-1", "max-age",
        "max-age=60,", "max-age=60 no-store", "no-store=1", "a=\"x", "a=(1 2", "a=:x", "a=?2",
        "max-age=1234567890123456", ",", "a=1.", "a;B=1", "no-store=token", "max-age=60;"}) {
    CAPTURE(value);
    CHECK_FALSE(targeted(value).has_value());
  }
}

TEST_CASE(
    "a targeted field: unknown keys, parameters and types of unknown keys do not matter (RFC 9213 §2.1)") {
  const auto directives = targeted(
      "foo=(\"a\" b;x=1);y, max-age=60;ext=\"z\" , bar=:aGk=:,baz=?0, no-store=?0, must-revalidate, q=1.5, "
      "*x=*y/z");
  REQUIRE(directives.has_value());
  CHECK(directives->max_age == 60);
  CHECK(directives->must_revalidate);
  CHECK_FALSE(directives->no_store);
  CHECK(directives->targeted);
}

TEST_CASE("request directives are read, unknown ones skipped (RFC 9111 §5.2.1)") {
  const auto directives =
      request("cache-control", "max-age=0, min-fresh=10, max-stale, only-if-cached, x=y, no-store");
  CHECK(directives.max_age == 0);
  CHECK(directives.min_fresh == 10);
  CHECK(directives.max_stale_any);
  CHECK(directives.only_if_cached);
  CHECK(directives.no_store);
  CHECK(request("Cache-Control", "max-age=x, max-age=60").max_age == 0);
  CHECK(request("Cache-Control", "No-Cache").no_cache);
}

TEST_CASE("Pragma in a response means nothing (RFC 9111 §5.4)") {
  const Field fields[] = {{"Pragma", "no-cache, no-store"}};
  const ResponseDirectives directives = effective_directives(fields, Options::site().targeted_fields);
  CHECK_FALSE(directives.no_cache);
  CHECK_FALSE(directives.no_store);
}
