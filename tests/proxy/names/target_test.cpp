#include "proxy/names/target.h"

#include <doctest/doctest.h>

using namespace reef::proxy::names;
using reef::proxy::http::Field;

namespace {

auto target_of(std::string_view method, std::string_view target, std::string_view host = "h.example") {
  static Field fields[1];
  fields[0] = {"host", host};
  return parse_target({.method = method, .target = target, .minor_version = 1, .fields = fields});
}

}  // namespace

TEST_CASE("origin-form: the authority is the Host field (RFC 9112 §3.2.1)") {
  const auto target = target_of("GET", "/a?b=//c");
  REQUIRE(target.has_value());
  CHECK(target->authority == "h.example");
  CHECK(target->path_query == "/a?b=//c");
  CHECK(target_of("GET", "//x//y")->path_query == "//x//y");
}

TEST_CASE("absolute-form: its authority wins over the Host field (RFC 9112 §3.2.2)") {
  const auto target = target_of("GET", "http://other.example:8090/a?b");
  REQUIRE(target.has_value());
  CHECK(target->form == TargetForm::absolute);
  CHECK(target->authority == "other.example:8090");
  CHECK(target->path_query == "/a?b");
  CHECK(target_of("GET", "HTTPS://o.example")->https);
  CHECK(target_of("GET", "http://o.example?q")->path_query == "?q");
  CHECK(target_of("GET", "http://o.example")->path_query.empty());
}

TEST_CASE("asterisk-form is for OPTIONS only, authority-form for nobody (RFC 9112 §3.2.3, §3.2.4)") {
  CHECK(target_of("OPTIONS", "*")->form == TargetForm::asterisk);
  CHECK(target_of("GET", "*").error() == TargetError::bad_form);
  CHECK(target_of("CONNECT", "x.example:443").error() == TargetError::authority_form);
}

TEST_CASE("a target with controls, blanks, raw UTF-8 or a fragment is refused") {
  CHECK(target_of("GET", "/a b").error() == TargetError::bad_character);
  CHECK(target_of("GET", "/a\x01").error() == TargetError::bad_character);
  CHECK(target_of("GET", "/\xc3\xbc").error() == TargetError::bad_character);
  CHECK(target_of("GET", "/a#b").error() == TargetError::bad_character);
  CHECK(target_of("GET", "ftp://x/").error() == TargetError::scheme);
  CHECK(target_of("GET", "a/b").error() == TargetError::bad_form);
  CHECK(target_of("GET", "").error() == TargetError::bad_form);
  CHECK(target_of("GET", "http://u:p@x.example/").error() == TargetError::user_information);
  CHECK(target_of("GET", "http:///a").error() == TargetError::no_host);
  CHECK(target_of("GET", "/", "").error() == TargetError::no_host);
}
