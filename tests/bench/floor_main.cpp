// The floor: the least that a cache hit sent from memory over TCP can cost. One recv and one writev of a
// canned answer on a bare epoll loop; nothing is parsed, looked up, logged or timed.
//
//   reef_bench_floor BYTES[:close]...        e.g. 1024 12288 1024:close
//
// Listens on 127.0.0.1, on one free port for each argument, and prints the ports on one line, in that order.
// Answers whatever one recv brings, as a load generator without pipelining sends one request whole. `close`:
// the connection ends after the answer. Any signal ends it.
#include <charconv>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/canned_loop.h"

namespace {

using reef::bench::Answer;

constexpr std::size_t kBytesMax = 64 << 20;

struct Canned {
  std::string head, body;
  bool close = false;
};

std::optional<Canned> make_canned(std::string_view argument) {
  Canned canned;
  if (constexpr std::string_view mark = ":close"; argument.ends_with(mark)) {
    canned.close = true;
    argument.remove_suffix(mark.size());
  }
  std::size_t bytes = 0;
  const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), bytes);
  if (error != std::errc{} || end != argument.data() + argument.size() || bytes > kBytesMax)
    return std::nullopt;
  canned.body.assign(bytes, 'x');
  // As long as what a cache says with a hit.
  canned.head =
      "HTTP/1.1 200 OK\r\n"
      "Content-Type: application/octet-stream\r\n"
      "Cache-Control: max-age=86400\r\n"
      "ETag: \"canned\"\r\n"
      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
      "Age: 10\r\n"
      "Via: 1.1 floor\r\n"
      "Cache-Status: floor; hit; ttl=86390\r\n"
      "Content-Length: " +
      std::to_string(bytes) + "\r\n" + (canned.close ? "Connection: close\r\n\r\n" : "\r\n");
  return canned;
}

int run(int argc, char** argv) {
  std::vector<Canned> canned;
  for (int i = 1; i < argc; ++i) {
    auto made = make_canned(argv[i]);
    if (!made) {
      std::fprintf(stderr, "%s: not BYTES[:close], at most %zu\n", argv[i], kBytesMax);
      return 2;
    }
    canned.push_back(*std::move(made));
  }
  if (canned.empty()) {
    std::fprintf(stderr, "usage: %s BYTES[:close]...\n", argv[0]);
    return 2;
  }
  reef::bench::CannedLoop loop([&canned](std::size_t listener, std::string_view input, Answer& answer) {
    const Canned& mine = canned[listener];
    answer = {.head = mine.head, .body = mine.body, .close = mine.close};
    return input.size();
  });
  for (std::size_t i = 0; i < canned.size(); ++i)
    std::printf("%s%u", i == 0 ? "" : " ", unsigned{loop.listen(0)});
  std::printf("\n");
  std::fflush(stdout);
  loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
