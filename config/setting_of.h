// Makes the lines of a schema: a Setting from a key, a type of values.h, the field that it sets and what it
// means.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "config/values.h"

namespace reef::config {

template <class Type>
inline constexpr bool kIsQuoted = !std::is_same_v<Type, BooleanType> && !std::is_same_v<Type, IntegerType>;

inline Setting named(std::string key, std::string doc, std::string allowed) {
  Setting out;
  out.key = std::move(key);
  out.doc = std::move(doc);
  out.allowed = std::move(allowed);
  return out;
}

// Where a setting lives: a function from Settings& to its field. One generic lambda serves reading and
// writing.
template <class Type, class Field>
Setting scalar(std::string key, Type type, Field field, std::string doc) {
  Setting out = named(std::move(key), std::move(doc), type.allowed());
  out.is_quoted = kIsQuoted<Type>;
  out.assign = [type, field](Settings& to, std::span<const std::string> texts) -> std::optional<std::size_t> {
    if (texts.size() != 1) return 0;
    auto value = type.parse(texts[0]);
    if (!value) return 0;
    field(to) = std::move(*value);
    return std::nullopt;
  };
  out.texts = [type, field](const Settings& from) {
    return std::vector<std::string>{type.format(field(from))};
  };
  return out;
}

template <class Type, class Field>
Setting list(std::string key, Type type, Field field, std::string doc) {
  Setting out = named(std::move(key), std::move(doc), type.allowed());
  out.is_list = true;
  out.assign = [type, field](Settings& to, std::span<const std::string> texts) -> std::optional<std::size_t> {
    std::vector<typename Type::Value> values;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto value = type.parse(texts[i]);
      if (!value) return i;
      values.push_back(std::move(*value));
    }
    field(to) = std::move(values);
    return std::nullopt;
  };
  out.texts = [type, field](const Settings& from) {
    std::vector<std::string> texts;
    for (const auto& value : field(from)) texts.push_back(type.format(value));
    return texts;
  };
  return out;
}

inline Setting with_flag(std::string flag, std::string metavar, Setting setting) {
  setting.flag = std::move(flag);
  setting.metavar = std::move(metavar);
  return setting;
}

inline Setting reloadable(Setting setting) {
  setting.reloadable = true;
  return setting;
}

#define REEF_FIELD(path) \
  [](auto& s) -> auto& { return s.path; }

}  // namespace reef::config
