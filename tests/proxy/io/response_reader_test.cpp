#include "proxy/io/response_reader.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace reef;         // NOLINT
using namespace reef::proxy;  // NOLINT

namespace {

class Heard final : public FetchSink {
 public:
  void on_interim(const http::ResponseHead& head) override {
    text += "i" + std::to_string(head.status) + " ";
  }
  bool on_head(const http::ResponseHead& head) override {
    text += "h" + std::to_string(head.status) + " ";
    return true;
  }
  bool on_body(ByteView bytes) override {
    body += as_text(bytes);
    return true;
  }
  void on_end(FetchEnd, std::string_view) override {}
  std::string text;
  std::string body;
};

struct Outcome {
  ResponseReader::State state;
  bool leaves_connection;
  std::string text;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

Outcome read(const std::vector<std::string_view>& pieces, bool ends = false) {
  http::ResponseHeadParser parser({.head_bytes_max = 4096, .start_line_bytes_max = 1024, .fields_max = 10});
  FetcherOptions options;
  options.head_bytes_max = 4096;
  ResponseReader reader(parser, options);
  Heard heard;
  FetchSink* sink = &heard;
  reader.begin("GET");
  ResponseReader::State state = ResponseReader::State::reading;
  for (const std::string_view piece : pieces) {
    if (state == ResponseReader::State::reading) state = reader.feed(piece, sink);
  }
  if (ends && state == ResponseReader::State::reading) state = reader.end();
  return {state, reader.leaves_connection(), heard.text, heard.body};
}

const char* const kAnswers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
    "2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nT: t\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
    "HTTP/1.1 200 OK\r\nContent-Le",
    "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 20",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
};

}  // namespace

TEST_CASE("an answer is the same in whatever pieces it arrives") {
  for (const std::string_view answer : kAnswers) {
    CAPTURE(answer);
    const Outcome whole = read({answer}, true);
    for (std::size_t first = 0; first <= answer.size(); ++first) {
      CHECK(read({answer.substr(0, first), answer.substr(first)}, true) == whole);
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < answer.size(); ++i) bytes.push_back(answer.substr(i, 1));
    CHECK(read(bytes, true) == whole);
  }
  CHECK(read({kAnswers[1]}).text == "i103 i102 h200 ");
  CHECK(read({kAnswers[2]}).body == "abcde");
  CHECK(read({kAnswers[3]}).state == ResponseReader::State::broken);
  CHECK(read({kAnswers[4]}, true).state == ResponseReader::State::complete);
  CHECK(read({kAnswers[6]}, true).state == ResponseReader::State::broken);
  CHECK(read({kAnswers[7]}, true).state == ResponseReader::State::bad_head);
}

TEST_CASE("what is wrong with an answer does not depend on the pieces in which it arrives") {
  std::minstd_rand random(1);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  int bad = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string answer = kAnswers[below(std::size(kAnswers))];
    for (std::size_t change = below(3) + 1; change > 0; --change) {
      const std::size_t at = below(answer.size());
      switch (below(3)) {
        case 0:
          answer[at] = static_cast<char>(below(256));
          break;
        case 1:
          answer.erase(at, below(4));
          break;
        default:
          answer.insert(at, 1, "\r\n :0;aH"[below(8)]);
      }
      if (answer.empty()) answer = "H";
    }
    CAPTURE(round);
    const Outcome whole = read({answer}, true);
    if (whole.state != ResponseReader::State::complete) ++bad;
    std::vector<std::string_view> pieces;
    for (std::string_view rest = answer; !rest.empty();) {
      const std::size_t size = std::min(rest.size(), below(20) + 1);
      pieces.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    const Outcome split = read(pieces, true);
    REQUIRE(split.state == whole.state);
    REQUIRE(split.body == whole.body);
    REQUIRE(split.text == whole.text);
    // A byte behind the answer that has not arrived yet is seen by whoever keeps the connection.
    if (whole.leaves_connection) REQUIRE(split.leaves_connection);
  }
  CHECK(bad > 1000);
  CHECK(bad < 19'000);
}

TEST_CASE("a connection is left only by an answer that is whole, has no close in it and nothing behind it") {
  CHECK(read({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}).leaves_connection);
  CHECK(read({"HTTP/1.1 304 Not Modified\r\n\r\n"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokH"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.1 304 Not Modified\r\n\r\nH"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n"}).leaves_connection);
  CHECK_FALSE(
      read({"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"}).leaves_connection);
  CHECK_FALSE(read({"HTTP/1.1 200 OK\r\n\r\nok"}, true).leaves_connection);
}

TEST_CASE("heads are bounded together, also while the last is not complete") {
  const std::string hint = "HTTP/1.1 103 Hints\r\nX: " + std::string(1000, 'x') + "\r\n\r\n";
  CHECK(read({hint + hint + hint + hint}).state == ResponseReader::State::bad_head);
  const std::string begun = "HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x');
  CHECK(read({hint + begun}).state == ResponseReader::State::reading);
  CHECK(read({hint + hint + hint + begun}).state == ResponseReader::State::bad_head);
}
