#include "proxy/rules/conditional.h"

#include <doctest/doctest.h>

#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;
namespace http = reef::proxy::http;

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

TEST_CASE("an entity tag holds commas and backslashes, and no escapes (RFC 9110 §8.8.3)") {
  CHECK(ask({{"If-None-Match", R"("x\", "1")"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", R"("0", W/"a\b, c\" ,"1")"}}, R"("a\b, c\")").answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", R"("a, "1", b")"}}, R"("a, ")").answer == Answer::whole);
  CHECK(ask({{"If-None-Match", R"(,, "1)"}}).answer == Answer::whole);
  CHECK(ask({{"If-None-Match", R"(W/, "1")"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-None-Match", "0, 1"}}, "1").answer == Answer::not_modified);
}

TEST_CASE("beside If-None-Match, If-Modified-Since is ignored in both directions (RFC 9110 §13.1.3)") {
  CHECK(ask({{"If-None-Match", "\"2\""}, {"If-Modified-Since", date_text(0)}}).answer == Answer::whole);
  CHECK(ask({{"If-Modified-Since", date_text(-9999)}, {"If-None-Match", "\"1\""}}).answer ==
        Answer::not_modified);
  CHECK(ask({{"If-None-Match", "\"1\""}, {"If-Modified-Since", date_text(0)}}, "").answer == Answer::whole);
}

TEST_CASE("If-Modified-Since holds where Last-Modified is no later (RFC 9110 §13.1.3)") {
  CHECK(ask({{"If-Modified-Since", date_text(-3600)}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", date_text(0)}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", date_text(-3601)}}).answer == Answer::whole);
  CHECK(ask({{"If-Modified-Since", date_text(0)}}, "\"1\"", "HEAD").answer == Answer::not_modified);
}

TEST_CASE("If-Modified-Since in all three forms; invalid or repeated it is ignored (RFC 9110 §13.1.3)") {
  CHECK(ask({{"If-Modified-Since", "Fri, 31 Dec 2049 23:59:59 GMT"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", "Friday, 31-Dec-49 23:59:59 GMT"}}).answer == Answer::not_modified);
  CHECK(ask({{"If-Modified-Since", "Fri Dec 31 23:59:59 2049"}}).answer == Answer::not_modified);
  for (const char* value : {"2049", "", "Fri, 31 Dec 2049 23:59:59 UTC", "Fri, 31 Dec 2049 23:59:59"}) {
    CHECK(ask({{"If-Modified-Since", value}}).answer == Answer::whole);
  }
  CHECK(ask({{"If-Modified-Since", date_text(0)}, {"If-Modified-Since", date_text(0)}}).answer ==
        Answer::whole);
}

TEST_CASE("without Last-Modified, If-Modified-Since is compared with Date (RFC 9111 §4.3.2)") {
  const auto policy =
      *Exchange::with({{"Cache-Control", "max-age=60"}, {"Date", date_text(-100)}, {"ETag", "\"1\""}})
           .decide();
  const auto since = [&](std::string date) {
    Exchange exchange;
    exchange.request_fields = {{"If-Modified-Since", std::move(date)}};
    return evaluate(exchange.request(), {200, "\"1\"", "", &policy, 1000}).answer;
  };
  CHECK(since(date_text(-100)) == Answer::not_modified);
  CHECK(since(date_text(-101)) == Answer::whole);
}

TEST_CASE(
    "a 304 carries the fields that a cache needs, and no other of the representation (RFC 9110 §15.4.5)") {
  for (const char* name : {"etag", "Date", "Vary", "Cache-Control", "Expires", "Content-Location",
                           "CDN-Cache-Control", "Last-Modified"}) {
    CAPTURE(name);
    CHECK(is_not_modified_field(name));
  }
  for (const char* name :
       {"Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "Set-Cookie", "X-Unknown"}) {
    CAPTURE(name);
    CHECK_FALSE(is_not_modified_field(name));
  }
}

TEST_CASE("If-Match and If-Unmodified-Since are the origin's to judge (RFC 9111 §4.3.2)") {
  CHECK(ask({{"If-Match", "\"2\""}}).answer == Answer::whole);
  CHECK(ask({{"If-Unmodified-Since", date_text(-9999)}}).answer == Answer::whole);
  Exchange exchange;
  exchange.request_fields = {{"if-match", "*"}};
  CHECK(has_origin_precondition(exchange.request().fields));
  exchange.request_fields = {{"If-Unmodified-Since", date_text(0)}};
  CHECK(has_origin_precondition(exchange.request().fields));
  exchange.request_fields = {{"If-None-Match", "*"}, {"If-Modified-Since", date_text(0)}};
  CHECK_FALSE(has_origin_precondition(exchange.request().fields));
}

TEST_CASE("conditions do not apply to a stored answer that is no 200 (RFC 9110 §13.2.1)") {
  for (const int status : {301, 404, 410, 503}) {
    CHECK(ask({{"If-None-Match", "*"}}, "\"1\"", "GET", status).answer == Answer::whole);
    CHECK(ask({{"If-Modified-Since", date_text(0)}}, "\"1\"", "GET", status).answer == Answer::whole);
  }
}

TEST_CASE("a Range of a stored 200 is answered with its parts (RFC 9110 §14.2)") {
  const auto range_of = [](std::string value) {
    const auto parts = ask({{"Range", std::move(value)}});
    REQUIRE(parts.answer == Answer::parts);
    REQUIRE(parts.ranges.count == 1);
    return parts.ranges.ranges[0];
  };
  CHECK(range_of("bytes=0-9") == http::ByteRange{0, 9});
  CHECK(range_of("bytes=990-") == http::ByteRange{990, 999});
  CHECK(range_of("bytes=-10") == http::ByteRange{990, 999});
  CHECK(range_of("bytes=5-99999") == http::ByteRange{5, 999});
  const auto two = ask({{"Range", "bytes=0-9,-10"}});
  CHECK(two.answer == Answer::parts);
  CHECK(two.ranges.count == 2);
}

TEST_CASE("a Range with nothing behind it is not satisfiable (RFC 9110 §15.5.17)") {
  CHECK(ask({{"Range", "bytes=1000-"}}).answer == Answer::not_satisfiable);
  CHECK(ask({{"Range", "bytes=-0"}}).answer == Answer::not_satisfiable);
}

TEST_CASE("a malformed Range, another unit, HEAD, or no 200: the whole (RFC 9110 §14.2)") {
  for (const char* value : {"bytes=x", "bytes=9-5", "bytes", "items=0-9", "0-9"}) {
    CAPTURE(value);
    CHECK(ask({{"Range", value}}).answer == Answer::whole);
  }
  CHECK(ask({{"Range", "bytes=0-9"}}, "\"1\"", "HEAD").answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}}, "\"1\"", "GET", 404).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"Range", "bytes=0-5"}}).answer == Answer::whole);
}

TEST_CASE("If-None-Match and If-Modified-Since come before Range (RFC 9110 §13.2.2)") {
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-None-Match", "\"1\""}}).answer == Answer::not_modified);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Modified-Since", date_text(0)}}).answer == Answer::not_modified);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-None-Match", "\"2\""}}).answer == Answer::parts);
}

