#include "proxy/http/parser.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <new>
#include <string>

#include "base/random.h"

using namespace reef::proxy::http;

namespace {

std::size_t allocations = 0;

Parsed<RequestHead> parse(std::string_view bytes, HeadLimits limits = {}) {
  static RequestHeadParser parser{HeadLimits{}};
  parser = RequestHeadParser(limits);
  HeadProgress progress;
  return parser.feed(bytes, progress);
}

Parsed<ResponseHead> parse_response(std::string_view bytes, std::string_view method = "GET") {
  static ResponseHeadParser parser{HeadLimits{}};
  HeadProgress progress;
  return parser.feed(bytes, progress, method);
}

BadMessage bad(std::string_view bytes, HeadLimits limits = {}) {
  const auto parsed = parse(bytes, limits);
  REQUIRE(parsed.state == ParseState::bad);
  return parsed.bad;
}

BadMessage bad_response(std::string_view bytes) {
  const auto parsed = parse_response(bytes);
  REQUIRE(parsed.state == ParseState::bad);
  return parsed.bad;
}

constexpr std::string_view kBrowser =
    "GET /articles/2024/11/index.html?page=2&sort=asc HTTP/1.1\r\n"
    "Host: www.example.com.reef.example:8090\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Referer: http://www.example.com.reef.example:8090/\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "If-None-Match: \"5f3e-61a9c\"\r\n"
    "\r\n";

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("a request head comes out as views, with its framing and the bytes it took") {
  const std::string bytes = std::string(kBrowser) + "GET /next HTTP/1.1\r\n";
  const auto parsed = parse(bytes);
  REQUIRE(parsed.state == ParseState::complete);
  CHECK(parsed.consumed == kBrowser.size());
  CHECK(parsed.head.method == "GET");
  CHECK(parsed.head.target == "/articles/2024/11/index.html?page=2&sort=asc");
  CHECK(parsed.head.minor_version == 1);
  REQUIRE(parsed.head.fields.size() == 9);
  CHECK(parsed.head.fields[0].name == "Host");
  CHECK(find(parsed.head.fields, "if-none-match") == "\"5f3e-61a9c\"");
  CHECK(parsed.framing.keep_alive);
  CHECK(parsed.framing.body == BodyKind::none);
}

TEST_CASE("a head that arrives byte by byte is the same head, and costs no allocation") {
  RequestHeadParser parser;
  HeadProgress progress;
  const std::size_t before = allocations;
  for (std::size_t size = 0; size < kBrowser.size(); ++size) {
    REQUIRE(parser.feed(kBrowser.substr(0, size), progress).state == ParseState::need_more);
  }
  const auto parsed = parser.feed(kBrowser, progress);
  const std::size_t after = allocations;
  REQUIRE(parsed.state == ParseState::complete);
  CHECK(parsed.consumed == kBrowser.size());
  CHECK(parsed.head.fields.size() == 9);
  CHECK(after == before);
}

TEST_CASE("pipelined requests are taken one by one (RFC 9112 §9.3.2)") {
  const std::string one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  std::string bytes = one + "\r\n" + "HEAD /2 HTTP/1.0\r\n\r\n" + "GET /3";
  auto first = parse(bytes);
  REQUIRE(first.state == ParseState::complete);
  bytes.erase(0, first.consumed);
  const auto second = parse(bytes);
  REQUIRE(second.state == ParseState::complete);
  CHECK(second.head.target == "/2");
  CHECK(second.head.minor_version == 0);
  CHECK_FALSE(second.framing.keep_alive);
  bytes.erase(0, second.consumed);
  CHECK(parse(bytes).state == ParseState::need_more);
}

TEST_CASE("any method that is a token passes, also unknown ones (RFC 9110 §16.1)") {
  for (const char* method :
       {"GET", "HEAD", "POST", "PATCH", "FOO", "get", "M-SEARCH", "PRI", "X!#$%&'*+.^_`|~9"}) {
    CAPTURE(method);
    const std::string text = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    const auto parsed = parse(text);
    REQUIRE(parsed.state == ParseState::complete);
    CHECK(parsed.head.method == method);
  }
  CHECK(parse("CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n").head.method == "CONNECT");
  CHECK(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head.target == "*");
  CHECK(parse("GET http://a.example/x HTTP/1.1\r\nHost: a\r\n\r\n").head.target == "http://a.example/x");
}

TEST_CASE("a request line is method, one blank, target, one blank, version (RFC 9112 §3)") {
  for (const char* line :
       {"GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", "GET /", "GET", " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1", "GET / a HTTP/1.1", "GET / http/1.1", "GET / HTTP/1.1x", "GET / HTTQ/1.1",
        "GET / HTTP/1", "/ HTTP/1.1", "G\x01T / HTTP/1.1", "GET /\x01 HTTP/1.1"}) {
    CAPTURE(line);
    CHECK(status_of(bad(std::string(line) + "\r\nHost: a\r\n\r\n")) == 400);
  }
}

TEST_CASE("another version of HTTP is answered with 505 (RFC 9110 §15.6.6)") {
  for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0"}) {
    CHECK(bad("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n") == BadMessage::version);
  }
}

