// The settings of a site of its own, beside its host and origin: the keys of a [[site]] table. Each is a
// Setting like any other, but reads and writes the first element of Settings::sites. Pure and immutable; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"

namespace reef::config {

// Their keys begin with "site.".
[[nodiscard]] const std::vector<Setting>& site_schema();
[[nodiscard]] const Setting* find_site_key(std::string_view key);

// Those settings of `site` that are not the default, as lines "name = value" of TOML.
[[nodiscard]] std::string site_lines(const Site& site);

// The setting "site" itself: sites as HOST=ORIGIN_URL[;NAME=VALUE]..., elements of a list with ":" between
// them.
[[nodiscard]] Setting site_setting();

}  // namespace reef::config
