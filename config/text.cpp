#include "config/text.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "config/schema.h"
#include "config/site_schema.h"
#include "config/values.h"

namespace reef::config {
namespace {

constexpr std::size_t kLineMax = 110;
constexpr std::string_view kSites = "site";  // [[site]] tables in the file, not one array

// `text` as one paragraph; every line begins with `prefix` and has at most kLineMax bytes, unless a word is
// longer.
void append_wrapped(std::string& out, const std::string& prefix, std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!line.empty() && prefix.size() + line.size() + 1 + word.size() > kLineMax) {
      out.append(prefix).append(line).append("\n");
      line.clear();
    }
    line.append(line.empty() ? "" : " ").append(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out.append(prefix).append(line).append("\n");
}

// Also of a setting of a site.
std::string default_of(const Setting& setting) {
  Settings plain;
  if (find_site_key(setting.key) != nullptr) plain.sites = {Site{}};
  return toml_value(setting, plain);
}

void append_flag(std::string& out, const std::string& flag, const std::string& doc) {
  constexpr std::size_t kColumn = 30;
  std::string head = "  " + flag, lines;
  head.resize(kColumn, ' ');  // every flag with its value is shorter
  append_wrapped(lines, std::string(kColumn, ' '), doc);
  out += head + lines.substr(kColumn);
}

void append_setting_flags(std::string& out) {
  for (const Setting& setting : schema()) {
    if (setting.flag.empty()) continue;
    const std::string value = default_of(setting);
    const bool has_default = value != "\"\"" && value != "[]";
    append_flag(out, setting.flag + " " + setting.metavar,
                (setting.is_list ? "+ " : "") + setting.doc + (has_default ? " Default: " + value : ""));
  }
}

// As the file has it.
std::string site_table(const Site& site) {
  const std::string text = SiteType{}.format(site);
  const auto equals = text.find('=');
  return "[[site]]\nhost = \"" + text.substr(0, equals) + "\"\norigin = \"" + text.substr(equals + 1) +
         "\"\n" + site_lines(site);
}

std::string other_names(const Setting& setting) {
  const std::string flag = setting.flag.empty() ? "" : "Flag: " + setting.flag + " " + setting.metavar + ". ";
  return flag + "Environment: " + setting.environment() + "." +
         (setting.reloadable ? " Applies on reload." : "");
}

}  // namespace

std::string help() {
  std::string out =
      "Usage: reefd [FLAG]...\n"
      "\n"
      "Runs a node of Reef: a Coralizing HTTP proxy, its index, and a name server that leads browsers to "
      "near\n"
      "nodes. Without flags it serves this machine only: http://www.example.com.reef.localhost:8090/ is\n"
      "http://www.example.com/ through this node. A volunteer's node listens on a public address:\n"
      "\n"
      "  reefd --suffix reef.example --listen 0.0.0.0:8090 --dns-listen 0.0.0.0:53 --rpc-listen 0.0.0.0:8091 "
      "\\\n"
      "        --advertise 192.0.2.7 --seed seed.reef.example:8091\n"
      "\n"
      "Flags (--flag VALUE or --flag=VALUE; those marked + may be given several times):\n";
  append_flag(out, "--config FILE",
              "A TOML file with settings. Flags override the environment, which overrides the file.");
  append_setting_flags(out);
  append_flag(out, "--set KEY=VALUE",
              "+ Any setting of the list below; for a list, its elements with commas between.");
  append_flag(out, "--check-config",
              "Checks file, environment and flags, then exits: 0 when they are right, 2 when not.");
  append_flag(out, "--print-config", "Prints the settings that file, environment and flags add up to.");
  append_flag(out, "--print-example-config",
              "Prints a file with every setting, its meaning and its default.");
  append_flag(out, "--version", "Prints the version.");
  append_flag(out, "--help, -h", "Prints this.");
  out +=
      "\n"
      "Signals: SIGTERM and SIGINT drain, then exit; SIGHUP re-reads the file (settings marked * apply at "
      "once).\n"
      "Exit: 0 ended as told, 1 could not run, 2 wrong settings.\n"
      "\n"
      "Every setting with its default. In the file: [proxy.cache], and under it ram_bytes = \"512MiB\". By "
      "flag:\n"
      "--set proxy.cache.ram_bytes=512MiB. In the environment: REEF_PROXY_CACHE_RAM_BYTES=512MiB. The file "
      "itself\n"
      "may be named by REEF_CONFIG.\n";
  std::string section = "none yet";
  for (const Setting& setting : schema()) {
    if (setting.section() != section) out += "\n";
    section = setting.section();
    out += "  " + setting.key + (setting.reloadable ? " *" : "") + " = " + default_of(setting) + "\n";
    append_wrapped(out, "      ", setting.doc);
  }
  out +=
      "\nA [[site]] table may have settings of its own beside host and origin. By flag, behind the site:\n"
      "--site 'HOST=ORIGIN_URL;set_cookie=strip;targeted_fields=My-Cache-Control:CDN-Cache-Control'.\n";
  for (const Setting& setting : site_schema()) {
    out += "  " + setting.name() + " = " + default_of(setting) + "\n";
    append_wrapped(out, "      ", setting.doc);
  }
  return out;
}

std::string example() {
  std::string out =
      "# Settings of a Reef node. Every line that is commented out shows the default. Flags override the\n"
      "# environment, which overrides this file. Check it with: reefd --config FILE --check-config\n"
      "# \"Applies on reload\": SIGHUP is enough; all else takes a restart.\n";
  std::string section;
  for (const Setting& setting : schema()) {
    if (setting.key == kSites) {
      out += "\n";
      append_wrapped(out, "# ", setting.doc + " One table for each.");
      append_wrapped(out, "# ", other_names(setting));
      out += "# [[site]]\n# host = \"www.small.org\"\n# origin = \"https://origin.small.org\"\n";
      for (const Setting& rule : site_schema()) {
        out += "\n";
        append_wrapped(out, "# ", rule.doc);
        append_wrapped(out, "# ",
                       "Allowed: " + (rule.is_list ? "a list, each " : std::string()) + rule.allowed + ".");
        out += "# " + rule.name() + " = " + default_of(rule) + "\n";
      }
      continue;
    }
    if (setting.section() != section) {
      section = setting.section();
      out += "\n[" + section + "]\n";
    }
    out += "\n";
    append_wrapped(out, "# ", setting.doc);
    append_wrapped(out, "# ",
                   "Allowed: " + (setting.is_list ? "a list, each " : std::string()) + setting.allowed + ".");
    append_wrapped(out, "# ", other_names(setting));
    out += "# " + setting.name() + " = " + default_of(setting) + "\n";
  }
  return out;
}

std::string to_toml(const Settings& settings) {
  std::string out, section;
  for (const Setting& setting : schema()) {
    if (setting.key == kSites) {
      for (const Site& site : settings.sites) out += "\n" + site_table(site);
      continue;
    }
    if (setting.section() != section) {
      out += (section.empty() ? "[" : "\n[") + setting.section() + "]\n";
      section = setting.section();
    }
    out += setting.name() + " = " + toml_value(setting, settings) + "\n";
  }
  return out;
}

}  // namespace reef::config
