// Request heads, response heads and chunked bodies. A head is the same whether it comes whole or byte by
// byte, and what was read holds nothing that could split a message.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/http/chunked.h"
#include "proxy/http/fields.h"
#include "proxy/http/forward.h"
#include "proxy/http/parser.h"

using namespace reef::proxy::http;

namespace {

void check_fields(FieldsView fields) {
  const EndToEnd filter(fields);
  for (const Field& field : fields) {
    BASE_CHECK(is_token(field.name));
    BASE_CHECK(is_field_value(field.value));
    static_cast<void>(filter.keeps(field.name));
  }
}

void request(std::string_view text) {
  static RequestHeadParser parser;
  HeadProgress whole;
  const auto parsed = parser.feed(text, whole);
  const ParseState state = parsed.state;
  const std::size_t consumed = parsed.consumed;
  if (state == ParseState::complete) check_fields(parsed.head.fields);

  HeadProgress piecewise;
  for (std::size_t size = 1; size <= std::min<std::size_t>(text.size(), 2048); ++size) {
    const auto part = parser.feed(text.substr(0, size), piecewise);
    if (part.state == ParseState::need_more) continue;
    BASE_CHECK(part.state == state && part.consumed == consumed);
    break;
  }
}

void chunked(std::string_view text) {
  ChunkedDecoder decoder;
  while (!text.empty()) {
    const auto step = decoder.next(text);
    BASE_CHECK(step.consumed <= text.size() && step.data.size() <= step.consumed);
    if (step.state != ChunkedDecoder::State::more || step.consumed == 0) break;
    text.remove_prefix(step.consumed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  request(text);
  static ResponseHeadParser responses;
  HeadProgress progress;
  if (const auto parsed = responses.feed(text, progress, "GET"); parsed.state == ParseState::complete) {
    check_fields(parsed.head.fields);
  }
  chunked(text);
  return 0;
}
