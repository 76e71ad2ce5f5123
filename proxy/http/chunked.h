// Decoding of a chunked body (RFC 9112 §7.1), strictly: CRLF everywhere, sizes without overflow, extensions
// and trailers skipped within bounds. Never yields a byte that is not body. Not thread-safe; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reef::proxy::http {

struct ChunkLimits {
  std::size_t extension_bytes_max = 1024;  // of one chunk
  std::size_t trailer_bytes_max = 8 * 1024;
};

class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(ChunkLimits limits = {}) : limits_(limits) {}

  enum class State : std::uint8_t { more, done, bad };
  struct Step {
    State state = State::more;
    std::size_t consumed = 0;  // bytes of the input that are dealt with
    std::string_view data;     // body bytes, a view into the input; may be empty
  };
  // Consumes a prefix of `input` up to and including one run of body bytes. Call again with the rest until
  // `consumed` is 0 (more input is needed), done (the rest belongs to the next message), or bad (stays bad).
  [[nodiscard]] Step next(std::string_view input) noexcept;

 private:
  enum class At : std::uint8_t {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer,
    trailer_lf,
    end_lf,
    done,
    bad
  };
  [[nodiscard]] At on_byte(char c) noexcept;

  ChunkLimits limits_;
  At at_ = At::size_first;
  std::uint64_t left_ = 0;   // of the current chunk
  std::size_t skipped_ = 0;  // bytes of the current extension, or of all trailers
};

}  // namespace reef::proxy::http
