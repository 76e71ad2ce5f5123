#include <doctest/doctest.h>

#include "proxy/rules/storing.h"

using namespace reef::proxy::rules;

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

TEST_CASE("a newer answer ends what is stored, a failure does not (RFC 9111 §3, §4.3.3)") {
  for (const int status : {200, 204, 301, 401, 403, 404, 410}) CHECK(ends_stored(status));
  for (const int status : {103, 429, 500, 502, 503, 504, 599}) CHECK_FALSE(ends_stored(status));
}
