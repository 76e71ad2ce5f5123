// The one table of all settings. File, flags, environment, --help, the commented example and reloading are
// all made from it: a setting exists when it has its line in schema.cpp.
//
// Pure and immutable; any thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace reef::config {

struct Setting {
  std::string key;      // "proxy.cache.ram_bytes": the sections and the name in the file
  std::string flag;     // "--listen"; empty: only in the file, the environment and by --set
  std::string metavar;  // of the flag: "HOST:PORT"
  std::string doc;      // one paragraph, without newlines; the caller wraps it
  std::string allowed;  // what a value may be, for people
  bool is_list = false;
  bool is_quoted = true;    // its TOML value is a string (or strings), not a number or boolean
  bool reloadable = false;  // SIGHUP applies a change; otherwise the change waits for a restart

  // Puts the value or values into `to`. Returns the index of the first text that is not allowed (then `to` is
  // unchanged), nullopt when all are. A setting that is not a list takes exactly one text.
  std::function<std::optional<std::size_t>(Settings& to, std::span<const std::string> texts)> assign;
  // The present value as texts that assign() takes back; one text where it is not a list.
  std::function<std::vector<std::string>(const Settings& from)> texts;

  [[nodiscard]] std::string section() const;      // "proxy.cache"
  [[nodiscard]] std::string name() const;         // "ram_bytes"
  [[nodiscard]] std::string environment() const;  // "REEF_PROXY_CACHE_RAM_BYTES"
};

// In the order of the example file: settings of one section stand together.
[[nodiscard]] const std::vector<Setting>& schema();

// nullptr when there is no such key (or flag, with its dashes).
[[nodiscard]] const Setting* find_key(std::string_view key);
[[nodiscard]] const Setting* find_flag(std::string_view flag);

// The value as TOML text: a string, a number, or an array of strings on one line.
[[nodiscard]] std::string toml_value(const Setting& setting, const Settings& from);

// The candidate with the smallest edit distance, when it is near enough to be a slip of the hand; else empty.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace reef::config
