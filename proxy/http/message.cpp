#include "proxy/http/message.h"

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

bool contains_ignoring_case(std::string_view text, std::string_view part) noexcept {
  for (; text.size() >= part.size(); text.remove_prefix(1)) {
    if (starts_with_ignoring_case(text, part)) return true;
  }
  return false;
}

// The lines that frame a message, gathered in one pass.
struct FramingLines {
  int hosts = 0, lengths = 0, encodings = 0, expects = 0, connections = 0;
  std::string_view length, encoding, expect;
};

FramingLines gather(FieldsView fields) noexcept {
  FramingLines lines;
  for (const Field& field : fields) {
    const std::string_view name = field.name;
    switch (name.size()) {  // most fields have another length: no comparison at all
      case 4:
        if (equal_ignoring_case(name, "Host")) ++lines.hosts;
        break;
      case 6:
        if (equal_ignoring_case(name, "Expect")) {
          ++lines.expects;
          lines.expect = field.value;
        }
        break;
      case 10:
        if (equal_ignoring_case(name, "Connection")) ++lines.connections;
        break;
      case 14:
        if (equal_ignoring_case(name, "Content-Length")) {
          ++lines.lengths;
          lines.length = field.value;
        }
        break;
      case 17:
        if (equal_ignoring_case(name, "Transfer-Encoding")) {
          ++lines.encodings;
          lines.encoding = field.value;
        }
        break;
      default:
        break;
    }
  }
  return lines;
}

bool persists(int minor_version, const FramingLines& lines, FieldsView fields) noexcept {
  if (lines.connections == 0) return minor_version >= 1;
  if (has_member(fields, "Connection", "close")) return false;
  return minor_version >= 1 || has_member(fields, "Connection", "keep-alive");
}

// How the Transfer-Encoding of a response ends its body (RFC 9112 §6.3). "chunked" alone is ours to undo.
// Another coding in last place runs until the connection closes, and its bytes go on as they are. Everything
// in which one parser could see chunks and another none is refused.
tl::expected<BodyKind, BadMessage> coded_body(FieldsView fields) noexcept {
  Members codings = combined(fields, "Transfer-Encoding");
  std::size_t count = 0;
  bool chunked = false;
  while (const auto coding = codings.next()) {
    ++count;
    const std::string_view name = trim(coding->substr(0, coding->find(';')));
    if (!is_token(name)) return tl::unexpected(BadMessage::transfer_encoding);
    if (equal_ignoring_case(*coding, "chunked")) {
      chunked = true;
    } else if (contains_ignoring_case(name, "chunked")) {
      return tl::unexpected(BadMessage::transfer_encoding);
    }
  }
  if (count == 0 || (chunked && count > 1)) return tl::unexpected(BadMessage::transfer_encoding);
  return chunked ? BodyKind::chunked : BodyKind::until_close;
}

tl::expected<void, BadMessage> read_length(const FramingLines& lines, Framing& framing) noexcept {
  if (lines.lengths == 0) return {};
  const auto length = parse_decimal(lines.length);
  if (lines.lengths > 1 || !length) return tl::unexpected(BadMessage::content_length);
  framing.content_length = *length;
  framing.has_content_length = true;
  return {};
}

}  // namespace

std::string_view to_text(BadMessage bad) {
  switch (bad) {
    case BadMessage::request_line:
      return "malformed request line";
    case BadMessage::status_line:
      return "malformed status line";
    case BadMessage::method:
      return "the method is not a token";
    case BadMessage::version:
      return "HTTP version not supported";
    case BadMessage::target_too_long:
      return "the request target is too long";
    case BadMessage::head_too_large:
      return "the header section is too large";
    case BadMessage::too_many_fields:
      return "too many header fields";
    case BadMessage::bare_lf:
      return "a line ends in LF without CR";
    case BadMessage::bare_cr:
      return "a CR without LF";
    case BadMessage::obs_fold:
      return "a header field is folded over lines";
    case BadMessage::field_name:
      return "a field name is not a token";
    case BadMessage::field_value:
      return "a field value holds a control character";
    case BadMessage::host_missing:
      return "the Host field is missing";
    case BadMessage::host_repeated:
      return "more than one Host field";
    case BadMessage::content_length:
      return "invalid or repeated Content-Length";
    case BadMessage::transfer_encoding:
      return "Transfer-Encoding is not just chunked";
    case BadMessage::length_and_chunked:
      return "both Content-Length and Transfer-Encoding";
    case BadMessage::chunked_in_1_0:
      return "Transfer-Encoding in HTTP/1.0";
    case BadMessage::expectation:
      return "an expectation other than 100-continue";
    case BadMessage::chunk:
      return "malformed chunked body";
    case BadMessage::body_too_short:
      return "the body ended before its length";
    case BadMessage::body_too_large:
      return "the body is too large";
  }
  return "unknown";
}

