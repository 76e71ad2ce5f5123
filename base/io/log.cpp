#include "base/io/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace reef::log {
namespace {

constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "off"};

std::atomic<Level> g_level{Level::info};  // the one process-wide setting: read before a line is formatted

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("reef");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spd(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

Result<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (text == kNames[i]) return static_cast<Level>(i);
  }
  return fail(
      invalid("log level '" + std::string(text) + "' is not one of trace, debug, info, warn, error, off"));
}

void set_level(Level level) { g_level.store(level, std::memory_order_relaxed); }

bool is_on(Level level) { return level >= g_level.load(std::memory_order_relaxed) && level != Level::off; }

void write(Level level, std::string_view part, std::string_view text) {
  logger().log(spd(level), "{}: {}", part, text);
}

}  // namespace reef::log
