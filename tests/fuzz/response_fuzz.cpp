// A server's whole answer to a request of ours: interim heads, head, framed body. What comes out is the same
// in whatever pieces it arrives, no more body than arrived, and a connection is left only behind a whole
// answer.
//
// The first byte of the input chooses the method and the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/io/response_reader.h"

using namespace reef::proxy;

namespace {

class Heard final : public FetchSink {
 public:
  void on_interim(const http::ResponseHead& head) override {
    BASE_CHECK(head.status >= 100 && head.status < 200 && !has_head);
    ++interim;
  }
  bool on_head(const http::ResponseHead& head) override {
    BASE_CHECK(head.status >= 200 && !has_head);
    has_head = true;
    return true;
  }
  bool on_body(reef::ByteView bytes) override {
    BASE_CHECK(has_head && !bytes.empty());
    body += reef::as_text(bytes);
    return true;
  }
  void on_end(FetchEnd, std::string_view) override {}
  int interim = 0;
  bool has_head = false;
  std::string body;
};

ResponseReader::State read(std::string_view text, std::size_t piece, const char* method, Heard& heard) {
  static http::ResponseHeadParser parser(
      {.head_bytes_max = 2048, .start_line_bytes_max = 512, .fields_max = 20});
  FetcherOptions options;
  options.head_bytes_max = 2048;
  ResponseReader reader(parser, options);
  FetchSink* sink = &heard;
  reader.begin(method);
  ResponseReader::State state = ResponseReader::State::reading;
  while (!text.empty() && state == ResponseReader::State::reading) {
    const std::size_t size = std::min(piece, text.size());
    state = reader.feed(text.substr(0, size), sink);
    text.remove_prefix(size);
  }
  if (state == ResponseReader::State::reading) {
    BASE_CHECK(!reader.leaves_connection());
    state = reader.end();
  }
  BASE_CHECK(!reader.leaves_connection() || state == ResponseReader::State::complete);
  BASE_CHECK(heard.interim <= options.interim_max);
  return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const char* method = (data[0] & 1) != 0 ? "HEAD" : "GET";
  const std::size_t piece = 1 + (data[0] >> 1) % 64;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  Heard whole, pieces;
  const auto state = read(text, std::max<std::size_t>(1, text.size()), method, whole);
  BASE_CHECK(read(text, piece, method, pieces) == state);
  BASE_CHECK(pieces.has_head == whole.has_head && pieces.interim == whole.interim &&
             pieces.body == whole.body);
  BASE_CHECK(whole.body.size() <= text.size());
  return 0;
}
