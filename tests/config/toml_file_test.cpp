#include "config/toml_file.h"

#include <doctest/doctest.h>

using namespace reef::config;

TEST_CASE("a file becomes a list of dotted keys with their places, in the order of the file") {
  const auto given = read_toml("[z]\nb = 1\na = \"x\"\n[a.b]\nc = true\nd = [\"p\",\n \"q\"]\n", "f.toml");
  REQUIRE(given);
  REQUIRE(given->size() == 4);
  CHECK((*given)[0].key == "z.b");
  CHECK((*given)[0].where == "f.toml:2");
  CHECK((*given)[0].texts == std::vector<std::string>{"1"});
  CHECK((*given)[0].shown == std::vector<std::string>{"1"});
  CHECK((*given)[1].key == "z.a");
  CHECK((*given)[1].shown == std::vector<std::string>{"\"x\""});
  CHECK((*given)[2].key == "a.b.c");
  CHECK((*given)[2].texts == std::vector<std::string>{"true"});
  CHECK((*given)[3].is_array);
  CHECK((*given)[3].texts == std::vector<std::string>{"p", "q"});
  CHECK((*given)[3].wheres == std::vector<std::string>{"f.toml:6", "f.toml:7"});
}

TEST_CASE("an empty file sets nothing") {
  CHECK(read_toml("", "f.toml")->empty());
  CHECK(read_toml("# only words\n", "f.toml")->empty());
}

TEST_CASE("values that no setting takes are refused with their place") {
  CHECK(read_toml("a = 1979-05-27\n", "f.toml")
            .error()
            .message()
            .starts_with("f.toml:1: a: found 1979-05-27; allowed: "));
  CHECK(read_toml("a = [[1]]\n", "f.toml").error().message() ==
        "f.toml:1: a: found something else in the array; allowed: strings");
  CHECK(read_toml("site = [1]\n", "f.toml")
            .error()
            .message()
            .starts_with("f.toml:1: site: found 1; allowed: "));
}

TEST_CASE("bytes that are not TOML are an error, never an exception") {
  CHECK_FALSE(read_toml("\xff\xfe", "f.toml"));
  CHECK_FALSE(read_toml("a = \"", "f.toml"));
  CHECK_FALSE(read_toml(std::string(10'000, '['), "f.toml"));
}
