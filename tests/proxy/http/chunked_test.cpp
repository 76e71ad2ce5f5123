#include "proxy/http/chunked.h"

#include <doctest/doctest.h>

#include <string>

using namespace reef::proxy::http;
using State = ChunkedDecoder::State;

namespace {

struct Decoded {
  State state = State::more;
  std::string body;
  std::string rest;
};

// Fed in pieces of `piece` bytes.
Decoded decode(std::string_view input, std::size_t piece, ChunkLimits limits = {}) {
  ChunkedDecoder decoder(limits);
  Decoded out;
  while (!input.empty() && out.state == State::more) {
    std::string_view part = input.substr(0, piece);
    while (!part.empty() && out.state == State::more) {
      const auto step = decoder.next(part);
      REQUIRE(step.consumed > 0);
      out.body += step.data;
      out.state = step.state;
      part.remove_prefix(step.consumed);
      input.remove_prefix(step.consumed);
    }
  }
  out.rest = input;
  return out;
}

}  // namespace

TEST_CASE("a chunked body comes out whole, however it is cut (RFC 9112 §7.1)") {
  const std::string_view input =
      "4;ext=\"a;b\"\r\nWiki\r\n0006\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nT: x\r\n\r\nNEXT";
  for (std::size_t piece = 1; piece <= input.size(); ++piece) {
    const Decoded out = decode(input, piece);
    REQUIRE(out.state == State::done);
    REQUIRE(out.body == "Wikipedia in \r\n\r\nchunks.");
    REQUIRE(out.rest == "NEXT");
  }
}

TEST_CASE("malformed chunked framing is refused and never done") {
  for (const std::string_view input : {"\r\n",
                                       "g\r\n",
                                       " 4\r\nWiki\r\n",
                                       "4 \r\nWiki\r\n",
                                       "4\nWiki\r\n0\r\n\r\n",
                                       "4\r\nWikiX\r\n",
                                       "4\r\nWiki\n0\r\n\r\n",
                                       "-1\r\n",
                                       "+4\r\nWiki\r\n",
                                       "0x4\r\nWiki\r\n",
                                       "8000000000000000\r\n",
                                       "10000000000000004\r\nWiki\r\n",
                                       "4\rWiki",
                                       "0\r\n: x\r\n\r\n",
                                       "0\r\n folded\r\n\r\n",
                                       "0\r\nno colon\r\n\r\n",
                                       "0\r\nA : b\r\n\r\n",
                                       "0\r\nA\r\n\r\n",
                                       "0\n\n",
                                       "4;a\nb\r\nWiki\r\n",
                                       ";\r\n"}) {
    CAPTURE(input);
    CHECK(decode(input, 1).state == State::bad);
    CHECK(decode(input, input.size()).state == State::bad);
  }
}

TEST_CASE("extensions, leading zeros and trailers are bounded") {
  const ChunkLimits limits{.extension_bytes_max = 8, .trailer_bytes_max = 8};
  CHECK(decode("4;12345\r\nWiki\r\n0\r\n\r\n", 99, limits).state == State::done);
  CHECK(decode("4;" + std::string(20, 'x') + "\r\nWiki\r\n", 99, limits).state == State::bad);
  CHECK(decode(std::string(20, '0') + "4\r\nWiki\r\n", 99, limits).state == State::bad);
  CHECK(decode("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 99, limits).state == State::bad);
}
