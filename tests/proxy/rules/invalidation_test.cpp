#include "proxy/rules/invalidation.h"

#include <doctest/doctest.h>

#include "proxy/rules/storing.h"
#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

using Fields = std::initializer_list<std::pair<std::string, std::string>>;
using Paths = std::vector<std::string>;

// Of a POST to http://www.small.org/shop/cart?id=1, whose origin is origin.small.org:8443.
Paths invalidated(Fields fields) {
  constexpr std::string_view kNames[] = {"www.small.org", "origin.small.org:8443"};
  Paths paths;
  append_invalidated(paths, Exchange::with(fields, 201).response(), "/shop/cart?id=1", kNames);
  return paths;
}
Paths of_location(std::string value) { return invalidated({{"Location", std::move(value)}}); }

}  // namespace

TEST_CASE("2xx and 3xx to a method that is not known to be safe invalidate (RFC 9111 §4.4)") {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "FOO", "get", "M-SEARCH"}) {
    CAPTURE(method);
    CHECK(invalidates(method, 200));
    CHECK(invalidates(method, 204));
    CHECK(invalidates(method, 303));
  }
  for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
    CAPTURE(method);
    CHECK_FALSE(invalidates(method, 200));
  }
}

TEST_CASE(
    "an error in answer to an unsafe method, or an interim answer, invalidates nothing (RFC 9111 §4.4)") {
  for (const int status : {100, 103, 199, 400, 404, 499, 500, 503, 599})
    CHECK_FALSE(invalidates("POST", status));
}

TEST_CASE("what Location and Content-Location name of the same origin is invalid too (RFC 9111 §4.4)") {
  CHECK(of_location("http://www.small.org/a?b") == Paths{"/a?b"});
  CHECK(invalidated({{"Content-Location", "/a"}, {"location", "http://WWW.small.org:80/b"}}) ==
        Paths{"/b", "/a"});
  CHECK(invalidated({{"Content-Location", "/a"}, {"Location", "/a#part"}}) == Paths{"/a"});
  CHECK(invalidated({{"X-Location", "/a"}}).empty());
  CHECK(of_location("").empty());
}

TEST_CASE("the origin's own name for itself counts as the site's (RFC 9111 §4.4)") {
  CHECK(of_location("https://origin.small.org:8443/a") == Paths{"/a"});
  CHECK(of_location("//www.small.org:443/a") == Paths{"/a"});
  CHECK(of_location("http://www.small.org") == Paths{"/"});
  CHECK(of_location("http://www.small.org?q") == Paths{"/?q"});
}

TEST_CASE("another site's URI is not invalidated (RFC 9111 §4.4)") {
  for (const char* value :
       {"http://www.other.org/a", "//www.other.org/a", "https://origin.small.org/a",
        "http://www.small.org:8080/a", "http://www.small.org.evil.org/a", "http://www.small.org@evil.org/a",
        "ftp://www.small.org/a", "mailto:a@www.small.org", "http:a", "http:///a"}) {
    CAPTURE(value);
    CHECK(of_location(value).empty());
  }
}

TEST_CASE("a relative reference is resolved against the target (RFC 3986 §5.2)") {
  CHECK(of_location("item") == Paths{"/shop/item"});
  CHECK(of_location("item/2?x=/../y") == Paths{"/shop/item/2?x=/../y"});
  CHECK(of_location("../a") == Paths{"/a"});
  CHECK(of_location("../../../a") == Paths{"/a"});
  CHECK(of_location("./") == Paths{"/shop/"});
  CHECK(of_location(".") == Paths{"/shop/"});
  CHECK(of_location("..") == Paths{"/"});
  CHECK(of_location("/a/./b/../c/") == Paths{"/a/c/"});
  CHECK(of_location("?id=2") == Paths{"/shop/cart?id=2"});
  CHECK(of_location("a:b").empty());
  CHECK(of_location("./a:b") == Paths{"/shop/a:b"});
}

TEST_CASE("the target itself is not named twice (RFC 9111 §4.4)") {
  CHECK(of_location("cart?id=1").empty());
  CHECK(of_location("#top").empty());
  CHECK(of_location("http://www.small.org/shop/cart?id=1").empty());
}

TEST_CASE("a newer answer ends what is stored, a failure does not (RFC 9111 §3, §4.3.3)") {
  for (const int status : {200, 204, 301, 401, 403, 404, 410}) CHECK(ends_stored(status));
  for (const int status : {103, 429, 500, 502, 503, 504, 599}) CHECK_FALSE(ends_stored(status));
}
