#include "message.h"

#include <algorithm>
#include <ctime>

namespace reef::proxy::model {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string trimmed(const std::string& text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == std::string::npos) return "";
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

bool has(const Fields& fields, const std::string& name) {
  return std::any_of(fields.begin(), fields.end(),
                     [&](const auto& field) { return lower(field.first) == lower(name); });
}

std::string first(const Fields& fields, const std::string& name) {
  for (const auto& [key, value] : fields) {
    if (lower(key) == lower(name)) return value;
  }
  return "";
}

std::string joined(const Fields& fields, const std::string& name) {
  std::string out;
  for (const auto& [key, value] : fields) {
    if (lower(key) == lower(name)) out += (out.empty() ? "" : ", ") + value;
  }
  return out;
}

std::vector<std::string> members(const std::string& list) {
  std::vector<std::string> out;
  std::string member;
  bool quoted = false;
  const auto finish = [&] {
    if (const std::string text = trimmed(member); !text.empty()) out.push_back(text);
    member.clear();
  };
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '"') quoted = !quoted;
    if (quoted && list[i] == '\\' && i + 1 < list.size()) member += list[i++];
    if (list[i] == ',' && !quoted) {
      finish();
    } else {
      member += list[i];
    }
  }
  finish();
  return out;
}

std::string date_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

std::optional<std::int64_t> date_seconds(const std::string& text) {
  std::tm parts{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return std::nullopt;
  const std::int64_t seconds = timegm(&parts);
  if (date_text(seconds) != text) return std::nullopt;
  return seconds;
}

}  // namespace reef::proxy::model
