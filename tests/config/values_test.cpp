#include "config/values.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::config;
using namespace std::chrono_literals;

TEST_CASE("sizes are whole numbers with binary or decimal units") {
  const BytesType any{0, 1ull << 62};
  CHECK(any.parse("0") == 0);
  CHECK(any.parse("512") == 512);
  CHECK(any.parse("512B") == 512);
  CHECK(any.parse("1KiB") == 1024);
  CHECK(any.parse("3 GiB") == 3ull << 30);
  CHECK(any.parse("2kB") == 2000);
  CHECK(any.parse("1TB") == 1'000'000'000'000);
  for (const char* wrong : {"", " 1", "1 ", "-1", "+1", "1.5MiB", "KiB", "1K", "1kib", "1  MiB",
                            "99999999999999999999", "17000000TiB"}) {
    CAPTURE(wrong);
    CHECK_FALSE(any.parse(wrong));
  }
  const BytesType small{10, 20};
  CHECK_FALSE(small.parse("9"));
  CHECK(small.parse("10") == 10);
  CHECK(small.parse("20") == 20);
  CHECK_FALSE(small.parse("21"));
  CHECK(small.allowed() == "a size from 10B to 20B (units: B, KiB, MiB, GiB, TiB)");
  for (const std::uint64_t value : {0ull, 1ull, 1000ull, 1024ull, 1500ull, 50ull << 20, (1ull << 40) + 1}) {
    CHECK(any.parse(any.format(value)) == value);
  }
  CHECK(any.format(50ull << 20) == "50MiB");
}

TEST_CASE("durations are whole numbers that need a unit") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("10s") == 10s);
  CHECK(parse_duration("5min") == 5min);
  CHECK(parse_duration("12h") == 12h);
  CHECK(parse_duration("7d") == 24h * 7);
  CHECK(parse_duration("0s") == 0s);
  for (const char* wrong :
       {"", "10", "s", "1.5s", "-1s", "1m", "1 s ", "99999999999999999999s", "999999999d"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong));
  }
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2min");
  CHECK(format_duration(24h) == "1d");
  CHECK(format_duration(1500ms) == "1500ms");
  const SecondsType seconds_only{1s, 60s};
  CHECK_FALSE(seconds_only.parse("1500ms"));
  CHECK(seconds_only.parse("2000ms") == 2s);
  CHECK_FALSE(seconds_only.parse("61s"));
}

TEST_CASE("host names are normalized to lower case without a final dot, and checked label by label") {
  CHECK(normal_host_name("WWW.Example.COM.") == "www.example.com");
  CHECK(normal_host_name("xn--bcher-kva.example") == "xn--bcher-kva.example");
  CHECK(normal_host_name("localhost") == "localhost");
  CHECK(normal_host_name(std::string(63, 'a') + ".example"));
  for (const std::string& wrong :
       {std::string(), std::string("."), std::string("a..b"), std::string(".a"), std::string("-a.b"),
        std::string("a-.b"), std::string("a_b.c"), std::string("a b"), std::string("1.2.3.4"),
        std::string("host.7"), std::string("b\xc3\xbc.example"), std::string(64, 'a') + ".example",
        std::string(254, 'a'), std::string("a\0b", 3)}) {
    CAPTURE(wrong);
    CHECK_FALSE(normal_host_name(wrong));
  }
}

TEST_CASE("HOST:PORT takes names and addresses, and needs a port that can be dialled") {
  const HostPortType type;
  CHECK(type.parse("Seed.Example:8091") == HostPort{"seed.example", 8091});
  CHECK(type.parse("192.0.2.1:1") == HostPort{"192.0.2.1", 1});
  CHECK(type.parse("[2001:DB8::1]:65535") == HostPort{"2001:db8::1", 65535});
  CHECK(type.format({"2001:db8::1", 1}) == "[2001:db8::1]:1");
  for (const char* wrong : {"", "a", "a:", "a:0", "a:65536", "a:1x", ":1", "2001:db8::1:1", "[2001:db8::1]",
                            "[a]:1", "[192.0.2.1]:1", "[2001:db8::1]1", "http://a:1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(type.parse(wrong));
  }
}

TEST_CASE("endpoints are addresses, never names; port 0 only where the kernel may choose") {
  const EndpointType listener{"127.0.0.1:80", true}, target{"192.0.2.1:53", false};
  CHECK(listener.parse("0.0.0.0:0"));
  CHECK_FALSE(target.parse("192.0.2.1:0"));
  CHECK(target.parse("[::1]:53") == *Endpoint::parse("[::1]:53"));
  CHECK_FALSE(listener.parse("localhost:80"));
}

TEST_CASE("a site is its host and an origin of scheme, host and port, nothing more") {
  const SiteType type;
  CHECK(type.parse("WWW.a.org=https://b.org") == Site{"www.a.org", "https", "b.org", 443});
  CHECK(type.parse("a.org=http://b.org:8080/") == Site{"a.org", "http", "b.org", 8080});
  CHECK(type.parse("a.org=http://[2001:db8::1]") == Site{"a.org", "http", "2001:db8::1", 80});
  for (const char* wrong :
       {"", "a.org", "a.org=", "a.org=b.org", "a.org=ftp://b.org", "=http://b.org", "a.org=http://",
        "a.org=http://b.org/path", "a.org=http://b.org?q", "a.org=http://u@b.org", "a.org=http://b.org:0",
        "a.org=http://b.org:", "a:1=http://b.org", "192.0.2.1=http://b.org"}) {
    CAPTURE(wrong);
    CHECK_FALSE(type.parse(wrong));
  }
  CHECK(type.format({"a.org", "https", "b.org", 443}) == "a.org=https://b.org");
  CHECK(type.format({"a.org", "http", "2001:db8::1", 81}) == "a.org=http://[2001:db8::1]:81");
}

TEST_CASE("ports are one port or a rising range") {
  const PortRangeType type;
  CHECK(type.parse("80") == PortRange{80, 80});
  CHECK(type.parse("8000-8100") == PortRange{8000, 8100});
  CHECK(type.format({8000, 8100}) == "8000-8100");
  for (const char* wrong : {"", "0", "0-1", "2-1", "1-", "-1", "65536", "1-65536", "1-2-3", "http"}) {
    CAPTURE(wrong);
    CHECK_FALSE(type.parse(wrong));
  }
}

TEST_CASE("booleans are true and false; addresses may be left out; texts have no control characters") {
  CHECK(BooleanType{}.parse("true") == true);
  CHECK(BooleanType{}.parse("false") == false);
  CHECK_FALSE(BooleanType{}.parse("yes"));
  const auto none = AddressType{}.parse("");
  REQUIRE(none);
  CHECK_FALSE(none->has_value());
  CHECK(AddressType{}.parse("192.0.2.1").value() == *IpAddress::parse("192.0.2.1"));
  CHECK_FALSE(AddressType{}.parse("0.0.0.0"));
  CHECK_FALSE(AddressType{}.parse("::"));
  CHECK_FALSE(AddressType{}.parse("name"));
  const TextType text{1, 3, "a text"};
  CHECK(text.parse("abc") == "abc");
  CHECK_FALSE(text.parse(""));
  CHECK_FALSE(text.parse("abcd"));
  CHECK_FALSE(text.parse("a\n"));
}
