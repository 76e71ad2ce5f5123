#include "proxy/http/chunked.h"

#include <algorithm>

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

// 0..15, or -1.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_text(char c) { return is_field_value({&c, 1}); }

}  // namespace

ChunkedDecoder::At ChunkedDecoder::on_byte(char c) noexcept {
  switch (at_) {
    case At::size_first:
    case At::size: {
      const int digit = hex_digit(c);
      if (digit >= 0) {
        if (left_ > (static_cast<std::uint64_t>(INT64_MAX) >> 4)) return At::bad;
        left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
        // Zeros in front do not overflow; they are bounded like an extension.
        return ++skipped_ > limits_.extension_bytes_max ? At::bad : At::size;
      }
      if (at_ == At::size_first) return At::bad;
      if (c == '\r') return At::size_lf;
      return c == ';' ? At::extension : At::bad;
    }
    case At::extension:
      if (c == '\r') return At::size_lf;
      return is_text(c) && ++skipped_ <= limits_.extension_bytes_max ? At::extension : At::bad;
    case At::size_lf:
      skipped_ = 0;
      if (c != '\n') return At::bad;
      return left_ > 0 ? At::data : At::trailer_start;
    case At::data_cr:
      return c == '\r' ? At::data_lf : At::bad;
    case At::data_lf:
      return c == '\n' ? At::size_first : At::bad;
    case At::trailer_start:
      if (c == '\r') return At::end_lf;
      return is_token_char(c) && ++skipped_ <= limits_.trailer_bytes_max ? At::trailer_name : At::bad;
    case At::trailer_name:
      if (++skipped_ > limits_.trailer_bytes_max) return At::bad;
      if (c == ':') return At::trailer;
      return is_token_char(c) ? At::trailer_name : At::bad;
    case At::trailer:
      if (c == '\r') return At::trailer_lf;
      return is_text(c) && ++skipped_ <= limits_.trailer_bytes_max ? At::trailer : At::bad;
    case At::trailer_lf:
      return c == '\n' ? At::trailer_start : At::bad;
    case At::end_lf:
      return c == '\n' ? At::done : At::bad;
    case At::data:
    case At::done:
    case At::bad:
      break;
  }
  return At::bad;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) noexcept {
  Step step;
  while (step.consumed < input.size() && at_ != At::done && at_ != At::bad) {
    if (at_ == At::data) {
      const auto run = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - step.consumed));
      step.data = input.substr(step.consumed, run);
      step.consumed += run;
      left_ -= run;
      if (left_ == 0) at_ = At::data_cr;
      break;
    }
    at_ = on_byte(input[step.consumed++]);
  }
  if (at_ == At::done) step.state = State::done;
  if (at_ == At::bad) step.state = State::bad;
  return step;
}

}  // namespace reef::proxy::http
