// A fetcher on a loop of its own that runs in the test's thread, and sinks that write down what they hear.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/io/event_loop.h"
#include "proxy/io/curl_fetcher.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/plain_fetcher.h"
#include "scripted_server.h"

TYPE_TO_STRING(reef::proxy::PlainFetcher);
TYPE_TO_STRING(reef::proxy::CurlFetcher);

namespace reef::proxy::test {

using namespace std::chrono_literals;  // NOLINT: tests only

// Of TEST_CASE_TEMPLATE: what holds for either fetcher.
#define BOTH PlainFetcher, CurlFetcher

inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class Recorder final : public FetchSink {
 public:
  explicit Recorder(EventLoop& loop) : loop_(loop) {}

  void on_interim(const http::ResponseHead& head) override {
    heard();
    interim.push_back(head.status);
    if (at_interim) at_interim();
  }
  bool on_head(const http::ResponseHead& head) override {
    heard();
    status = head.status;
    for (const http::Field& field : head.fields)
      fields += std::string(field.name) + ": " + std::string(field.value) + "\n";
    if (at_head) at_head();
    return takes_head;
  }
  bool on_body(ByteView bytes) override {
    heard();
    body += as_text(bytes);
    if (at_body) at_body();
    return takes_body;
  }
  void on_end(FetchEnd why, std::string_view text) override {
    heard();
    end = why;
    detail = text;
    ++ends;
    if (at_end) at_end();
    loop_.stop();
  }

  bool forbidden = false;  // a call now is one inside start() or cancel(), or after them
  std::vector<int> interim;
  int status = 0;
  std::string fields;
  std::string body;
  int ends = 0;
  FetchEnd end{};
  std::string detail;
  bool takes_head = true;
  bool takes_body = true;
  std::function<void()> at_interim, at_head, at_body, at_end;

 private:
  void heard() const {
    CHECK_FALSE(forbidden);
    CHECK(ends == 0);
  }
  EventLoop& loop_;
};

// Bytes as a test lets them arrive.
class Source final : public UploadSource {
 public:
  State read(std::span<std::byte> out, std::size_t& count) override {
    if (at_read) at_read();
    const std::string_view rest = std::string_view(ready).substr(at);
    if (rest.empty()) return then;
    count = std::min({out.size(), rest.size(), piece_bytes});
    std::copy_n(rest.begin(), count, reinterpret_cast<char*>(out.data()));
    at += count;
    return State::ready;
  }
  std::string ready;
  std::size_t at = 0;  // what has been taken of it
  std::size_t piece_bytes = 1 << 20;
  State then = State::end;
  std::function<void()> at_read;
};

template <class AnyFetcher>
class Rig {
 public:
  explicit Rig(FetcherOptions options = {})
      : loop(TimerPrecision::milliseconds), fetcher(loop, std::move(options)) {}

  [[nodiscard]] FetchRequest request(const Endpoint& to, std::string target = "/") const {
    FetchRequest out;
    out.host = "www.example.com";
    out.port = to.port;
    out.target = std::move(target);
    out.addresses = {to};
    return out;
  }
  FetchId start(FetchRequest request, Recorder& recorder) {
    recorder.forbidden = true;
    const FetchId id = fetcher.start(std::move(request), recorder);
    recorder.forbidden = false;
    return id;
  }
  void cancel(FetchId id, Recorder& recorder) {
    recorder.forbidden = true;
    fetcher.cancel(id);
  }
  // Turns the loop until `done`, which is looked at whenever a fetch has ended and every few milliseconds.
  void run_until(const std::function<bool()>& done) {
    Timer again(loop, [this] { loop.stop(); });
    const TimePoint last = loop.now() + 10s;
    while (!done()) {
      REQUIRE(loop.now() < last);
      again.start(5ms);
      loop.run();
    }
  }
  void run_to_end(const Recorder& recorder) {
    run_until([&] { return recorder.ends > 0; });
  }
  // One fetch from beginning to end.
  Recorder fetch(FetchRequest request) {
    Recorder recorder(loop);
    start(std::move(request), recorder);
    run_to_end(recorder);
    return recorder;
  }
  // For what should not happen: turns the loop for a while.
  void run_for(Duration time) {
    const TimePoint last = loop.now() + time;
    run_until([&] { return loop.now() >= last; });
  }

  EventLoop loop;
  AnyFetcher fetcher;
};

}  // namespace reef::proxy::test
