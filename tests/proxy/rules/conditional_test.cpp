#include "proxy/rules/conditional.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

// A stored 200 of 1000 bytes, modified an hour before it was received.
ConditionalAnswer ask(std::vector<std::pair<std::string, std::string>> fields, std::string etag = "\"1\"",
                      std::string method = "GET", int status = 200) {
  const auto policy = *Exchange::with({{"Last-Modified", date_text(-3600)}, {"Date", date_text(0)}}).decide();
  Exchange exchange;
  exchange.method = std::move(method);
  exchange.request_fields = std::move(fields);
  const std::string last_modified = date_text(-3600);
  return evaluate(exchange.request(), {status, etag, last_modified, &policy, 1000});
}

}  // namespace

TEST_CASE("If-None-Match: weak comparison, any place in the list, or * (RFC 9110 §13.1.2)") {
  CHECK(ask({{"If-None-Match", "\"1\""}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "W/\"1\""}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "\"0\", \"a,b\" , \"1\""}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "\"0\""}, {"if-none-match", "\"1\""}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "*"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "\"2\""}}).answer == Answer::whole);
  CHECK(ask({{"If-None-Match", "1"}}).answer == Answer::whole);
  CHECK(ask({{"If-None-Match", "\"1\""}}, "").answer == Answer::whole);
  CHECK(ask({{"If-None-Match", "\"1\""}}, "\"1\"", "HEAD").answer == Answer::not_modified);
}

TEST_CASE("If-None-Match takes precedence over If-Modified-Since (RFC 9110 §13.1.3)") {
  CHECK(ask({{"If-None-Match", "\"2\""}, {"If-Modified-Since", date_text(0)}}).answer == Answer::whole);
}

TEST_CASE("If-Modified-Since in all three forms; an invalid one is ignored (RFC 9110 §13.1.3)") {
  CHECK(ask({{"If-Modified-Since", date_text(-3600)}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", date_text(-3601)}}).answer == Answer::whole);
  CHECK(ask({{"If-Modified-Since", "Friday, 31-Dec-49 23:59:59 GMT"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", "Fri Dec 31 23:59:59 2049"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", "2049"}}).answer == Answer::whole);
}

TEST_CASE("conditions do not apply to a stored answer that is no 200 (RFC 9110 §13.2.1)") {
  CHECK(ask({{"If-None-Match", "*"}}, "\"1\"", "GET", 404).answer == Answer::whole);
}

TEST_CASE("a Range of a stored 200 is answered with parts, or 416 (RFC 9110 §14.2)") {
  const auto parts = ask({{"Range", "bytes=0-9,-10"}});
  CHECK(parts.answer == Answer::parts);
  CHECK(parts.ranges.count == 2);
  CHECK(ask({{"Range", "bytes=1000-"}}).answer == Answer::not_satisfiable);
  CHECK(ask({{"Range", "bytes=x"}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}}, "\"1\"", "HEAD").answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}}, "\"1\"", "GET", 404).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"Range", "bytes=0-5"}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-None-Match", "\"1\""}}).answer == Answer::not_modified);
}

TEST_CASE("If-Range needs a strong match, or the exact Last-Modified (RFC 9110 §13.1.5)") {
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"1\""}}).answer == Answer::parts);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"2\""}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "W/\"1\""}}, "W/\"1\"").answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", date_text(-3600)}}).answer == Answer::parts);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", date_text(0)}}).answer == Answer::whole);
}
