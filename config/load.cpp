#include "config/load.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>

#include "config/schema.h"
#include "config/site_schema.h"
#include "config/toml_file.h"

extern char** environ;

namespace reef::config {
namespace {

// Flags that are not settings.
const std::vector<std::pair<std::string, Action>> kActions = {
    {"--help", Action::help},
    {"-h", Action::help},
    {"--version", Action::version},
    {"--print-example-config", Action::print_example},
    {"--print-config", Action::print_config},
    {"--check-config", Action::check}};

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string or_question(const std::string& suggestion, const std::string& otherwise) {
  return suggestion.empty() ? otherwise : "; did you mean '" + suggestion + "'?";
}

// Elements of a list in one text: "a, b" or "a b". None of the list types has a comma or a blank in its
// values.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  std::string element;
  for (const char c : text + ",") {
    if (c != ',' && c != ' ') {
      element += c;
    } else if (!element.empty()) {
      out.push_back(std::exchange(element, {}));
    }
  }
  return out;
}

std::string unknown_key(const std::string& where, const std::string& key) {
  std::vector<std::string> keys, in_section;
  const std::string section = key.substr(0, key.rfind('.') == std::string::npos ? 0 : key.rfind('.'));
  std::string names;
  const auto add = [&](const Setting& setting) {
    keys.push_back(setting.key);
    if (!section.empty() && setting.section() == section)
      names += (names.empty() ? "" : ", ") + setting.name();
  };
  for (const Setting& setting : schema()) add(setting);
  const bool of_site = section == "site";
  if (of_site) names = "host, origin";
  for (const Setting& setting : site_schema()) add(setting);
  const std::string table = of_site ? "[[site]]" : "[" + section + "]";
  const std::string otherwise =
      names.empty() ? "; --help lists all settings" : "; allowed in " + table + ": " + names;
  return where + ": unknown setting '" + key + "'" + or_question(nearest(key, keys), otherwise);
}

// Applies values in order of precedence and remembers where each came from.
class Loader {
 public:
  explicit Loader(const Sources& sources) : sources_(sources) {}

  Result<Loaded> load() {
    if (auto read = flags(); !read) return fail(read.error());
    // Help must work however broken the rest is.
    if (loaded_.action == Action::help || loaded_.action == Action::version ||
        loaded_.action == Action::print_example) {
      return loaded_;
    }
    if (auto read = file(); !read) return fail(read.error());
    if (auto read = environment(); !read) return fail(read.error());
    for (const Given& given : from_flags_) {
      if (auto applied = apply(given); !applied) return fail(applied.error());
    }
    if (auto fine = complete(); !fine) return fail(fine.error());
    return loaded_;
  }

 private:
  // --- reading the sources

  Result<> flags() {
    const std::vector<std::string>& words = sources_.arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto equals = words[i].starts_with("--") ? words[i].find('=') : std::string::npos;
      const std::string flag = words[i].substr(0, equals);
      const auto action =
          std::find_if(kActions.begin(), kActions.end(), [&](const auto& a) { return a.first == flag; });
      if (action != kActions.end()) {
        if (equals != std::string::npos) return fail(invalid(flag + ": takes no value"));
        if (loaded_.action == Action::run || action->second == Action::help) loaded_.action = action->second;
        continue;
      }
      const Setting* setting = find_flag(flag);
      if (setting == nullptr && flag != "--set" && flag != "--config")
        return fail(invalid(unknown_flag(words[i], flag)));
      if (equals == std::string::npos && i + 1 == words.size()) {
        return fail(invalid(
            flag + ": found no value; allowed: " + (setting != nullptr ? setting->allowed : needed(flag))));
      }
      const std::string value = equals == std::string::npos ? words[++i] : words[i].substr(equals + 1);
      if (flag == "--config") {
        loaded_.config_file = value;
      } else if (flag == "--set") {
        if (auto set = set_flag(value); !set) return set;
      } else {
        add_flag(*setting, value);
      }
    }
    return {};
  }

