#include "proxy/rules/vary.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "proxy/http/fields.h"
#include "proxy/http/forward.h"

namespace reef::proxy::rules {
namespace {

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text) out += http::to_lower(c);
}

void append_joined(std::string& out, http::FieldsView fields, std::string_view name) {
  http::Members members = http::combined(fields, name);
  bool first = true;
  while (const auto member = members.next()) {
    if (!first) out += ',';
    first = false;
    out += *member;
  }
}

void append_sorted(std::string& out, std::vector<std::string>& members) {
  std::sort(members.begin(), members.end());
  for (const std::string& member : members) {
    out += member;
    out += ',';
  }
}

// Case, blanks and order do not matter.
void append_languages(std::string& out, http::FieldsView fields) {
  std::vector<std::string> languages;
  http::Members members = http::combined(fields, "Accept-Language");
  while (const auto member = members.next()) {
    std::string language;
    for (const char c : *member) {
      if (c != ' ' && c != '\t') language += http::to_lower(c);
    }
    languages.push_back(std::move(language));
  }
  append_sorted(out, languages);
}

// "gzip;q=0" and "gzip; q=0.000" refuse a coding.
bool is_refused(std::string_view parameters) noexcept {
  const std::size_t equals = parameters.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = http::trim(parameters.substr(0, equals));
  const std::string_view quality = http::trim(parameters.substr(equals + 1));
  return http::equal_ignoring_case(name, "q") && !quality.empty() &&
         quality.find_first_not_of("0.") == std::string_view::npos;
}

struct Coding {
  std::string_view name;
  bool refused = false;
};
Coding coding_of(std::string_view member) noexcept {
  const std::size_t semicolon = std::min(member.find(';'), member.size());
  const bool refused = semicolon < member.size() && is_refused(member.substr(semicolon + 1));
  std::string_view name = http::trim(member.substr(0, semicolon));
  if (http::equal_ignoring_case(name, "x-gzip")) name = "gzip";  // RFC 9110 §8.4.1.3
  return {name, refused};
}

// Which codings are acceptable, without regard to how much: any of the answers that an origin can choose for
// one such request is acceptable to all. identity is, unless it is refused by name or by "*".
void append_codings(std::string& out, http::FieldsView fields) {
  std::vector<std::string> codings;
  http::Members members = http::combined(fields, "Accept-Encoding");
  while (const auto member = members.next()) {
    const Coding coding = coding_of(*member);
    const bool identity = http::equal_ignoring_case(coding.name, "identity");
    if (coding.refused ? !identity && coding.name != "*" : identity) continue;
    std::string text(coding.refused ? "-" : "");
    append_lower(text, coding.name);
    codings.push_back(std::move(text));
  }
  append_sorted(out, codings);
}

}  // namespace

void append_vary_names(std::string& out, http::FieldsView response_fields) {
  std::vector<std::string> names;
  http::Members members = http::combined(response_fields, "Vary");
  while (const auto member = members.next()) {
    std::string name;
    append_lower(name, *member);
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += ", ";
    out += names[i];
  }
}

CachePolicy variant_index(WallTime now) {
  CachePolicy index;
  index.response_time = now;
  index.set(CachePolicy::kVariantIndex);
  index.set(CachePolicy::kVaries);
  return index;
}

std::int64_t generation_of(const CachePolicy& index) {
  return index.response_time.time_since_epoch().count();
}

void append_variant_key(std::string& out, std::string_view url, std::string_view vary_names,
                        std::int64_t generation, http::FieldsView request_fields, Mode mode) {
  out += url;
  out += '\n';
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, generation).ptr);
  http::Members names(vary_names);
  while (const auto name = names.next()) {
    out += '\n';
    append_lower(out, *name);
    const bool reaches_origin = mode == Mode::site || http::is_coralized_request_field(*name);
    if (mode == Mode::coralized && http::equal_ignoring_case(*name, "Accept-Encoding")) {
      out += '=';
      out += normalized_accept_encoding(request_fields);
    } else if (reaches_origin && http::find(request_fields, *name)) {
      out += '=';
      if (http::equal_ignoring_case(*name, "Accept-Language")) {
        append_languages(out, request_fields);
      } else if (http::equal_ignoring_case(*name, "Accept-Encoding")) {
        append_codings(out, request_fields);
      } else {
        append_joined(out, request_fields, *name);
      }
    }
  }
}

std::string_view normalized_accept_encoding(http::FieldsView request_fields) noexcept {
  static constexpr std::string_view kCombinations[] = {"",     "br",       "gzip",       "br, gzip",
                                                       "zstd", "br, zstd", "gzip, zstd", "br, gzip, zstd"};
  unsigned accepted = 0;
  http::Members members = http::combined(request_fields, "Accept-Encoding");
  while (const auto member = members.next()) {
    const Coding coding = coding_of(*member);
    if (coding.refused) continue;
    if (http::equal_ignoring_case(coding.name, "br")) accepted |= 1;
    if (http::equal_ignoring_case(coding.name, "gzip")) accepted |= 2;
    if (http::equal_ignoring_case(coding.name, "zstd")) accepted |= 4;
  }
  return kCombinations[accepted];
}

}  // namespace reef::proxy::rules
