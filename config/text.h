// The schema as text for people: --help, the commented example, and a node's settings as a file. Pure.
#pragma once

#include <string>

#include "config/settings.h"

namespace reef::config {

// Ends with a newline, lines at most 110 bytes.
[[nodiscard]] std::string help();

// Every setting with its meaning, what is allowed, its other names and its default, commented out: a file
// that changes nothing until a line is uncommented. Ends with a newline.
[[nodiscard]] std::string example();

// The same file with the values of `settings` and without comments; load() reads it back to the same
// settings.
[[nodiscard]] std::string to_toml(const Settings& settings);

}  // namespace reef::config
