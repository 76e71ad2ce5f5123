// From bytes to message heads: llhttp tokenizes, and what it lets pass is checked here (line ends, folding,
// names, limits, framing).
//
// A head is parsed once, when its last byte is there; until then only new bytes are scanned for line ends, so
// a head that arrives byte by byte costs no more than one that arrives whole. Nothing is allocated after
// construction: one parser serves all connections of a worker, each connection keeps only its HeadProgress.
//
//   HeadProgress progress;                                   // per connection, anew for each message
//   auto parsed = parser.feed(buffer, progress);             // buffer: all unconsumed bytes, contiguous
//   need_more: read more, feed again with the longer buffer (it may have moved)
//   complete:  parsed.head until the next feed() of this parser or until the buffer changes; drop
//   parsed.consumed bad:       answer status_of(parsed.bad), close
//
// Not thread-safe. llhttp is in C; nothing throws through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/http/head.h"
#include "proxy/http/message.h"

namespace reef::proxy::http {

struct HeadLimits {
  std::size_t head_bytes_max = 32 * 1024;       // start line and fields: 431
  std::size_t start_line_bytes_max = 8 * 1024;  // 414
  std::size_t fields_max = 100;                 // 431
};

// How far the head of one connection has been looked at.
struct HeadProgress {
  std::uint32_t line_start = 0;  // of the first line that is not complete yet
  std::uint32_t scanned = 0;     // bytes that hold no further line end
  std::uint32_t lines = 0;       // complete ones, the start line included
};

enum class ParseState : std::uint8_t { need_more, complete, bad };

template <class Head>
struct Parsed {
  ParseState state = ParseState::need_more;
  BadMessage bad{};
  Head head;
  Framing framing;
  std::size_t consumed = 0;  // bytes of the buffer that were the head (and a blank line before it)
};

class RequestHeadParser {
 public:
  explicit RequestHeadParser(HeadLimits limits = {});
  // Any method that is a token; one blank line in front is skipped (RFC 9112 §2.2).
  [[nodiscard]] Parsed<RequestHead> feed(std::string_view bytes, HeadProgress& progress) noexcept;

 private:
  HeadLimits limits_;
  std::vector<Field> fields_;
};

class ResponseHeadParser {
 public:
  explicit ResponseHeadParser(HeadLimits limits = {});
  // `method`: of the request that is answered.
  [[nodiscard]] Parsed<ResponseHead> feed(std::string_view bytes, HeadProgress& progress,
                                          std::string_view method) noexcept;

 private:
  HeadLimits limits_;
  std::vector<Field> fields_;
};

}  // namespace reef::proxy::http
