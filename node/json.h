// JSON as the admin listener writes it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/time.h"

namespace reef::node {

// Keys keep the order in which they are written: people read this.
using Json = nlohmann::ordered_json;

// What strangers put into a request may come back in a message: bytes that are not UTF-8 are replaced, never
// thrown at.
[[nodiscard]] inline std::string text_of(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

[[nodiscard]] inline Json ms_or_null(const std::optional<Duration>& duration) {
  return duration ? Json(to_ms(*duration)) : Json(nullptr);
}

}  // namespace reef::node
