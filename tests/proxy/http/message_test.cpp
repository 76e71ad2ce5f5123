#include "proxy/http/message.h"

#include <doctest/doctest.h>

#include <string>

#include "proxy/http/builder.h"

using namespace reef::proxy::http;

TEST_CASE("methods that are known to be safe; every other token is not (RFC 9110 §9.2.1)") {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"}) {
    CHECK(is_safe_method(method));
  }
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "FOO", "get", "Get", "M-SEARCH", ""}) {
    CAPTURE(method);
    CHECK_FALSE(is_safe_method(method));
  }
}

TEST_CASE("a status line is written with any code and phrase, obs-text too (RFC 9112 §4)") {
  const auto written = [](int code, std::string_view reason) {
    std::string out;
    HeadBuilder(out).status(code, reason);
    return out;
  };
  CHECK(written(299, "Quite \xc3\xbc strange") == "HTTP/1.1 299 Quite \xc3\xbc strange\r\n");
  CHECK(written(999, "x") == "HTTP/1.1 999 x\r\n");
  CHECK(written(404, "") == "HTTP/1.1 404 Not Found\r\n");
  CHECK(written(799, "") == "HTTP/1.1 799 Unknown\r\n");
}

TEST_CASE("an answer to HEAD, a 204, a 304 and an interim one have no body (RFC 9112 §6.3)") {
  const Field fields[] = {{"Content-Length", "9"}};
  const auto body = [&](int status, std::string_view method) {
    return check_response({.status = status, .reason = {}, .minor_version = 1, .fields = fields}, method)
        ->body;
  };
  CHECK(body(200, "GET") == BodyKind::length);
  CHECK(body(200, "HEAD") == BodyKind::none);
  for (const int status : {100, 103, 204, 304}) CHECK(body(status, "GET") == BodyKind::none);
}