TEST_CASE("what does not begin like a request is refused at its first byte") {
  CHECK(bad("\x16\x03\x01") == BadMessage::method);
  CHECK(bad(" ") == BadMessage::method);
  CHECK(bad("\r\n\r\n") == BadMessage::request_line);
}

TEST_CASE("lines end in CRLF: bare LF, bare CR and NUL are refused (RFC 9112 §2.2)") {
  CHECK(bad("GET / HTTP/1.1\nHost: a\r\n\r\n") == BadMessage::bare_lf);
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\n\r\n") == BadMessage::bare_lf);
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\r\n\n") == BadMessage::bare_lf);
  CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n")) == 400);
  CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n")) == 400);
  CHECK(status_of(bad(std::string_view("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 30))) == 400);
  CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n")) == 400);
  CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n")) == 400);
}

TEST_CASE("folded lines are refused (RFC 9112 §5.2)") {
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n") == BadMessage::obs_fold);
  CHECK(bad("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == BadMessage::obs_fold);
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n") == BadMessage::obs_fold);
}

TEST_CASE("a field name is a token directly before its colon (RFC 9112 §5.1)") {
  for (const char* line :
       {"X : b", "X Y: b", ": b", "X", "X\t: b", "X(: b", "\xc3\xbc: b", "X\"Y: b", "Content-Length : 5"}) {
    CAPTURE(line);
    CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(line) + "\r\n\r\n")) == 400);
  }
}

TEST_CASE("blanks around a value are dropped, an empty value and obs-text stay (RFC 9110 §5.5)") {
  const auto parsed = parse(
      "GET / HTTP/1.1\r\nHost:a\r\nA: \t b c\t \r\nB:\r\nC:   \r\nD: \xc3\xbc\r\nConnection: close \r\n\r\n");
  REQUIRE(parsed.state == ParseState::complete);
  CHECK(find(parsed.head.fields, "Host") == "a");
  CHECK(find(parsed.head.fields, "A") == "b c");
  CHECK(find(parsed.head.fields, "B") == "");
  CHECK(find(parsed.head.fields, "C") == "");
  CHECK(find(parsed.head.fields, "D") == "\xc3\xbc");
  CHECK_FALSE(parsed.framing.keep_alive);
}

TEST_CASE("exactly one Host in HTTP/1.1 (RFC 9112 §3.2)") {
  CHECK(bad("GET / HTTP/1.1\r\n\r\n") == BadMessage::host_missing);
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n") == BadMessage::host_repeated);
  CHECK(bad("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == BadMessage::host_repeated);
  CHECK(parse("GET / HTTP/1.0\r\n\r\n").state == ParseState::complete);
}

TEST_CASE("a message with two ways to find its end is refused (RFC 9112 §6.1, §6.3)") {
  const std::string start = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (const char* lines : {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                            "Content-Length: 5\r\nContent-Length: 5\r\n",
                            "Content-Length: 5, 5\r\n",
                            "Content-Length: +5\r\n",
                            "Content-Length: -5\r\n",
                            "Content-Length: 0x5\r\n",
                            "Content-Length: 5 5\r\n",
                            "Content-Length:\r\n",
                            "Content-Length: 99999999999999999999\r\n",
                            "Content-Length: 5;\r\n",
                            "Transfer-Encoding: gzip\r\n",
                            "Transfer-Encoding: gzip, chunked\r\n",
                            "Transfer-Encoding: chunked, chunked\r\n",
                            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                            "Transfer-Encoding: identity\r\n",
                            "Transfer-Encoding: xchunked\r\n",
                            "Transfer-Encoding: chunked;q=1\r\n",
                            "Transfer-Encoding:\r\n",
                            "Transfer-Encoding: \x0b"
                            "chunked\r\n"}) {
    CAPTURE(lines);
    CHECK(status_of(bad(start + lines + "\r\n")) == 400);
  }
  CHECK(status_of(bad("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")) == 400);
  CHECK(parse(start + "Content-Length: 5\r\n\r\n").framing.content_length == 5);
  CHECK(parse(start + "Transfer-Encoding: Chunked\r\n\r\n").framing.body == BodyKind::chunked);
}

TEST_CASE("an expectation other than 100-continue is answered with 417 (RFC 9110 §10.1.1)") {
  CHECK(status_of(bad("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n")) == 417);
  CHECK(parse("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
            .framing.expect_continue);
  CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").framing.expect_continue);
}

TEST_CASE("limits: 414 for the start line, 431 for the head and its fields, also before the end is there") {
  const HeadLimits limits{.head_bytes_max = 300, .start_line_bytes_max = 100, .fields_max = 4};
  CHECK(bad("GET /" + std::string(200, 'a'), limits) == BadMessage::target_too_long);
  CHECK(bad("GET / HTTP/1.1\r\nHost: " + std::string(400, 'a'), limits) == BadMessage::head_too_large);
  CHECK(bad("GET / HTTP/1.1\r\nHost: " + std::string(290, 'a') + "\r\n\r\n", limits) ==
        BadMessage::head_too_large);
  CHECK(bad("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", limits) ==
        BadMessage::too_many_fields);
  CHECK(status_of(BadMessage::target_too_long) == 414);
  CHECK(status_of(BadMessage::too_many_fields) == 431);
}

TEST_CASE("a response head: any three-digit status, any phrase (RFC 9112 §4)") {
  const auto parsed =
      parse_response("HTTP/1.1 299 Quite \xc3\xbc strange\r\nContent-Length: 3\r\nX:y\r\n\r\nabc");
  REQUIRE(parsed.state == ParseState::complete);
  CHECK(parsed.head.status == 299);
  CHECK(parsed.head.reason == "Quite \xc3\xbc strange");
  CHECK(parsed.framing.body == BodyKind::length);
  CHECK(parsed.framing.content_length == 3);
  CHECK(parse_response("HTTP/1.0 200\r\n\r\n").framing.body == BodyKind::until_close);
  CHECK(parse_response("HTTP/1.1 999 \r\n\r\n").head.status == 999);
  CHECK(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").framing.body ==
        BodyKind::none);
  CHECK(parse_response("HTTP/1.1 304 OK\r\nContent-Length: 9\r\n\r\n").framing.body == BodyKind::none);
  CHECK(parse_response("HTTP/1.1 204 OK\r\n\r\n").framing.keep_alive);
  CHECK(parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n").framing.body ==
        BodyKind::until_close);
}

TEST_CASE("a response in a coding other than chunked runs until the connection closes (RFC 9112 §6.3)") {
  for (const char* coding : {"gzip", "identity", "x-unknown", "gzip, deflate", "gzip;q=1"}) {
    CAPTURE(coding);
    const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + std::string(coding) + "\r\n\r\n";
    const auto parsed = parse_response(text);
    REQUIRE(parsed.state == ParseState::complete);
    CHECK(parsed.framing.body == BodyKind::until_close);
    CHECK_FALSE(parsed.framing.keep_alive);
  }
  const auto chunked = parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n");
  CHECK(chunked.framing.body == BodyKind::chunked);
  CHECK(chunked.framing.keep_alive);
}

TEST_CASE("an origin's ambiguous or malformed head is refused (RFC 9112 §6.3)") {
  for (const char* text : {"HTTP/1.1 20 OK\r\n\r\n",
                           "HTTP/1.1 2000 OK\r\n\r\n",
                           "HTTP/1.1  200 OK\r\n\r\n",
                           "HTTP/1.1 099 X\r\n\r\n",
                           "HTTP/2.0 200 OK\r\n\r\n",
                           "HTPP/1.1 200 OK\r\n\r\n",
                           "ICY 200 OK\r\n\r\n",
                           "HTTP/1.1 200 OK\nX: y\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: xChunked\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\n",
                           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n",
                           "HTTP/1.1 200 O\rK\r\n\r\n",
                           "\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
    CAPTURE(text);
    bad_response(text);
  }
}

TEST_CASE("mutated heads are refused or read, and what is read could be written again") {
  reef::Random random(9112);
  RequestHeadParser parser;
  int complete = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string bytes(kBrowser);
    const std::uint64_t changes = 1 + random.below(3);
    for (std::uint64_t n = 0; n < changes; ++n)
      bytes[random.below(bytes.size())] = static_cast<char>(random());
    HeadProgress progress;
    const auto parsed = parser.feed(bytes, progress);
    if (parsed.state != ParseState::complete) continue;
    ++complete;
    REQUIRE(parsed.consumed <= bytes.size());
    for (const Field& field : parsed.head.fields) {
      REQUIRE(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
      REQUIRE(field.name.find_first_of(" \t\r\n:") == std::string_view::npos);
    }
  }
  CHECK(complete > 10000);
}

TEST_CASE("the cost of a browser's head is printed") {
  RequestHeadParser parser;
  constexpr int kRounds = 20000;
  std::size_t fields = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    HeadProgress progress;
    fields += parser.feed(kBrowser, progress).head.fields.size();
  }
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  CHECK(fields == std::size_t{9} * kRounds);
  MESSAGE("request head of " << kBrowser.size() << " bytes: " << spent.count() / kRounds << " ns");
}