TEST_CASE("If-Range needs a strong match, or the exact Last-Modified; else the whole (RFC 9110 §13.1.5)") {
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"1\""}}).answer == Answer::parts);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"2\""}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "W/\"1\""}}, "W/\"1\"").answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "W/\"1\""}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"1\""}}, "W/\"1\"").answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", date_text(-3600)}}).answer == Answer::parts);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", date_text(0)}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", date_text(-7200)}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "yesterday"}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=0-9"}, {"If-Range", "\"1\""}, {"If-Range", "\"1\""}}).answer == Answer::whole);
  CHECK(ask({{"Range", "bytes=2000-"}, {"If-Range", "\"2\""}}).answer == Answer::whole);
  CHECK(ask({{"If-Range", "\"2\""}}).answer == Answer::whole);
}

TEST_CASE("a Last-Modified of the second of Date is too young for If-Range (RFC 9110 §8.8.2.2)") {
  const auto policy = *Exchange::with({{"Last-Modified", date_text(0)}, {"Date", date_text(0)}}).decide();
  Exchange exchange;
  exchange.request_fields = {{"Range", "bytes=0-9"}, {"If-Range", date_text(0)}};
  CHECK(evaluate(exchange.request(), {200, "", date_text(0), &policy, 1000}).answer == Answer::whole);
}
