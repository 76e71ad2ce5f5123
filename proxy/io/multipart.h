// Several ranges in one answer: the body of a multipart/byteranges (RFC 9110 §14.6, RFC 2046 §5.1). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/range.h"

namespace reef::proxy {

// The answer in the order of sending: of each part its text (delimiter and fields) and bytes of the object,
// and what comes after the last.
struct Multipart {
  struct Part {
    std::string text;
    http::ByteRange range;
  };
  std::vector<Part> parts;
  std::string end;
  std::uint64_t bytes = 0;  // of all of it
};

// `content_type`: of the whole object, empty: none. `boundary`: 1 to 70 letters and digits that the object
// does not contain but by an unlikely chance: random ones.
[[nodiscard]] Multipart make_multipart(std::span<const http::ByteRange> ranges, std::uint64_t complete_bytes,
                                       std::string_view content_type, std::string_view boundary);

// Random, 128 bits.
[[nodiscard]] std::string make_boundary();

}  // namespace reef::proxy
