// Answers that are too large to be kept: they pass, at their client's pace.
#include <doctest/doctest.h>

#include "fetch_rig.h"
#include "site_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

constexpr std::size_t kTooLarge = (50 << 20) + 12'345;  // for the store's default

// Pauses after each piece.
class Pausing final : public FetchSink {
 public:
  explicit Pausing(Fetcher& fetcher) : fetcher_(fetcher) {}
  bool on_head(const http::ResponseHead&) override { return true; }
  bool on_body(ByteView bytes) override {
    body += as_text(bytes);
    fetcher_.pause(id);
    return true;
  }
  void on_end(FetchEnd why, std::string_view) override { end = why; }

  FetchId id = FetchId::none;
  std::string body;
  std::optional<FetchEnd> end;

 private:
  Fetcher& fetcher_;
};

}  // namespace

TEST_CASE("an object too large to be kept passes whole to each client of a site, and is not kept") {
  for (const bool chunked : {false, true}) {
    CAPTURE(chunked);
    Site site(2);
    const std::string body = pattern(kTooLarge);
    site.origin.set("/large", {.fields = "Cache-Control: max-age=300\r\n", .body = body, .chunked = chunked});
    for (int i = 1; i <= 3; ++i) {
      const Answer answer = site.get("/large");
      CHECK(answer.status == 200);
      CHECK(answer.whole);
      CHECK((answer.body == body));
      CHECK(!is_hit(answer));
    }
    CHECK(site.origin.count("/large") >= 3);
  }
}

TEST_CASE("a client's range of what is too large is the origin's to serve") {
  Site site;
  const std::string body = pattern(kTooLarge);
  site.origin.set(
      "/large", {.fields = "Cache-Control: max-age=300\r\n", .body = body, .ranges = true, .etag = "\"a\""});
  const Answer part = site.get("/large", "Range: bytes=52428900-\r\n");
  CHECK(part.status == 206);
  CHECK((part.body == body.substr(52'428'900)));
  // An origin that does not know ranges gives all of it.
  site.origin.set("/whole", {.fields = "Cache-Control: max-age=300\r\n", .body = body});
  const Answer whole = site.get("/whole", "Range: bytes=52428900-\r\n");
  CHECK(whole.status == 200);
  CHECK((whole.body == body));
}

TEST_CASE("what is too large under a Coralized name is refused") {
  TestNode node;
  TestOrigin origin;
  origin.set("/large", {.body = pattern(kTooLarge)});
  Client client(node.port());
  client.send("GET /large HTTP/1.1\r\nHost: localhost." + std::to_string(origin.port()) +
              ".reef.localhost\r\n\r\n");
  CHECK(client.read_answer().status == 502);
}

TEST_CASE("an origin that breaks off within what passes cuts the answer") {
  Site site;
  site.origin.set("/large", {.body = pattern(kTooLarge), .break_after = kTooLarge - 5});
  const Answer answer = site.get("/large");
  CHECK(answer.status == 200);
  CHECK(!answer.whole);
}

TEST_CASE_TEMPLATE("a paused fetch brings little more, and all of it once it goes on", F, BOTH) {
  const std::string body = pattern(8'000'000);
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  Rig<F> rig;
  Pausing sink(rig.fetcher);
  FetchRequest request = rig.request(server.endpoint());
  request.rate_min_bytes = 1000;
  request.rate_window = std::chrono::seconds(1);
  sink.id = rig.fetcher.start(std::move(request), sink);
  rig.run_for(1500ms);
  CHECK(!sink.end);  // no least rate while it is paused
  CHECK(!sink.body.empty());
  CHECK(sink.body.size() < 1'000'000);
  for (int i = 0; i < 5000 && !sink.end; ++i) {
    rig.fetcher.resume(sink.id);
    rig.run_for(1ms);
  }
  CHECK(sink.end == FetchEnd::complete);
  CHECK((sink.body == body));
}
