// What only the fetcher for http promises: what is kept, what is sent twice, how much of it costs a
// connection.
#include "proxy/io/plain_fetcher.h"

#include <doctest/doctest.h>

#include "fetch_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

using PlainRig = Rig<PlainFetcher>;

// Answers the first request of each connection and closes when it has the second.
class Forgetful {
 public:
  std::atomic<int> requests{0};
  ScriptedServer server{[this](Peer& peer) {
    if (peer.read_head().empty()) return;
    ++requests;
    peer.send(kOk);
    if (!peer.read_head().empty()) ++requests;
  }};
};

}  // namespace

TEST_CASE(
    "only a safe request without a body is sent again when a kept connection was closed (RFC 9112 §9.3.1)") {
  for (const std::string method : {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "FROBNICATE"}) {
    CAPTURE(method);
    Forgetful forgetful;
    PlainRig rig;
    CHECK(rig.fetch(rig.request(forgetful.server.endpoint())).end == FetchEnd::complete);
    FetchRequest request = rig.request(forgetful.server.endpoint());
    request.method = method;
    // Answers to HEAD have no body; the two bytes behind are surplus.
    const Recorder got = rig.fetch(std::move(request));
    const bool safe = method == "GET" || method == "HEAD" || method == "OPTIONS";
    CHECK(got.end == (safe ? FetchEnd::complete : FetchEnd::broken));
    CHECK(forgetful.requests == (safe ? 3 : 2));
    CHECK(forgetful.server.connections() == (safe ? 2 : 1));
  }
}

TEST_CASE("a request with a body is never sent again") {
  Forgetful forgetful;
  PlainRig rig;
  CHECK(rig.fetch(rig.request(forgetful.server.endpoint())).end == FetchEnd::complete);
  Source source;
  source.ready = "abc";
  FetchRequest request = rig.request(forgetful.server.endpoint());
  request.upload = &source;
  request.upload_bytes = 3;
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::broken);
  CHECK(forgetful.requests == 2);
}

TEST_CASE("a request is sent again once, not until it works") {
  std::atomic<int> requests{0};
  ScriptedServer server([&](Peer& peer) {
    if (peer.read_head().empty()) return;
    ++requests;
    if (peer.number > 1) return;
    peer.send(kOk);
    if (!peer.read_head().empty()) ++requests;
  });
  PlainRig rig;
  CHECK(rig.fetch(rig.request(server.endpoint())).end == FetchEnd::complete);
  CHECK(rig.fetch(rig.request(server.endpoint())).end == FetchEnd::broken);
  CHECK(requests == 3);
  CHECK(server.connections() == 2);
}

TEST_CASE("a kept connection that the server closes, or that says something, is closed") {
  std::atomic<bool> go{false};
  for (const std::string last : {"", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"}) {
    go = false;
    ScriptedServer server([&](Peer& peer) {
      if (peer.read_head().empty()) return;
      peer.send(kOk);
      go.wait(false);
      if (peer.number == 1) {
        peer.send(last);
        if (last.empty()) return;
      }
      peer.wait_for_close();
    });
    PlainRig rig;
    CHECK(rig.fetch(rig.request(server.endpoint())).end == FetchEnd::complete);
    CHECK(rig.fetcher.kept_connections() == 1);
    go = true;
    go.notify_all();
    rig.run_until([&] { return rig.fetcher.kept_connections() == 0; });
    const Recorder got = rig.fetch(rig.request(server.endpoint()));
    CHECK(got.end == FetchEnd::complete);
    CHECK(got.body == "ok");
    CHECK(server.connections() == 2);
  }
}

TEST_CASE("what a server says on a kept connection is no answer, also when it was not looked at before") {
  std::atomic<bool> sent{false};
  ScriptedServer server([&](Peer& peer) {
    if (peer.read_head().empty()) return;
    peer.send(kOk);
    if (peer.number == 1) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
      sent = true;
      sent.notify_all();
    }
    peer.wait_for_close();
  });
  PlainRig rig;
  Recorder first(rig.loop), second(rig.loop);
  // In the turn in which the connection has become free, without a look at its events in between.
  first.at_end = [&] {
    sent.wait(false);
    rig.start(rig.request(server.endpoint()), second);
  };
  rig.start(rig.request(server.endpoint()), first);
  rig.run_to_end(second);
  CHECK(first.body == "ok");
  CHECK(second.body == "ok");
  CHECK(server.connections() == 2);
}

