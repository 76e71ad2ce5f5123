#include "proxy/http/parser.h"

#include <llhttp.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

// What llhttp's callbacks fill: `fields` is the parser's own array.
struct Tokens {
  std::span<Field> fields;
  std::size_t count = 0;
  std::string_view start;  // the target of a request, the reason of a response
  bool too_many = false;
  bool complete = false;
};

Tokens& tokens_of(llhttp_t* parser) { return *static_cast<Tokens*>(parser->data); }

int on_start(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  tokens_of(parser).start = {at, size};
  return 0;
}
int on_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Tokens& tokens = tokens_of(parser);
  if (tokens.count == tokens.fields.size()) {
    tokens.too_many = true;
    return -1;
  }
  tokens.fields[tokens.count++] = {{at, size}, {}};
  return 0;
}
int on_value(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Tokens& tokens = tokens_of(parser);
  if (tokens.count > 0) tokens.fields[tokens.count - 1].value = {at, size};
  return 0;
}
int on_complete(llhttp_t* parser) noexcept {
  tokens_of(parser).complete = true;
  return HPE_PAUSED;  // the body is not llhttp's
}

const llhttp_settings_t& settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_url = on_start;
    made.on_status = on_start;
    made.on_header_field = on_name;
    made.on_header_value = on_value;
    made.on_headers_complete = on_complete;
    return made;
  }();
  return kSettings;
}

BadMessage bad_of(llhttp_errno_t error, bool too_many, BadMessage start_line) {
  switch (error) {
    case HPE_USER:
      return too_many ? BadMessage::too_many_fields : BadMessage::field_value;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      return BadMessage::length_and_chunked;
    case HPE_INVALID_CONTENT_LENGTH:
      return BadMessage::content_length;
    case HPE_INVALID_TRANSFER_ENCODING:
      return BadMessage::transfer_encoding;
    case HPE_INVALID_VERSION:
      return BadMessage::version;
    case HPE_LF_EXPECTED:
    case HPE_CR_EXPECTED:
      return BadMessage::bare_cr;
    case HPE_INVALID_HEADER_TOKEN:
      return BadMessage::field_value;
    default:
      return start_line;
  }
}

// Scans new bytes for line ends. Sets `head_end` behind the blank line that ends the head, once it is there.
std::optional<BadMessage> scan_lines(std::string_view bytes, const HeadLimits& limits, HeadProgress& progress,
                                     std::size_t& head_end) {
  while (progress.scanned < bytes.size()) {
    const char* from = bytes.data() + progress.scanned;
    const auto* lf = static_cast<const char*>(std::memchr(from, '\n', bytes.size() - progress.scanned));
    const std::size_t line_bytes =
        (lf == nullptr ? bytes.size() : static_cast<std::size_t>(lf - bytes.data())) - progress.line_start;
    if (progress.lines == 0 && line_bytes > limits.start_line_bytes_max) return BadMessage::target_too_long;
    if (progress.line_start + line_bytes + 1 > limits.head_bytes_max) return BadMessage::head_too_large;
    if (lf == nullptr) {
      progress.scanned = static_cast<std::uint32_t>(bytes.size());
      return std::nullopt;
    }
    if (line_bytes == 0 || lf[-1] != '\r') return BadMessage::bare_lf;
    const char first = bytes[progress.line_start];
    progress.line_start = progress.scanned = static_cast<std::uint32_t>(lf + 1 - bytes.data());
    if (line_bytes == 1) {  // only the CR
      if (progress.lines > 0) {
        head_end = progress.line_start;
        return std::nullopt;
      }
      if (progress.line_start > 2) return BadMessage::request_line;  // a second blank line in front
      continue;
    }
    if (progress.lines > 0 && (first == ' ' || first == '\t')) return BadMessage::obs_fold;
    ++progress.lines;
  }
  return std::nullopt;
}

// Runs llhttp over the pieces of one complete head.
std::optional<BadMessage> tokenize(llhttp_type_t type, std::string_view prefix, std::string_view rest,
                                   Tokens& tokens, BadMessage start_line) {
  llhttp_t parser;
  llhttp_init(&parser, type, &settings());
  parser.data = &tokens;
  llhttp_errno_t error = prefix.empty() ? HPE_OK : llhttp_execute(&parser, prefix.data(), prefix.size());
  if (error == HPE_OK) error = llhttp_execute(&parser, rest.data(), rest.size());
  if (error != HPE_PAUSED || !tokens.complete) {
    return bad_of(error == HPE_OK ? HPE_STRICT : error, tokens.too_many, start_line);
  }
  // Debian builds llhttp in its loose mode, in which a blank is part of a field name.
  for (Field& field : tokens.fields.first(tokens.count)) {
    if (!is_token(field.name)) return BadMessage::field_name;
    field.value = trim(field.value);
  }
  return std::nullopt;
}

// "HTTP/1.0" or "HTTP/1.1"; another version of HTTP is 505, anything else a bad line.
std::optional<BadMessage> read_version(std::string_view text, int& minor_version, BadMessage bad_line) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.' || !is_digits(text.substr(5, 1)) ||
      !is_digits(text.substr(7, 1))) {
    return bad_line;
  }
  if (text[5] != '1' || text[7] > '1') return BadMessage::version;
  minor_version = text[7] - '0';
  return std::nullopt;
}