int status_of(BadMessage bad) {
  switch (bad) {
    case BadMessage::version:
      return 505;
    case BadMessage::body_too_large:
      return 413;
    case BadMessage::target_too_long:
      return 414;
    case BadMessage::head_too_large:
    case BadMessage::too_many_fields:
      return 431;
    case BadMessage::expectation:
      return 417;
    default:
      return 400;
  }
}

tl::expected<Framing, BadMessage> check_request(const RequestHead& head) noexcept {
  const FramingLines lines = gather(head.fields);
  if (lines.hosts > 1) return tl::unexpected(BadMessage::host_repeated);
  if (lines.hosts == 0 && head.minor_version >= 1) return tl::unexpected(BadMessage::host_missing);

  Framing framing;
  if (lines.lengths > 0 && lines.encodings > 0) return tl::unexpected(BadMessage::length_and_chunked);
  if (auto length = read_length(lines, framing); !length) return tl::unexpected(length.error());
  if (framing.has_content_length && framing.content_length > 0) framing.body = BodyKind::length;
  if (lines.encodings > 0) {
    if (head.minor_version == 0) return tl::unexpected(BadMessage::chunked_in_1_0);
    if (lines.encodings > 1 || !equal_ignoring_case(lines.encoding, "chunked")) {
      return tl::unexpected(BadMessage::transfer_encoding);
    }
    framing.body = BodyKind::chunked;
  }
  if (lines.expects > 0 && head.minor_version >= 1) {  // a 1.0 client's Expect is ignored (RFC 9110 §10.1.1)
    if (lines.expects > 1 || !equal_ignoring_case(lines.expect, "100-continue")) {
      return tl::unexpected(BadMessage::expectation);
    }
    framing.expect_continue = framing.body != BodyKind::none;
  }
  framing.keep_alive = persists(head.minor_version, lines, head.fields);
  return framing;
}

tl::expected<Framing, BadMessage> check_response(const ResponseHead& head, std::string_view method) noexcept {
  const FramingLines lines = gather(head.fields);
  Framing framing;
  framing.keep_alive = persists(head.minor_version, lines, head.fields);
  if (lines.lengths > 0 && lines.encodings > 0) return tl::unexpected(BadMessage::length_and_chunked);
  if (auto length = read_length(lines, framing); !length) return tl::unexpected(length.error());
  if (lines.encodings > 0 && head.minor_version == 0) return tl::unexpected(BadMessage::chunked_in_1_0);
  tl::expected<BodyKind, BadMessage> coded = BodyKind::none;
  if (lines.encodings > 0) coded = coded_body(head.fields);
  if (!coded) return tl::unexpected(coded.error());

  const bool bodiless = head.status < 200 || head.status == 204 || head.status == 304 || method == "HEAD";
  if (bodiless) return framing;
  if (lines.encodings > 0) {
    framing.body = *coded;
    framing.keep_alive = framing.keep_alive && framing.body == BodyKind::chunked;
  } else if (framing.has_content_length) {
    framing.body = framing.content_length > 0 ? BodyKind::length : BodyKind::none;
  } else {
    framing.body = BodyKind::until_close;
    framing.keep_alive = false;
  }
  return framing;
}

bool is_safe_method(std::string_view method) noexcept {
  for (const std::string_view safe :
       {"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"}) {
    if (method == safe) return true;
  }
  return false;
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 508:
      return "Loop Detected";
    default:
      return "Unknown";
  }
}

}  // namespace reef::proxy::http