TEST_CASE("kept connections are bounded in all, per server, and in time") {
  const auto serve = [](Peer& peer) {
    while (!peer.read_head().empty() && peer.send(kOk)) {
    }
  };
  ScriptedServer a(serve), b(serve);
  FetcherOptions options;
  options.connections_max = 4;
  options.connections_per_server_max = 3;
  options.idle_timeout = std::chrono::seconds(1);
  PlainRig rig(options);
  const auto crowd = [&](const ScriptedServer& server, int count) {
    std::vector<std::unique_ptr<Recorder>> recorders;
    for (int i = 0; i < count; ++i) {
      recorders.push_back(std::make_unique<Recorder>(rig.loop));
      rig.start(rig.request(server.endpoint()), *recorders.back());
    }
    for (const auto& recorder : recorders) rig.run_to_end(*recorder);
  };
  crowd(a, 5);
  CHECK(rig.fetcher.kept_connections() == 3);
  crowd(b, 2);
  CHECK(rig.fetcher.kept_connections() == 4);
  // One of the first server's has made room.
  crowd(a, 3);
  CHECK(a.connections() == 6);
  crowd(b, 1);
  CHECK(b.connections() == 2);
  const TimePoint began = rig.loop.now();
  rig.run_until([&] { return rig.fetcher.kept_connections() == 0; });
  CHECK(rig.loop.now() - began >= 900ms);
  CHECK(rig.loop.now() - began < 3s);
}

TEST_CASE("an answer that was not wanted leaves its connection, where all of it is there") {
  std::string long_body(200'000, 'x');
  ScriptedServer server([&](Peer& peer) {
    std::string head;
    while (!(head = peer.read_head()).empty()) {
      const std::string body = head.starts_with("GET /long") ? long_body : "ok";
      if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body))
        return;
    }
  });
  PlainRig rig;
  Recorder refusing(rig.loop);
  refusing.takes_head = false;
  rig.start(rig.request(server.endpoint()), refusing);
  rig.run_to_end(refusing);
  CHECK(refusing.end == FetchEnd::refused_by_sink);
  CHECK(refusing.body.empty());
  CHECK(rig.fetcher.kept_connections() == 1);

  Recorder cancelling(rig.loop);
  FetchId id = FetchId::none;
  cancelling.at_head = [&] { rig.cancel(id, cancelling); };
  id = rig.start(rig.request(server.endpoint()), cancelling);
  rig.run_until([&] { return cancelling.forbidden; });
  CHECK(rig.fetcher.kept_connections() == 1);

  Recorder long_one(rig.loop);
  long_one.takes_head = false;
  rig.start(rig.request(server.endpoint(), "/long"), long_one);
  rig.run_to_end(long_one);
  CHECK(rig.fetcher.kept_connections() == 0);
  CHECK(server.connections() == 1);
}

TEST_CASE("a connection to any of the addresses is used again before a new one is made") {
  ScriptedServer server([](Peer& peer) {
    while (!peer.read_head().empty() && peer.send(kOk)) {
    }
  });
  PlainRig rig;
  CHECK(rig.fetch(rig.request(server.endpoint())).end == FetchEnd::complete);
  FetchRequest request = rig.request(server.endpoint());
  request.addresses.insert(request.addresses.begin(), {IpAddress::v4(127, 0, 0, 9), server.endpoint().port});
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::complete);
  CHECK(server.connections() == 1);
}

TEST_CASE("a request that the socket does not take at once is sent in the end") {
  std::string target;
  ScriptedServer server([&](Peer& peer) {
    std::this_thread::sleep_for(50ms);
    const std::string head = peer.read_head();
    target = head.substr(4, head.find(' ', 4) - 4);
    peer.send(kOk);
  });
  PlainRig rig;
  const std::string long_target = "/" + std::string(8'000'000, 'x');
  CHECK(rig.fetch(rig.request(server.endpoint(), long_target)).end == FetchEnd::complete);
  CHECK((target == long_target));
}
