#include "proxy/http/range.h"

#include <algorithm>
#include <charconv>

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Digits of any length; what exceeds 2^63 - 1 counts as that: it lies behind every end.
std::optional<std::uint64_t> parse_position(std::string_view text) noexcept {
  if (!is_digits(text)) return std::nullopt;
  return parse_decimal(text).value_or(INT64_MAX);
}

enum class Spec { malformed, unsatisfiable, good };

Spec parse_spec(std::string_view spec, std::uint64_t complete_bytes, ByteRange& range) noexcept {
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return Spec::malformed;
  const std::string_view first = spec.substr(0, dash);
  const std::string_view last = spec.substr(dash + 1);
  if (first.empty()) {  // the last n bytes
    const auto suffix = parse_position(last);
    if (!suffix) return Spec::malformed;
    if (*suffix == 0 || complete_bytes == 0) return Spec::unsatisfiable;
    range = {complete_bytes - std::min(*suffix, complete_bytes), complete_bytes - 1};
    return Spec::good;
  }
  const auto begin = parse_position(first);
  const auto end = last.empty() ? std::optional<std::uint64_t>(INT64_MAX) : parse_position(last);
  if (!begin || !end || *end < *begin) return Spec::malformed;
  if (*begin >= complete_bytes) return Spec::unsatisfiable;
  range = {*begin, std::min(*end, complete_bytes - 1)};
  return Spec::good;
}

bool overlap_or_exceed(std::span<const ByteRange> ranges, std::uint64_t complete_bytes) noexcept {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    total += ranges[i].size();
    for (std::size_t j = 0; j < i; ++j) {
      if (ranges[i].first <= ranges[j].last && ranges[j].first <= ranges[i].last) return true;
    }
  }
  return total > complete_bytes;
}

}  // namespace

RangeRequest parse_range(std::string_view value, std::uint64_t complete_bytes) noexcept {
  RangeRequest request;
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos || !equal_ignoring_case(value.substr(0, equals), "bytes"))
    return request;
  std::size_t specs = 0;
  Members members(value.substr(equals + 1));
  while (const auto member = members.next()) {
    if (++specs > kRangesMax) return {};
    ByteRange range;
    switch (parse_spec(*member, complete_bytes, range)) {
      case Spec::malformed:
        return {};
      case Spec::unsatisfiable:
        break;
      case Spec::good:
        request.ranges[request.count++] = range;
        break;
    }
  }
  if (specs == 0) return {};
  if (request.count > 1 && overlap_or_exceed(request.parts(), complete_bytes)) return {};
  request.kind = request.count > 0 ? RangeRequest::Kind::parts : RangeRequest::Kind::unsatisfiable;
  return request;
}

void append_content_range(std::string& out, const ByteRange& range, std::uint64_t complete_bytes) {
  out += "bytes ";
  append_number(out, range.first);
  out += '-';
  append_number(out, range.last);
  out += '/';
  append_number(out, complete_bytes);
}

void append_unsatisfied_range(std::string& out, std::uint64_t complete_bytes) {
  out += "bytes */";
  append_number(out, complete_bytes);
}

std::optional<ContentRange> parse_content_range(std::string_view value) noexcept {
  if (!starts_with_ignoring_case(value, "bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const std::size_t dash = value.find('-');
  const std::size_t slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto first = parse_decimal(value.substr(0, dash));
  const auto last = parse_decimal(value.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first) return std::nullopt;
  ContentRange out{{*first, *last}, std::nullopt};
  const std::string_view complete = value.substr(slash + 1);
  if (complete == "*") return out;
  out.complete_bytes = parse_decimal(complete);
  if (!out.complete_bytes || *out.complete_bytes <= *last) return std::nullopt;
  return out;
}

EntityTag parse_entity_tag(std::string_view value) noexcept {
  if (value.starts_with("W/")) return {value.substr(2), true};
  return {value, false};
}

bool strong_match(std::string_view a, std::string_view b) noexcept {
  const EntityTag left = parse_entity_tag(a);
  const EntityTag right = parse_entity_tag(b);
  return !left.weak && !right.weak && !left.opaque.empty() && left.opaque == right.opaque;
}

bool weak_match(std::string_view a, std::string_view b) noexcept {
  const EntityTag left = parse_entity_tag(a);
  const EntityTag right = parse_entity_tag(b);
  return !left.opaque.empty() && left.opaque == right.opaque;
}

}  // namespace reef::proxy::http
