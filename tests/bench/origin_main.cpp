// The benchmarks' origin: fast enough not to be what is measured, and it counts what it is asked.
//
//   reef_bench_origin
//
// Listens on a free port of 127.0.0.1 and prints the port. GET /BYTES and GET /BYTES/ANYTHING are answered
// with that many bytes (at most 64 MiB), fresh for a day, without Date (caches then use the time of receipt,
// RFC 9110 §6.6.1). GET /count is answered with the number of requests for bytes so far, as text, and does
// not count itself. Anything else: 404. Any signal ends it.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tests/bench/canned_loop.h"

namespace {

using reef::bench::Answer;

constexpr std::size_t kBytesMax = 64 << 20;
constexpr std::size_t kHeadsMax = 1024;  // sizes remembered; the benchmarks use a handful

class Origin {
 public:
  Origin() : body_(kBytesMax, 'x') {}

  std::size_t operator()(std::size_t /*listener*/, std::string_view input, Answer& answer) {
    const std::size_t end = input.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const std::string_view head = input.substr(0, end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    // nginx asks with HTTP/1.0 and "Connection: close" unless told otherwise; what we serve keeps alive
    // with 1.1 only.
    answer.close =
        line.ends_with(" HTTP/1.0") || head.find("\r\nConnection: close\r\n") != std::string_view::npos;
    answer.head = kNotFound;
    if (constexpr std::string_view get = "GET /"; line.starts_with(get)) {
      const std::string_view path = line.substr(get.size());
      if (path.starts_with("count "))
        say_count(answer);
      else
        say_bytes(path, answer);
    }
    return end + 4;
  }

 private:
  static constexpr std::string_view kNotFound = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

  void say_count(Answer& answer) {
    const std::string count = std::to_string(requests_);
    count_ = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: " + std::to_string(count.size()) +
             "\r\n\r\n" + count;
    answer.head = count_;
  }

  void say_bytes(std::string_view path, Answer& answer) {
    std::size_t bytes = 0;
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), bytes);
    if (error != std::errc{} || bytes > kBytesMax || end == path.data() + path.size() ||
        (*end != ' ' && *end != '/'))
      return;
    auto found = heads_.find(bytes);
    if (found == heads_.end()) {
      if (heads_.size() >= kHeadsMax) return;
      const std::string text = std::to_string(bytes);
      std::string head =
          "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: max-age=86400\r\n";
      head += "ETag: \"" + text + "\"\r\nContent-Length: " + text + "\r\n\r\n";
      found = heads_.emplace(bytes, std::move(head)).first;
    }
    ++requests_;
    answer.head = found->second;
    answer.body = std::string_view(body_).substr(0, bytes);
  }

  std::string body_;
  std::unordered_map<std::size_t, std::string> heads_;  // by size; nodes stay where they are
  std::string count_;
  std::uint64_t requests_ = 0;
};

}  // namespace

int main() {
  try {
    reef::bench::CannedLoop loop{Origin{}};
    std::printf("%u\n", unsigned{loop.listen(0)});
    std::fflush(stdout);
    loop.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
