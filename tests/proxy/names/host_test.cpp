#include "proxy/names/host.h"

#include <doctest/doctest.h>

#include <string>

#include "base/random.h"

using namespace reef::proxy::names;

namespace {

constexpr std::uint64_t kSeed = 20041;

Names local_names() {
  Options options;
  options.suffix = "reef.example";
  options.allow_localhost = options.allow_ipv4 = true;
  options.ports = {{1, 65535}};
  return Names(options);
}

std::string random_label(reef::Random& random, std::size_t size_max) {
  static constexpr std::string_view kEdge = "abcdefghijklmnopqrstuvwxyz0123456789_";
  const std::size_t size = 1 + random.below(size_max);
  std::string label;
  for (std::size_t i = 0; i < size; ++i) {
    const bool hyphen = i > 0 && i + 1 < size && random.below(4) == 0;
    label += hyphen ? '-' : kEdge[random.below(kEdge.size())];
  }
  return label;
}

// A valid origin; some of its labels look like ports, schemes and numbers.
Origin random_origin(reef::Random& random) {
  static constexpr std::string_view kTricky[] = {"https",     "http",  "8080", "80",
                                                 "localhost", "xn--a", "0x1f", "1"};
  std::string host;
  const std::size_t labels = 2 + random.below(3);
  for (std::size_t i = 0; i < labels; ++i) {
    if (i > 0) host += '.';
    host += random.below(4) == 0 ? std::string(kTricky[random.below(std::size(kTricky))])
                                 : random_label(random, 12);
  }
  switch (random.below(12)) {
    case 0:
      host = "localhost";
      break;
    case 1:
      host = "10.1.2." + std::to_string(random.below(256));
      break;
    default:
      break;
  }
  Origin origin;
  origin.scheme = random.below(2) == 0 ? Scheme::http : Scheme::https;
  origin.port = random.below(2) == 0 ? default_port(origin.scheme)
                                     : static_cast<std::uint16_t>(1 + random.below(65535));
  origin.host = HostName(host);
  return origin;
}

}  // namespace

TEST_CASE("whatever origin can be Coralized comes back from its name, in both forms") {
  reef::Random random(kSeed);
  for (const Scheme default_scheme : {Scheme::http, Scheme::https}) {
    Options options = local_names().options();
    options.default_scheme = default_scheme;
    const Names names(options);
    int coralized = 0;
    for (int i = 0; i < 20000; ++i) {
      const Origin origin = random_origin(random);
      for (const Form form : {Form::dotted, Form::one_label}) {
        const auto name = names.coralize(origin, form);
        if (!name) continue;
        ++coralized;
        CAPTURE(*name);
        const auto back = names.parse(*name);
        REQUIRE(back.has_value());
        REQUIRE(back->origin == origin);
        const bool localhost_alone = *name == "localhost.reef.example";
        REQUIRE((back->form == form || localhost_alone));
      }
    }
    CHECK(coralized > 25000);
  }
}

TEST_CASE("whatever name is understood means the same after a round trip") {
  reef::Random random(kSeed + 1);
  const Names names = local_names();
  static constexpr std::string_view kAlphabet = "ab1.-x0h.";
  int understood = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    const std::size_t size = 1 + random.below(12);
    for (std::size_t n = 0; n < size; ++n) text += kAlphabet[random.below(kAlphabet.size())];
    const auto name = names.parse(text + ".reef.example");
    if (!name) continue;
    ++understood;
    CAPTURE(text);
    const auto back = names.coralize(name->origin, name->form);
    REQUIRE(back.has_value());
    const auto again = names.parse(*back);
    REQUIRE(again.has_value());
    REQUIRE(again->origin == name->origin);
  }
  CHECK(understood > 1000);
}

TEST_CASE("no name of random bytes is understood as an origin that the rules forbid") {
  reef::Random random(kSeed + 2);
  Options options;
  options.suffix = "reef.example";
  const Names names(options);
  static constexpr std::string_view kAlphabet = "0123456789.xX-.l";
  for (int i = 0; i < 100000; ++i) {
    std::string text;
    const std::size_t size = 1 + random.below(20);
    for (std::size_t n = 0; n < size; ++n) text += kAlphabet[random.below(kAlphabet.size())];
    const auto name = names.parse(text + ".reef.example");
    if (!name) continue;
    const std::string host(name->origin.host.view());
    CAPTURE(host);
    const std::string last = host.substr(host.rfind('.') + 1);
    REQUIRE(host.find('.') != std::string::npos);
    REQUIRE(last.find_first_not_of("0123456789") != std::string::npos);
    REQUIRE_FALSE((last.starts_with("0x") && last.find_first_not_of("0123456789", 2) == std::string::npos));
  }
}

TEST_CASE("a name whose one-label form exceeds 63 bytes has none") {
  const Names names = local_names();
  Origin origin;
  origin.host = HostName(std::string(30, 'a') + "." + std::string(32, 'b'));  // 63 bytes with its dot
  CHECK(names.coralize(origin, Form::one_label).has_value());
  origin.host = HostName(std::string(31, 'a') + "." + std::string(32, 'b'));
  const auto name = names.coralize(origin, Form::one_label);
  REQUIRE_FALSE(name.has_value());
  CHECK(name.error() == NameError::too_long);
  CHECK(names.coralize(origin, Form::dotted).has_value());
}

TEST_CASE("a name that is too long with the suffix is refused") {
  const Names names = local_names();
  Origin origin;
  std::string host;
  for (int i = 0; i < 4; ++i) host += std::string(60, 'a') + ".";
  origin.host = HostName(host + "com");  // 247 bytes
  REQUIRE_FALSE(names.coralize(origin, Form::dotted).has_value());
  CHECK_FALSE(names.parse(host + "com.reef.example").has_value());
}

TEST_CASE("the port of the Host field is handed on but is no part of the origin") {
  const auto name = local_names().parse("www.x.com.reef.example:8090");
  REQUIRE(name.has_value());
  CHECK(name->host_port == 8090);
  CHECK(name->origin.port == 80);
  CHECK(local_names().parse("www.x.com.reef.example:")->host_port == 0);
  CHECK_FALSE(local_names().parse("www.x.com.reef.example:0").has_value());
  CHECK_FALSE(local_names().parse("www.x.com.reef.example:65536").has_value());
  CHECK_FALSE(local_names().parse("www.x.com.reef.example:80:80").has_value());
}

TEST_CASE("a default scheme of https needs no label for https and one for http") {
  Options options = local_names().options();
  options.default_scheme = Scheme::https;
  const Names names(options);
  const auto name = names.parse("www.x.com.reef.example");
  REQUIRE(name.has_value());
  CHECK(name->origin.scheme == Scheme::https);
  CHECK(name->origin.port == 443);
  CHECK_FALSE(name->scheme_given);
  CHECK(names.coralize({Scheme::http, 80, HostName("www.x.com")}, Form::dotted) ==
        "www.x.com.http.reef.example");
}
