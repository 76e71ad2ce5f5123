// The framing of a request body (RFC 9112 §6): a known length, or chunks. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "proxy/http/chunked.h"

namespace reef::proxy {

// Takes framed bytes and yields the body's.
class BodyFraming {
 public:
  enum class State : std::uint8_t { reading, complete, malformed };

  static BodyFraming of_length(std::uint64_t bytes) {
    BodyFraming out;
    out.left_ = bytes;
    if (bytes == 0) out.state_ = State::complete;
    return out;
  }
  static BodyFraming chunked() {
    BodyFraming out;
    out.decoder_.emplace();
    return out;
  }

  struct Step {
    std::size_t consumed = 0;  // of `in`
    std::size_t produced = 0;  // written to the front of `out`
  };
  // Goes as far as `in` and `out` allow.
  Step read(std::string_view in, std::span<std::byte> out) {
    Step step;
    while (state_ == State::reading && step.consumed < in.size() && step.produced < out.size()) {
      // Never more than fits: a chunk's data comes without its framing, so it is not longer than what was
      // consumed.
      const std::string_view rest = in.substr(step.consumed, out.size() - step.produced);
      std::string_view data;
      std::size_t consumed = 0;
      if (decoder_) {
        const http::ChunkedDecoder::Step decoded = decoder_->next(rest);
        data = decoded.data;
        consumed = decoded.consumed;
        if (decoded.state == http::ChunkedDecoder::State::done) state_ = State::complete;
        if (decoded.state == http::ChunkedDecoder::State::bad) state_ = State::malformed;
      } else {
        data = rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size())));
        consumed = data.size();
        left_ -= data.size();
        if (left_ == 0) state_ = State::complete;
      }
      if (!data.empty()) std::memcpy(out.data() + step.produced, data.data(), data.size());
      step.produced += data.size();
      step.consumed += consumed;
      if (consumed == 0) break;
    }
    return step;
  }
  [[nodiscard]] State state() const { return state_; }

 private:
  BodyFraming() = default;
  std::optional<http::ChunkedDecoder> decoder_;
  std::uint64_t left_ = 0;
  State state_ = State::reading;
};

}  // namespace reef::proxy