std::string_view first_line(std::string_view head) { return head.substr(0, head.find("\r\n")); }

template <class Head>
Parsed<Head> refuse(BadMessage bad) {
  Parsed<Head> parsed;
  parsed.state = ParseState::bad;
  parsed.bad = bad;
  return parsed;
}

std::optional<BadMessage> parse_request_line(std::string_view line, RequestHead& head) {
  const std::size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) return BadMessage::request_line;
  head.method = line.substr(0, method_end);
  if (!is_token(head.method)) return BadMessage::method;
  // Exactly one blank on each side of the target: where parsers skip several, they disagree (RFC 9112 §3).
  const std::size_t target_end = line.find(' ', method_end + 1);
  if (target_end == std::string_view::npos || target_end == method_end + 1) return BadMessage::request_line;
  head.target = line.substr(method_end + 1, target_end - method_end - 1);
  return read_version(line.substr(target_end + 1), head.minor_version, BadMessage::request_line);
}

std::optional<BadMessage> parse_status_line(std::string_view line, ResponseHead& head) {
  if (line.size() < 12) return BadMessage::status_line;
  if (const auto bad = read_version(line.substr(0, 8), head.minor_version, BadMessage::status_line))
    return bad;
  const bool shaped =
      line[8] == ' ' && is_digits(line.substr(9, 3)) && (line.size() == 12 || line[12] == ' ');
  if (!shaped || line[9] == '0') return BadMessage::status_line;
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (line.size() > 13) head.reason = line.substr(13);
  return is_field_value(head.reason) ? std::nullopt : std::optional(BadMessage::status_line);
}

}  // namespace

RequestHeadParser::RequestHeadParser(HeadLimits limits) : limits_(limits), fields_(limits.fields_max) {}

Parsed<RequestHead> RequestHeadParser::feed(std::string_view bytes, HeadProgress& progress) noexcept {
  std::size_t head_end = 0;
  if (const auto bad = scan_lines(bytes, limits_, progress, head_end)) return refuse<RequestHead>(*bad);
  if (head_end == 0) {
    // What does not begin like a method will not become a request: TLS and noise are answered at once.
    const bool plausible = bytes.empty() || is_token_char(bytes[0]) || bytes[0] == '\r';
    return plausible ? Parsed<RequestHead>{} : refuse<RequestHead>(BadMessage::method);
  }
  const std::size_t start = bytes[0] == '\r' ? 2 : 0;
  const std::string_view text = bytes.substr(start, head_end - start);
  Parsed<RequestHead> parsed;
  if (const auto bad = parse_request_line(first_line(text), parsed.head)) return refuse<RequestHead>(*bad);

  // llhttp knows a list of methods; unknown ones must pass too (RFC 9110 §16.1), so it is shown a known one.
  const bool connect = parsed.head.method == "CONNECT";
  Tokens tokens{.fields = fields_, .count = 0, .start = {}, .too_many = false, .complete = false};
  const auto bad = tokenize(HTTP_REQUEST, connect ? "CONNECT" : "GET", text.substr(parsed.head.method.size()),
                            tokens, BadMessage::request_line);
  if (bad) return refuse<RequestHead>(*bad);
  if (tokens.start != parsed.head.target) return refuse<RequestHead>(BadMessage::request_line);
  parsed.head.fields = std::span(fields_).first(tokens.count);
  const auto framing = check_request(parsed.head);
  if (!framing) return refuse<RequestHead>(framing.error());
  parsed.framing = *framing;
  parsed.state = ParseState::complete;
  parsed.consumed = head_end;
  return parsed;
}

ResponseHeadParser::ResponseHeadParser(HeadLimits limits) : limits_(limits), fields_(limits.fields_max) {}

Parsed<ResponseHead> ResponseHeadParser::feed(std::string_view bytes, HeadProgress& progress,
                                              std::string_view method) noexcept {
  std::size_t head_end = 0;
  if (!bytes.empty() && bytes[0] != 'H') return refuse<ResponseHead>(BadMessage::status_line);
  if (const auto bad = scan_lines(bytes, limits_, progress, head_end)) return refuse<ResponseHead>(*bad);
  if (head_end == 0) return {};
  const std::string_view text = bytes.substr(0, head_end);
  Parsed<ResponseHead> parsed;
  const std::string_view line = first_line(text);
  if (const auto bad = parse_status_line(line, parsed.head)) return refuse<ResponseHead>(*bad);

  // llhttp is shown a plain status line: codes and phrases that it does not expect must pass unchanged.
  Tokens tokens{.fields = fields_, .count = 0, .start = {}, .too_many = false, .complete = false};
  const auto bad =
      tokenize(HTTP_RESPONSE, "HTTP/1.1 200 OK", text.substr(line.size()), tokens, BadMessage::status_line);
  if (bad) return refuse<ResponseHead>(*bad);
  parsed.head.fields = std::span(fields_).first(tokens.count);
  const auto framing = check_response(parsed.head, method);
  if (!framing) return refuse<ResponseHead>(framing.error());
  parsed.framing = *framing;
  parsed.state = ParseState::complete;
  parsed.consumed = head_end;
  return parsed;
}

}  // namespace reef::proxy::http
