#include "proxy/io/multipart.h"

#include <array>

#include "base/crypto.h"

namespace reef::proxy {

Multipart make_multipart(std::span<const http::ByteRange> ranges, std::uint64_t complete_bytes,
                         std::string_view content_type, std::string_view boundary) {
  Multipart out;
  out.parts.reserve(ranges.size());
  for (const http::ByteRange& range : ranges) {
    std::string text = out.parts.empty() ? "--" : "\r\n--";
    text.append(boundary).append("\r\n");
    if (!content_type.empty()) text.append("Content-Type: ").append(content_type).append("\r\n");
    text += "Content-Range: ";
    http::append_content_range(text, range, complete_bytes);
    text += "\r\n\r\n";
    out.bytes += text.size() + range.size();
    out.parts.push_back({std::move(text), range});
  }
  out.end.append("\r\n--").append(boundary).append("--\r\n");
  out.bytes += out.end.size();
  return out;
}

std::string make_boundary() {
  std::array<std::byte, 16> random;
  random_bytes(random);
  return to_hex(random);
}

}  // namespace reef::proxy
