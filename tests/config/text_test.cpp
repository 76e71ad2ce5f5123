#include "config/text.h"

#include <doctest/doctest.h>

#include "config/schema.h"
#include "tests/config/sources.h"

using namespace reef::config;

namespace {

// The example with every commented-out setting made real, as somebody would who wants them all in sight.
std::string uncommented(const std::string& example) {
  std::string out;
  std::size_t at = 0;
  while (at < example.size()) {
    const auto end = example.find('\n', at);
    std::string line = example.substr(at, end - at);
    const auto equals = line.find(" = ");
    const bool is_setting =
        line.starts_with("# ") && equals != std::string::npos && line.find(' ', 2) == equals;
    if (is_setting || line == "# [[site]]") line.erase(0, 2);
    out += line + "\n";
    at = end + 1;
  }
  return out;
}

}  // namespace

TEST_CASE("the example as it stands changes nothing") {
  const auto loaded = load(sources_of_file(example()));
  REQUIRE(loaded);
  CHECK(to_toml(loaded->settings) == to_toml(load(sources({}))->settings));
}

TEST_CASE("the example with every line uncommented parses to the defaults, and holds every setting") {
  const std::string all = uncommented(example());
  const auto loaded = load(sources_of_file(all));
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message()));
  CHECK(loaded->settings.sites == std::vector<Site>{{"www.small.org", "https", "origin.small.org", 443}});
  Settings settings = loaded->settings;
  settings.sites.clear();
  CHECK(to_toml(settings) == to_toml(load(sources({}))->settings));
  for (const Setting& setting : schema()) {
    if (setting.key == "site") continue;
    CAPTURE(setting.key);
    CHECK(all.find("\n" + setting.name() + " = ") != std::string::npos);
    CHECK(all.find(setting.environment() + ".") != std::string::npos);
  }
}

TEST_CASE("help mentions every setting with its default, and every flag") {
  const std::string text = help();
  for (const Setting& setting : schema()) {
    CAPTURE(setting.key);
    const std::string line = "\n  " + setting.key + (setting.reloadable ? " *" : "") + " = ";
    CHECK(text.find(line + toml_value(setting, Settings{}) + "\n") != std::string::npos);
    if (!setting.flag.empty())
      CHECK(text.find("\n  " + setting.flag + " " + setting.metavar) != std::string::npos);
  }
  for (const char* flag :
       {"--config FILE", "--set KEY=VALUE", "--help", "--version", "--check-config", "--print-config"}) {
    CHECK(text.find(flag) != std::string::npos);
  }
}

TEST_CASE("help and example keep their lines within 110 bytes") {
  for (const std::string& text : {help(), example()}) {
    std::size_t at = 0;
    while (at < text.size()) {
      const auto end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      CAPTURE(text.substr(at, end - at));
      CHECK(end - at <= 110);
      at = end + 1;
    }
  }
}

TEST_CASE("settings written as TOML read back the same") {
  const auto loaded =
      load(sources({"--seed", "[2001:db8::1]:1", "--seed", "a.example:2", "--site", "a.org=https://b.org:444",
                    "--set", "network.key=a \"quoted\" \\ key", "--set", "node.drain_time=90s", "--advertise",
                    "192.0.2.1", "--allow-origin", "10.0.0.0/8"}));
  REQUIRE(loaded);
  CHECK(loaded->settings.network.key == "a \"quoted\" \\ key");
  const std::string text = to_toml(loaded->settings);
  const auto again = load(sources_of_file(text));
  REQUIRE_MESSAGE(again, (again ? "" : again.error().message()));
  CHECK(to_toml(again->settings) == text);
  CHECK(again->settings.network.key == loaded->settings.network.key);
  CHECK(again->settings.sites == loaded->settings.sites);
}