  static std::string needed(const std::string& flag) {
    return flag == "--set" ? "KEY=VALUE" : "the path of a TOML file";
  }

  static std::string unknown_flag(const std::string& word, const std::string& flag) {
    if (!word.starts_with('-')) return "unknown argument '" + word + "'; reefd takes flags only (try --help)";
    std::vector<std::string> known = {"--set", "--config"};
    for (const auto& [name, action] : kActions) known.push_back(name);
    for (const Setting& setting : schema()) {
      if (!setting.flag.empty()) known.push_back(setting.flag);
    }
    return "unknown flag '" + flag + "'" + or_question(nearest(flag, known), " (try --help)");
  }

  // The second --seed adds to the first; together they replace what file and environment say.
  void add_flag(const Setting& setting, const std::string& value) {
    const auto before = std::find_if(from_flags_.begin(), from_flags_.end(), [&](const Given& given) {
      return given.key == setting.key && given.where == setting.flag;
    });
    if (setting.is_list && before != from_flags_.end()) {
      before->texts.push_back(value);
      before->shown.push_back(quoted(value));
    } else {
      from_flags_.push_back({setting.key, setting.flag, {value}, {}, {quoted(value)}, setting.is_list});
    }
  }

  Result<> set_flag(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return fail(invalid("--set: found " + quoted(text) + "; allowed: KEY=VALUE"));
    const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
    const Setting* setting = find_key(key);
    if (setting == nullptr) return fail(invalid(unknown_key("--set", key)));
    from_flags_.push_back(one_text(*setting, "--set " + key, value));
    return {};
  }

  static Given one_text(const Setting& setting, std::string where, const std::string& value) {
    Given given{.key = setting.key,
                .where = std::move(where),
                .texts = {value},
                .wheres = {},
                .shown = {},
                .is_array = setting.is_list};
    if (setting.is_list) given.texts = split_list(value);
    for (const std::string& text : given.texts) given.shown.push_back(quoted(text));
    return given;
  }

  Result<> file() {
    std::string& path = loaded_.config_file;
    if (const auto named = sources_.environment.find("REEF_CONFIG");
        path.empty() && named != sources_.environment.end()) {
      path = named->second;
    }
    if (path.empty()) return {};
    const auto text = sources_.read_file(path);
    if (!text)
      return fail(invalid("cannot read the configuration file " + path + ": " + text.error().message()));
    const auto given = read_toml(*text, path);
    if (!given) return fail(given.error());
    for (const Given& one : *given) {
      const Setting* setting = setting_of(one.key);
      if (setting == nullptr) return fail(invalid(unknown_key(one.where, one.key)));
      if (one.is_array && !setting->is_list) {
        return fail(invalid(one.where + ": " + one.key + ": found an array; allowed: " + setting->allowed));
      }
      if (auto applied = apply(one); !applied) return applied;
    }
    return {};
  }

  // Variables of ours that name no setting are slips too; REEF_… of other programs (REEF_BUILD_DIR) are not
  // ours.
  Result<> environment() {
    std::vector<std::string> names, sections;
    for (const Setting& setting : schema()) {
      names.push_back(setting.environment());
      const std::string top = names.back().substr(0, names.back().find('_', 5) + 1);
      if (setting.key.find('.') != std::string::npos) sections.push_back(top);
    }
    for (const auto& [name, value] : sources_.environment) {
      const auto known = std::find(names.begin(), names.end(), name);
      if (known != names.end()) {
        const Setting& setting = schema()[static_cast<std::size_t>(known - names.begin())];
        if (auto applied = apply(one_text(setting, name, value)); !applied) return applied;
      } else if (std::any_of(sections.begin(), sections.end(),
                             [&](const auto& s) { return name.starts_with(s); })) {
        return fail(invalid(name + ": unknown variable" +
                            or_question(nearest(name, names), "; --help lists all settings")));
      }
    }
    return {};
  }

