// What a node is told, put together by a test.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/load.h"

namespace reef::config {

// A file named reef.toml with that content is all that can be read.
inline Sources sources(std::vector<std::string> arguments, std::string file = {},
                       std::map<std::string, std::string> environment = {}) {
  Sources out;
  out.arguments = std::move(arguments);
  out.environment = std::move(environment);
  out.environment.emplace("HOME", "/home/somebody");
  out.read_file = [text = std::move(file)](const std::string& path) -> Result<std::string> {
    if (path == "reef.toml") return text;
    return fail(Error{std::make_error_code(std::errc::no_such_file_or_directory), ""});
  };
  return out;
}

inline Sources sources_of_file(std::string file) {
  return sources({"--config", "reef.toml"}, std::move(file));
}

// The error line, or "" where there is none.
inline std::string error_of(const Sources& from) {
  const auto loaded = load(from);
  return loaded ? "" : loaded.error().message();
}

}  // namespace reef::config
