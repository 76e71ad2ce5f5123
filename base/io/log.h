// The log: one line for what an operator can act on, `key=value`, with ids that other lines share. Any
// thread. Shells log; cores return. Never per packet, never a secret.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "base/result.h"

namespace reef::log {

enum class Level { trace, debug, info, warn, error, off };

// "trace", "debug", "info", "warn", "error" or "off".
[[nodiscard]] Result<Level> parse_level(std::string_view text);

void set_level(Level level);
[[nodiscard]] bool is_on(Level level);

// `part` is the folder that speaks: "proxy", "dsht", "dnsd", "probe", "node".
void write(Level level, std::string_view part, std::string_view text);

template <class... Args>
void at(Level level, std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (is_on(level)) write(level, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::debug, part, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::info, part, format, std::forward<Args>(args)...);
}
template <class... Args>
void warn(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::warn, part, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  at(Level::error, part, format, std::forward<Args>(args)...);
}

}  // namespace reef::log