  // --- applying

  [[nodiscard]] static const Setting* setting_of(const std::string& key) {
    const Setting* setting = find_key(key);
    return setting != nullptr ? setting : find_site_key(key);
  }

  // One of a site goes through settings that have this site alone.
  std::optional<std::size_t> assign(const Setting& setting, const Given& given) {
    if (find_site_key(given.key) == nullptr) return setting.assign(loaded_.settings, given.texts);
    Settings one;
    one.sites = {loaded_.settings.sites[given.site]};
    const auto bad = setting.assign(one, given.texts);
    if (!bad) loaded_.settings.sites[given.site] = std::move(one.sites.front());
    return bad;
  }

  Result<> apply(const Given& given) {
    const Setting& setting = *setting_of(given.key);
    if (const auto bad = assign(setting, given)) {
      const bool has_own_place = *bad < given.wheres.size();
      const std::string& where = has_own_place ? given.wheres[*bad] : given.where;
      const std::string found = *bad < given.shown.size() ? given.shown[*bad] : "nothing";
      return fail(invalid(where + ": " + named(given.where, given.key) + "found " + found +
                          "; allowed: " + setting.allowed));
    }
    where_[given.key] = given.where;
    return {};
  }

  // The key, where the place does not already name the setting.
  static std::string named(const std::string& where, const std::string& key) {
    return where.starts_with("--") || where.starts_with("REEF_") ? "" : key + ": ";
  }

  // --- what settings demand of each other

  [[nodiscard]] bool is_given(const std::string& key) const { return where_.contains(key); }

  [[nodiscard]] Error conflict(const std::string& key, const std::string& allowed) const {
    const Setting& setting = *find_key(key);
    const auto place = where_.find(key);
    const std::string where = place == where_.end() ? "default" : place->second;
    return invalid(where + ": " + named(where, key) + "found " + toml_value(setting, loaded_.settings) +
                   "; allowed: " + allowed);
  }

  // The two bounds of a range: complains about the one that was given last, so that the line points at a
  // change.
  [[nodiscard]] Error crossed(const std::string& low, const std::string& high) const {
    if (is_given(low) || !is_given(high))
      return conflict(low, "at most " + high + ", which is " + value_of(high));
    return conflict(high, "at least " + low + ", which is " + value_of(low));
  }
  [[nodiscard]] std::string value_of(const std::string& key) const {
    return toml_value(*find_key(key), loaded_.settings);
  }

