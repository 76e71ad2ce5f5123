// The small parts by themselves.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/io/address_rule.h"
#include "proxy/io/body_framing.h"
#include "proxy/io/messages.h"
#include "proxy/io/pointer.h"
#include "proxy/io/timer_wheel.h"

using namespace reef;         // NOLINT
using namespace reef::proxy;  // NOLINT

TEST_CASE("a pointer decodes to the endpoint it was made of, and nothing else is a pointer") {
  for (const char* text : {"192.0.2.7:8090", "[2001:db8::1]:443"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    const Bytes bytes = encode_pointer(endpoint);
    CHECK(decode_pointer(bytes) == endpoint);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
      CHECK_FALSE(decode_pointer(ByteView(bytes).first(cut)));
    Bytes longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(decode_pointer(longer));
    Bytes other_version = bytes;
    other_version[0] = std::byte{2};
    CHECK_FALSE(decode_pointer(other_version));
  }
  CHECK_FALSE(decode_pointer(encode_pointer(*Endpoint::parse("192.0.2.7:0"))));
  CHECK_FALSE(decode_pointer(encode_pointer(*Endpoint::parse("0.0.0.0:80"))));
}

TEST_CASE("a deadline fires in its tick, moves away for free, and may come sooner") {
  struct Item : TimerWheel::Entry {
    int fired = 0;
  };
  TimerWheel wheel;
  Item early, moved, sooner, far, cancelled;
  wheel.set(early, 2);
  wheel.set(moved, 2);
  wheel.set(sooner, 50);
  wheel.set(far, 200);
  wheel.set(cancelled, 1);
  wheel.cancel(cancelled);
  wheel.set(moved, 5);
  wheel.set(sooner, 1);
  const auto tick = [&] {
    wheel.advance([](TimerWheel::Entry& entry) { ++static_cast<Item&>(entry).fired; });
  };
  tick();
  CHECK(sooner.fired == 1);
  CHECK(early.fired == 0);
  tick();
  CHECK(early.fired == 1);
  CHECK(moved.fired == 0);
  for (int i = 0; i < 3; ++i) tick();
  CHECK(moved.fired == 1);
  for (int i = 0; i < 194; ++i) tick();
  CHECK(far.fired == 0);
  tick();
  CHECK(far.fired == 1);
  CHECK(cancelled.fired == 0);
  CHECK(early.fired + moved.fired + sooner.fired + far.fired == 4);
}

TEST_CASE("an expired entry may destroy others of the same tick") {
  TimerWheel wheel;
  auto first = std::make_unique<TimerWheel::Entry>();
  auto second = std::make_unique<TimerWheel::Entry>();
  wheel.set(*first, 1);
  wheel.set(*second, 1);
  int fired = 0;
  wheel.advance([&](TimerWheel::Entry&) {
    ++fired;
    first.reset();
    second.reset();
  });
  CHECK(fired == 1);
}

TEST_CASE("only public addresses are permitted, what is allowed by prefix, and never the node itself") {
  AddressRule rule;
  rule.own_endpoints = {*Endpoint::parse("198.51.100.1:80"), *Endpoint::parse("127.0.0.1:8090")};
  rule.own_addresses = {*IpAddress::parse("8.8.4.4")};
  const auto permits = [&](const char* text) { return rule.permits(*Endpoint::parse(text)); };
  CHECK(permits("8.8.8.8:80"));
  CHECK_FALSE(permits("8.8.4.4:80"));
  CHECK_FALSE(permits("8.8.8.8:0"));
  for (const char* text :
       {"127.0.0.1:80", "10.1.2.3:80", "192.168.1.1:80", "169.254.169.254:80", "0.0.0.0:80", "[::1]:80",
        "[fe80::1]:80", "[::ffff:10.0.0.1]:80", "224.0.0.1:80", "100.64.0.1:80"}) {
    CAPTURE(text);
    CHECK_FALSE(permits(text));
  }
  rule.allowed = {*IpPrefix::parse("127.0.0.0/8")};
  CHECK(permits("127.0.0.1:80"));
  CHECK_FALSE(permits("127.0.0.1:8090"));
  rule.own_endpoints = {*Endpoint::parse("0.0.0.0:8090")};
  CHECK_FALSE(permits("127.0.0.1:8090"));
}

TEST_CASE("a request body is taken out of its framing whatever the size of the pieces") {
  const std::string framed = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: a\r\n\r\nGET /next";
  for (std::size_t piece = 1; piece < 12; ++piece) {
    for (std::size_t room = 1; room < 9; ++room) {
      BodyFraming framing = BodyFraming::chunked();
      std::string body, pending;
      std::size_t at = 0;
      while (framing.state() == BodyFraming::State::reading) {
        std::vector<std::byte> out(room);
        const auto step = framing.read(pending, out);
        body.append(reinterpret_cast<const char*>(out.data()), step.produced);
        pending.erase(0, step.consumed);
        if (step.consumed == 0) {
          REQUIRE(at < framed.size());
          const std::string more = framed.substr(at, piece);
          at += more.size();
          pending += more;
        }
      }
      CHECK(framing.state() == BodyFraming::State::complete);
      CHECK(body == "hello world");
      CHECK(pending + framed.substr(at) == "GET /next");
    }
  }
  BodyFraming bad = BodyFraming::chunked();
  std::vector<std::byte> out(64);
  bad.read("5\nhello", out);
  CHECK(bad.state() == BodyFraming::State::malformed);
}

TEST_CASE("a promised digest is 64 hex digits, and nothing else is one") {
  const std::string digits = to_hex(sha256(as_bytes("hello")));
  const auto of = [](const std::string& value) {
    const std::vector<http::Field> fields{{kDigestField, value}};
    return promised_digest({.status = 200, .reason = {}, .minor_version = 1, .fields = fields});
  };
  CHECK(of("sha-256=" + digits) == sha256(as_bytes("hello")));
  for (const std::string& bad : {digits, "sha-512=" + digits, "sha-256=" + digits.substr(1),
                                 "sha-256=" + digits + "0", "sha-256=+" + digits.substr(1),
                                 "sha-256=g" + digits.substr(1), std::string("sha-256="), std::string()}) {
    CAPTURE(bad);
    CHECK_FALSE(of(bad));
  }
  CHECK_FALSE(promised_digest({.status = 200, .reason = {}, .minor_version = 1, .fields = {}}));
}

TEST_CASE("a part is a single range with both ends") {
  const auto of = [](std::string_view value) {
    const std::vector<http::Field> fields{{"Range", value}};
    return part_end(fields);
  };
  CHECK(of("bytes=0-99") == 100);
  CHECK(of("bytes=1000000-1999999") == 2'000'000);
  for (const std::string_view other :
       {"bytes=100-", "bytes=-100", "bytes=0-9,20-29", "lines=0-9", "bytes=9-0", ""})
    CHECK(of(other) == 0);
  CHECK(part_end({}) == 0);
}

TEST_CASE("an answer brings a part only of the same length, under the same strong ETag") {
  ObjectHead begun;
  begun.status = 200;
  begun.etag = "\"v1\"";
  const auto of = [&begun](int status, std::string_view etag, std::string_view range, std::string_view length,
                           bool repeats = true) {
    std::vector<http::Field> fields;
    if (!etag.empty()) fields.push_back({"ETag", etag});
    if (!range.empty()) fields.push_back({"Content-Range", range});
    if (!length.empty()) fields.push_back({"Content-Length", length});
    return part_answer(begun, 1000, {.status = status, .reason = {}, .minor_version = 1, .fields = fields},
                       repeats);
  };
  CHECK(of(206, "\"v1\"", "bytes 100-199/1000", "100").range == http::ByteRange{100, 199});
  CHECK_FALSE(of(200, "\"v1\"", "bytes 100-199/1000", "100").range);
  CHECK_FALSE(of(206, "\"v2\"", "bytes 100-199/1000", "100").range);
  CHECK_FALSE(of(206, "W/\"v1\"", "bytes 100-199/1000", "100").range);
  CHECK_FALSE(of(206, "\"v1\"", "", "100").range);
  CHECK_FALSE(of(206, "\"v1\"", "bytes 199-100/1000", "100").range);
  CHECK_FALSE(of(206, "\"v1\"", "bytes 100-199/*", "100").range);
  CHECK_FALSE(of(206, "\"v1\"", "bytes 100-199/*", "100").lies);
  CHECK(of(206, "\"v1\"", "bytes 100-199/1001", "100").lies);
  CHECK(of(206, "\"v1\"", "bytes 100-199/1000", "99").lies);
  CHECK_FALSE(of(206, "\"v2\"", "bytes 100-199/1001", "100").lies);
  // An origin has honoured If-Range where it answers 206 (RFC 9110 §15.3.7).
  CHECK_FALSE(of(206, "", "bytes 100-199/1000", "100").range);
  CHECK(of(206, "", "bytes 100-199/1000", "100", false).range == http::ByteRange{100, 199});
  CHECK_FALSE(of(206, "\"v2\"", "bytes 100-199/1000", "100", false).range);
}
