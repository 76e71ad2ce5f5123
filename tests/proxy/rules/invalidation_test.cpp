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
