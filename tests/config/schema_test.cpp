#include "config/schema.h"

#include <doctest/doctest.h>

#include <set>

using namespace reef::config;

TEST_CASE("keys, flags and variables are all different") {
  std::set<std::string> keys, flags, variables;
  for (const Setting& setting : schema()) {
    CAPTURE(setting.key);
    CHECK(keys.insert(setting.key).second);
    CHECK(variables.insert(setting.environment()).second);
    if (!setting.flag.empty()) CHECK(flags.insert(setting.flag).second);
    CHECK(setting.flag.empty() == setting.metavar.empty());
    CHECK(find_key(setting.key) == &setting);
    CHECK_FALSE(setting.doc.empty());
    CHECK(setting.doc.find('\n') == std::string::npos);
    CHECK_FALSE(setting.allowed.empty());
  }
}

TEST_CASE("settings of one section stand together, because the example file opens each section once") {
  std::set<std::string> seen;
  std::string section = "none yet";
  for (const Setting& setting : schema()) {
    if (setting.section() == section) continue;
    section = setting.section();
    CAPTURE(setting.key);
    CHECK(seen.insert(section).second);
  }
}

TEST_CASE("every default is a value that its own setting allows, and reads back to itself") {
  for (const Setting& setting : schema()) {
    CAPTURE(setting.key);
    Settings settings;
    const auto texts = setting.texts(settings);
    CHECK(setting.assign(settings, texts) == std::nullopt);
    CHECK(setting.texts(settings) == texts);
  }
}

TEST_CASE("a text that is not allowed leaves the settings as they were, and its index is told") {
  Settings settings;
  const Setting& listen = *find_key("proxy.listen");
  const std::vector<std::string> texts = {"127.0.0.1:1", "nowhere"};
  CHECK(listen.assign(settings, texts) == 1);
  CHECK(settings.proxy.listen == Settings{}.proxy.listen);
  const std::vector<std::string> two = {"1", "2"};
  CHECK(find_key("node.workers")->assign(settings, two) == 0);
}

TEST_CASE("names follow from the key") {
  const Setting& setting = *find_key("proxy.cache.ram_bytes");
  CHECK(setting.section() == "proxy.cache");
  CHECK(setting.name() == "ram_bytes");
  CHECK(setting.environment() == "REEF_PROXY_CACHE_RAM_BYTES");
  CHECK(find_key("site")->section() == "");
  CHECK(find_key("site")->name() == "site");
  CHECK(find_flag("--listen") == find_key("proxy.listen"));
  CHECK(find_flag("") == nullptr);
  CHECK(find_key("proxy") == nullptr);
}

TEST_CASE("a slip of the hand finds the word that was meant; another word finds nothing") {
  const std::vector<std::string> words = {"listen", "cooperate", "ram_bytes"};
  CHECK(nearest("lisen", words) == "listen");
  CHECK(nearest("coopreate", words) == "cooperate");
  CHECK(nearest("elephant", words) == "");
  CHECK(nearest("", words) == "");
}
