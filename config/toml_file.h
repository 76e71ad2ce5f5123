// A TOML configuration file as a list of what it sets, each with its place. Knows TOML, not what the settings
// mean.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace reef::config {

// One value as somebody gave it.
struct Given {
  std::string key;
  std::string where;                // "reef.toml:12", "--listen", "REEF_DNS_LISTEN"
  std::vector<std::string> texts;   // one for a scalar; the elements of an array
  std::vector<std::string> wheres;  // of each text, where they differ (arrays over several lines); else empty
  std::vector<std::string> shown;   // each text as its writer wrote it ("\"x\"" or 5), for messages
  bool is_array = false;
  std::size_t site = 0;  // of a key "site.NAME": which [[site]] it is of
};

// `file_name` is only for messages. Errors are one line with file and line. [[site]] tables become elements
// "HOST=ORIGIN" of one array under the key "site", and what else they hold "site.NAME" behind it; tables
// become prefixes of their keys. Empty for an empty file.
Result<std::vector<Given>> read_toml(std::string_view text, const std::string& file_name);

}  // namespace reef::config