  Result<> complete() {
    Settings& s = loaded_.settings;
    if (is_given("network.suffix") && !is_given("network.zone")) s.network.zone = s.network.suffix;
    if (is_given("network.zone") && !is_given("network.suffix")) s.network.suffix = s.network.zone;
    if (s.network.suffix != s.network.zone && !s.network.suffix.ends_with("." + s.network.zone)) {
      return fail(conflict("network.suffix", "the zone " + s.network.zone + " or a name below it"));
    }
    const auto is_under = [](const std::string& name, const std::string& above) {
      return name == above || name.ends_with("." + above);
    };
    const std::string& nodes = s.network.nodes_zone;
    if (!nodes.empty() && (is_under(nodes, s.network.zone) || is_under(s.network.zone, nodes)))
      return fail(conflict("network.nodes_zone", "a zone neither above nor below " + s.network.zone));
    if (s.dns.ping_every >= s.dns.heard_within) return fail(crossed("dns.ping_every", "dns.heard_within"));
    for (const char* key : {"proxy.listen", "dns.listen", "admin.listen", "proxy.origin.ports"}) {
      if (find_key(key)->texts(s).empty()) return fail(conflict(key, "at least one"));
    }
    const CacheSettings& cache = s.proxy.cache;
    if (cache.lifetime_floor > cache.lifetime_ceiling) {
      return fail(crossed("proxy.cache.lifetime_floor", "proxy.cache.lifetime_ceiling"));
    }
    if (cache.ram_object_bytes_max > cache.ram_bytes) {
      return fail(crossed("proxy.cache.ram_object_bytes_max", "proxy.cache.ram_bytes"));
    }
    if (s.proxy.peer.hedge_delay_min > s.proxy.peer.hedge_delay_max) {
      return fail(crossed("proxy.peer.hedge_delay_min", "proxy.peer.hedge_delay_max"));
    }
    if (s.dsht.budget_min > s.dsht.budget_max) return fail(crossed("dsht.budget_min", "dsht.budget_max"));
    if (s.dsht.threshold_2 > s.dsht.threshold_1) return fail(crossed("dsht.threshold_2", "dsht.threshold_1"));
    if (s.dsht.keep_percent > s.dsht.accept_percent)
      return fail(crossed("dsht.keep_percent", "dsht.accept_percent"));
    if (s.dsht.accept_percent > s.dsht.prefer_percent)
      return fail(crossed("dsht.accept_percent", "dsht.prefer_percent"));
    if (s.dsht.first_decision > s.dsht.decision_period)
      return fail(crossed("dsht.first_decision", "dsht.decision_period"));
    if (s.dsht.announce_ttl > s.dsht.pointer_ttl)
      return fail(crossed("dsht.announce_ttl", "dsht.pointer_ttl"));
    for (std::size_t i = 0; i < s.sites.size(); ++i) {
      const std::string& host = s.sites[i].host;
      if (host == s.network.suffix || host.ends_with("." + s.network.suffix)) {
        return fail(conflict("site", "host names outside the suffix " + s.network.suffix));
      }
      for (std::size_t j = 0; j < i; ++j) {
        if (s.sites[j].host == host) return fail(conflict("site", "each host once, not " + host + " twice"));
      }
    }
    if (s.node.data_dir.empty()) return default_data_dir();
    return {};
  }

  Result<> default_data_dir() {
    const auto variable = [this](const char* name) {
      const auto found = sources_.environment.find(name);
      return found == sources_.environment.end() ? std::string() : found->second;
    };
    std::string& directory = loaded_.settings.node.data_dir;
    if (sources_.is_root) {
      directory = "/var/lib/reef";
    } else if (!variable("XDG_DATA_HOME").empty()) {
      directory = variable("XDG_DATA_HOME") + "/reef";
    } else if (!variable("HOME").empty()) {
      directory = variable("HOME") + "/.local/share/reef";
    } else {
      return fail(
          invalid("node.data_dir: found nothing, and HOME is not set; allowed: a path (--data-dir DIR)"));
    }
    return {};
  }

  const Sources& sources_;
  Loaded loaded_;
  std::vector<Given> from_flags_;
  std::map<std::string, std::string> where_;  // key -> the place of its value; absent: the default
};

Result<std::string> read_whole_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errno_error(""));
  std::ostringstream text;
  text << in.rdbuf();
  // A directory opens, but does not read.
  if (in.bad() || (text.str().empty() && in.peek() != std::ifstream::traits_type::eof()))
    return fail(errno_error(""));
  return text.str();
}

}  // namespace

Sources Sources::from_process(int argc, const char* const* argv) {
  Sources out;
  out.arguments.assign(argv + std::min(argc, 1), argv + argc);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) out.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  out.is_root = ::geteuid() == 0;
  out.read_file = read_whole_file;
  return out;
}

Result<Loaded> load(const Sources& sources) { return Loader(sources).load(); }

std::vector<Change> reload(Settings& running, const Settings& fresh) {
  std::vector<Change> changes;
  for (const Setting& setting : schema()) {
    const std::vector<std::string> to = setting.texts(fresh);
    if (setting.texts(running) == to) continue;
    Change change{setting.key, toml_value(setting, running), toml_value(setting, fresh), setting.reloadable};
    if (setting.reloadable) setting.assign(running, to);
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace reef::config
