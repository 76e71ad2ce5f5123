#include "proxy/io/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

#include "proxy/http/builder.h"
#include "proxy/http/head.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHalfDigits = 16;

std::optional<std::uint64_t> half_of(std::string_view digits) {
  std::uint64_t value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (end.ec != std::errc() || end.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string variant_index_fields(std::string_view vary_names, const std::vector<UrlHash>& variants) {
  std::string out = fmt::format("Vary: {}\r\nVariants: ", vary_names);
  for (const UrlHash& hash : variants) {
    if (!out.ends_with(": ")) out += ", ";
    fmt::format_to(std::back_inserter(out), "{:016x}{:016x}", hash.high, hash.low);
  }
  out += "\r\n";
  return out;
}

std::vector<UrlHash> variants_in(std::string_view index_fields) {
  std::vector<UrlHash> out;
  http::Members members(http::find_line(index_fields, "Variants"));
  while (const auto member = members.next()) {
    if (member->size() != 2 * kHalfDigits) continue;
    const auto high = half_of(member->substr(0, kHalfDigits));
    const auto low = half_of(member->substr(kHalfDigits));
    if (high && low) out.push_back({.low = *low, .high = *high});
  }
  return out;
}

std::vector<UrlHash> variants_of(const Object* stored) {
  const bool is_index = stored != nullptr && stored->head.policy.has(rules::CachePolicy::kVariantIndex);
  return is_index ? variants_in(stored->head.fields) : std::vector<UrlHash>();
}

VariantsKept with_variant(const Object* index, std::int64_t generation, const UrlHash& added,
                          std::size_t variants_max) {
  VariantsKept result;
  if (index != nullptr && index->head.policy.has(rules::CachePolicy::kVariantIndex)) {
    const bool same = rules::generation_of(index->head.policy) == generation;
    (same ? result.kept : result.gone) = variants_in(index->head.fields);
  }
  std::erase(result.kept, added);
  result.kept.push_back(added);
  const std::size_t most = std::max<std::size_t>(1, variants_max);
  if (result.kept.size() > most) {
    const auto end = result.kept.end() - static_cast<std::ptrdiff_t>(most);
    result.gone.insert(result.gone.end(), result.kept.begin(), end);
    result.kept.erase(result.kept.begin(), end);
  }
  return result;
}

}  // namespace reef::proxy
