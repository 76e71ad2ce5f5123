// What makes a message unambiguous: framing and the few fields on which parsers disagree (RFC 9112 §3.2, §6,
// §7, §9; RFC 9110 §8.6). Stricter than the RFC where leniency has led to request smuggling: any doubt is an
// error.
//
// Pure, no allocation, any thread. The token-level checks are the parser's (parser.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

#include "proxy/http/head.h"

namespace reef::proxy::http {

// Why a message is refused; from a client the answer is status_of() and close, from an origin 502 and close.
enum class BadMessage : std::uint8_t {
  request_line,     // not "method SP target SP HTTP/1.x CRLF"
  status_line,      // not "HTTP/1.x SP 3DIGIT [SP reason] CRLF"
  method,           // not a token
  version,          // HTTP, but not 1.0 or 1.1: 505
  target_too_long,  // 414
  head_too_large,   // 431
  too_many_fields,  // 431
  bare_lf,          // a line that ends without CR
  bare_cr,          // a CR that ends no line
  obs_fold,         // a field line that starts with a blank (RFC 9112 §5.2)
  field_name,       // not a token, or a blank before the colon (§5.1)
  field_value,      // a control character
  host_missing,     // HTTP/1.1 without Host
  host_repeated,
  content_length,     // not a decimal number, or several
  transfer_encoding,  // anything but "chunked", once; of responses see check_response()
  length_and_chunked,
  chunked_in_1_0,
  expectation,     // an Expect other than 100-continue: 417
  chunk,           // bad chunked framing
  body_too_short,  // the client ended its side before the end of the body
  body_too_large,  // 413
};
[[nodiscard]] std::string_view to_text(BadMessage bad);
[[nodiscard]] int status_of(BadMessage bad);

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct Framing {
  BodyKind body = BodyKind::none;
  std::uint64_t content_length = 0;  // with BodyKind::length; for answers to HEAD and 304 what the field says
  bool has_content_length = false;
  bool keep_alive = true;        // the connection may carry another message after this one
  bool expect_continue = false;  // requests: the client waits for a 100
};

[[nodiscard]] tl::expected<Framing, BadMessage> check_request(const RequestHead& head) noexcept;

// A Transfer-Encoding without "chunked" runs until the connection closes (RFC 9112 §6.3): the bytes go on as
// they are, the field does not. "chunked" next to or hidden in another coding is refused.
// `method`: of the request that is being answered. A 1xx has no body and no end of the exchange; 101 too is
// BodyKind::none here, and for the caller to refuse, as it never asked to switch.
[[nodiscard]] tl::expected<Framing, BadMessage> check_response(const ResponseHead& head,
                                                               std::string_view method) noexcept;

// RFC 9110 §9.2.1: what is known to change nothing. Unknown methods are not safe.
[[nodiscard]] bool is_safe_method(std::string_view method) noexcept;

// The phrase of RFC 9110 §15 and the IANA registry; "Unknown" for others.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

}  // namespace reef::proxy::http
