// A chunked body (RFC 9112 §7.1): what comes out is the same in whatever pieces it arrives, is part of what
// went in, and of any bytes put into chunks the bytes come out again.
//
// The first byte of the input is the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/http/chunked.h"

using reef::proxy::http::ChunkedDecoder;

namespace {

struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::more;
  std::size_t consumed = 0;
  std::string body;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view text, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded out;
  while (!text.empty() && out.state == ChunkedDecoder::State::more) {
    std::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    while (!part.empty() && out.state == ChunkedDecoder::State::more) {
      const auto step = decoder.next(part);
      BASE_CHECK(step.consumed <= part.size() && step.data.size() <= step.consumed);
      BASE_CHECK(step.data.empty() || (step.data.data() >= part.data() &&
                                       step.data.data() + step.data.size() <= part.data() + part.size()));
      out.body += step.data;
      out.state = step.state;
      if (step.state != ChunkedDecoder::State::bad) out.consumed += step.consumed;
      BASE_CHECK(step.consumed > 0 ||
                 step.state != ChunkedDecoder::State::more);  // it takes all that it is given
      part.remove_prefix(step.consumed);
    }
  }
  return out;
}

std::string in_chunks(std::string_view body, std::size_t size) {
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
    const std::string_view chunk = body.substr(0, size);
    char line[24];
    std::snprintf(line, sizeof line, "%zX\r\n", chunk.size());
    out.append(line).append(chunk).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const Decoded whole = decode(text, std::max<std::size_t>(1, text.size()));
  Decoded pieces = decode(text, piece);
  // Where a bad body ends is the caller's to forget.
  if (whole.state == ChunkedDecoder::State::bad) pieces.consumed = whole.consumed;
  BASE_CHECK(pieces == whole);
  BASE_CHECK(whole.body.size() <= text.size());

  const std::string encoded = in_chunks(text, piece);
  const Decoded again = decode(encoded + "rest", 1 + data[0] / 4);
  BASE_CHECK(again.state == ChunkedDecoder::State::done && again.body == text);
  BASE_CHECK(again.consumed == encoded.size());
  return 0;
}
