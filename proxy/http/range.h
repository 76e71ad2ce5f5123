// Range requests (RFC 9110 §14) and entity tags (§8.8.3). Pure, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace reef::proxy::http {

// Bytes first..last of a representation, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

inline constexpr std::size_t kRangesMax = 16;  // more in one request only make answers larger than objects

// What a Range value asks of a representation of `complete_bytes`.
struct RangeRequest {
  enum class Kind : std::uint8_t {
    whole,  // ignore the field: malformed, another unit, too many ranges, or more than the whole (§14.2)
    parts,  // one range or more, in the order asked for
    unsatisfiable,  // well-formed and none of it exists: 416 with "bytes */complete_bytes"
  };
  Kind kind = Kind::whole;
  std::size_t count = 0;
  std::array<ByteRange, kRangesMax> ranges{};

  [[nodiscard]] std::span<const ByteRange> parts() const { return {ranges.data(), count}; }
};

// Ranges that overlap or together exceed the representation are answered with the whole (RFC 9110 §17.15).
[[nodiscard]] RangeRequest parse_range(std::string_view value, std::uint64_t complete_bytes) noexcept;

// "bytes 0-99/1000" appended.
void append_content_range(std::string& out, const ByteRange& range, std::uint64_t complete_bytes);
// "bytes */1000" appended.
void append_unsatisfied_range(std::string& out, std::uint64_t complete_bytes);

// A Content-Range of a 206: nullopt unless "bytes first-last/complete" with first <= last < complete.
struct ContentRange {
  ByteRange range;
  std::optional<std::uint64_t> complete_bytes;  // nullopt: "*"
};
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value) noexcept;

// An entity tag, split. `opaque` keeps its quotes; an unquoted one (some origins send them) is taken as it
// is.
struct EntityTag {
  std::string_view opaque;
  bool weak = false;
};
[[nodiscard]] EntityTag parse_entity_tag(std::string_view value) noexcept;
// RFC 9110 §8.8.3.2: strong comparison needs both strong; empty tags match nothing.
[[nodiscard]] bool strong_match(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] bool weak_match(std::string_view a, std::string_view b) noexcept;

}  // namespace reef::proxy::http
