// What holds for both fetchers: how a request is sent, where an answer ends, and why a fetch fails.
#include <doctest/doctest.h>

#include <map>

#include "fetch_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

// One answer to each request, whatever it is.
ScriptedServer answering(std::string answer) {
  return ScriptedServer([answer = std::move(answer)](Peer& peer) {
    while (!peer.read_head().empty() && peer.send(answer)) {
    }
  });
}

// One answer, then the connection is closed.
ScriptedServer answering_once(std::string answer) {
  return ScriptedServer([answer = std::move(answer)](Peer& peer) {
    if (!peer.read_head().empty()) peer.send(answer);
  });
}

template <class F>
void fetch_over_two_connections(ScriptedServer& server) {
  Rig<F> rig;
  for (int i = 0; i < 2; ++i) {
    const Recorder got = rig.fetch(rig.request(server.endpoint()));
    CHECK(got.end == FetchEnd::complete);
    CHECK(got.body == "ok");
  }
  CHECK(server.connections() == 2);
}

}  // namespace

TEST_CASE_TEMPLATE("a request goes out as it is given, with Host in front and no field of the fetcher's own",
                   F, BOTH) {
  std::string seen;
  ScriptedServer server([&](Peer& peer) {
    seen = peer.read_head();
    peer.send(kOk);
  });
  Rig<F> rig;
  FetchRequest request = rig.request(server.endpoint(), "/a?b=%20c");
  request.fields = {"Accept: */*", "X-Empty:", "Via: 1.1 here"};
  request.host_field = "other.example:81";
  const Recorder got = rig.fetch(std::move(request));
  CHECK(got.end == FetchEnd::complete);
  CHECK(got.body == "ok");
  CHECK(seen.starts_with("GET /a?b=%20c HTTP/1.1\r\nHost: other.example:81\r\n"));
  CHECK(seen.find("\r\nAccept: */*\r\n") != std::string::npos);
  CHECK(seen.find("\r\nVia: 1.1 here\r\n") != std::string::npos);
  for (const char* name : {"User-Agent:", "Expect:", "Content-Length:", "Transfer-Encoding:", "Connection:"})
    CHECK(seen.find(name) == std::string::npos);
}

TEST_CASE_TEMPLATE("Host is host and port unless it is given, and any method is sent", F, BOTH) {
  std::string seen;
  ScriptedServer server([&](Peer& peer) {
    seen = peer.read_head();
    peer.send(kOk);
  });
  Rig<F> rig;
  for (const char* method : {"OPTIONS", "POST", "FROBNICATE", "DELETE"}) {
    FetchRequest request = rig.request(server.endpoint());
    request.method = method;
    request.fresh_connection = true;
    CHECK(rig.fetch(std::move(request)).end == FetchEnd::complete);
    CHECK(seen.starts_with(std::string(method) + " / HTTP/1.1\r\nHost: www.example.com:" +
                           std::to_string(server.endpoint().port) + "\r\n"));
    // RFC 9110 §8.6: a method that has a body usually says so when there is none.
    CHECK((seen.find("\r\nContent-Length: 0\r\n") != std::string::npos) == (std::string(method) == "POST"));
  }
}

TEST_CASE_TEMPLATE("a body ends by its length, its last chunk, or the end of the connection (RFC 9112 §6.3)",
                   F, BOTH) {
  Rig<F> rig;
  for (const auto& [answer, body] : std::map<std::string, std::string>{
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
           {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n00a\r\n, "
            "world..!\r\n0\r\n"
            "Trailer: x\r\n\r\n",
            "hello, world..!"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
           {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
           {"HTTP/1.0 200 OK\r\n\r\nold", "old"}}) {
    CAPTURE(answer);
    const ScriptedServer whole = answering_once(answer);
    ScriptedServer pieces([&text = answer](Peer& peer) {
      if (peer.read_head().empty()) return;
      for (const char c : text) peer.send({&c, 1});
    });
    for (const Endpoint& to : {whole.endpoint(), pieces.endpoint()}) {
      const Recorder got = rig.fetch(rig.request(to));
      CHECK(got.end == FetchEnd::complete);
      CHECK(got.status == 200);
      CHECK(got.body == body);
    }
  }
}

TEST_CASE_TEMPLATE("answers to HEAD, 204 and 304 have no body, whatever they announce", F, BOTH) {
  const std::map<std::string, std::string> answers{
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"},
      {"OPTIONS", "HTTP/1.1 204 No Content\r\n\r\n"}};
  ScriptedServer server([&](Peer& peer) {
    std::string head;
    while (!(head = peer.read_head()).empty()) peer.send(answers.at(head.substr(0, head.find(' '))));
  });
  Rig<F> rig;
  for (const auto& [method, answer] : answers) {
    CAPTURE(method);
    FetchRequest request = rig.request(server.endpoint());
    request.method = method;
    const Recorder got = rig.fetch(std::move(request));
    CHECK(got.end == FetchEnd::complete);
    CHECK(got.status > 0);
    CHECK(got.body.empty());
  }
  CHECK(server.connections() == 1);
}

TEST_CASE_TEMPLATE("the final head is passed on with its fields in order, trailers are not", F, BOTH) {
  const ScriptedServer server = answering(
      "HTTP/1.1 418 I'm one\r\nB: 2\r\na:  1 \r\nB: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: "
      "t\r\n\r\n");
  Rig<F> rig;
  const Recorder got = rig.fetch(rig.request(server.endpoint()));
  CHECK(got.status == 418);
  CHECK(got.fields == "B: 2\na: 1\nB: 3\nTransfer-Encoding: chunked\n");
  CHECK(got.body == "x");
}

TEST_CASE_TEMPLATE("interim answers are told one by one, and so many of them are no answer", F, BOTH) {
  std::string sixteen;
  for (int i = 0; i < 16; ++i) sixteen += "HTTP/1.1 " + std::to_string(102 + i % 2) + " Wait\r\nX: y\r\n\r\n";
  const ScriptedServer patient = answering_once(sixteen + kOk);
  const ScriptedServer one_more = answering_once("HTTP/1.1 100 Continue\r\n\r\n" + sixteen + kOk);
  ScriptedServer endless([](Peer& peer) {
    peer.read_head();
    while (peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) {
    }
  });
  Rig<F> rig;
  const Recorder got = rig.fetch(rig.request(patient.endpoint()));
  CHECK(got.end == FetchEnd::complete);
  CHECK(got.interim.size() == 16);
  CHECK(got.interim[0] == 102);
  CHECK(got.interim[1] == 103);
  CHECK(got.body == "ok");
  for (const Endpoint& to : {one_more.endpoint(), endless.endpoint()}) {
    const Recorder flooded = rig.fetch(rig.request(to));
    CHECK(flooded.end == FetchEnd::bad_head);
    CHECK(flooded.interim.size() == 16);
    CHECK(flooded.status == 0);
  }
}

TEST_CASE_TEMPLATE("a head is bounded in bytes and fields, interim ones counted in", F, BOTH) {
  ScriptedServer endless([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\n");
    while (peer.send("X-Field: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  ScriptedServer one_line([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nX: ");
    while (peer.send(std::string(1000, 'x'))) {
    }
  });
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "A: b\r\n";
  std::string interim;
  for (int i = 0; i < 9; ++i)
    interim += "HTTP/1.1 103 Early Hints\r\nX: " + std::string(7500, 'x') + "\r\n\r\n";
  const ScriptedServer too_many = answering_once(many + "Content-Length: 0\r\n\r\n");
  const ScriptedServer too_much = answering_once(interim + kOk);
  Rig<F> rig;
  for (const Endpoint& to :
       {endless.endpoint(), one_line.endpoint(), too_many.endpoint(), too_much.endpoint()}) {
    const Recorder got = rig.fetch(rig.request(to));
    CHECK(got.end == FetchEnd::bad_head);
    CHECK(got.status == 0);
  }
}

TEST_CASE_TEMPLATE(
    "an answer whose framing is ambiguous, or that is no HTTP, is bad_head and nothing of it passes", F,
    BOTH) {
  Rig<F> rig;
  for (const char* answer : {
           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
           "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
           "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\r\nNo colon\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc",
           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
           "<html>\r\n\r\n</html>\r\n\r\n",
       }) {
    CAPTURE(answer);
    const ScriptedServer server = answering_once(answer);
    const Recorder got = rig.fetch(rig.request(server.endpoint()));
    CHECK(got.end == FetchEnd::bad_head);
    CHECK(got.status == 0);
    CHECK(got.body.empty());
    CHECK(server.connections() == 1);
  }
}

TEST_CASE_TEMPLATE("bytes that are no chunks break the fetch, and none of them becomes body", F,
                   PlainFetcher) {
  Rig<F> rig;
  for (const char* body :
       {"3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r\n-1\r\n",
        "3\r\nabc\r\n\r\n", "3\r\nabc\r\nfffffffffffffffff\r\nx", "3\r\nabc\r\n0x1\r\nd\r\n0\r\n\r\n",
        "3\r\nabc\r\n1 \r\nd\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nbad trailer\x01\r\n\r\n"}) {
    CAPTURE(body);
    const ScriptedServer server =
        answering_once(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + body);
    const Recorder got = rig.fetch(rig.request(server.endpoint()));
    CHECK(got.status == 200);
    CHECK(got.end == FetchEnd::broken);
    CHECK(std::string("abc").starts_with(got.body));
  }
}

TEST_CASE_TEMPLATE("a body that ends early, or a connection that is reset, is broken", F, BOTH) {
  const ScriptedServer shorter = answering_once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  const ScriptedServer no_last_chunk =
      answering_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  const ScriptedServer within_chunk =
      answering_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc");
  ScriptedServer reset([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\n\r\nabc");
    // Until the client has the bytes, which it says by closing or by asking again elsewhere: a reset may
    // overtake them.
    std::this_thread::sleep_for(100ms);
    peer.reset();
  });
  Rig<F> rig;
  for (const Endpoint& to :
       {shorter.endpoint(), no_last_chunk.endpoint(), within_chunk.endpoint(), reset.endpoint()}) {
    const Recorder got = rig.fetch(rig.request(to));
    CHECK(got.status == 200);
    CHECK(got.body == "abc");
    CHECK(got.end == FetchEnd::broken);
  }
}

TEST_CASE_TEMPLATE("a server that closes without an answer, or within its head, is not asked again", F,
                   BOTH) {
  for (const char* answer : {"", "HTTP/1.1 200 OK\r\nContent-"}) {
    CAPTURE(answer);
    const ScriptedServer server = answering_once(answer);
    Rig<F> rig;
    const Recorder got = rig.fetch(rig.request(server.endpoint()));
    CHECK(got.end == (*answer == 0 ? FetchEnd::broken : FetchEnd::bad_head));
    CHECK(got.status == 0);
    CHECK(server.connections() == 1);
  }
}

TEST_CASE_TEMPLATE("what comes behind an answer is never part of another one", F, BOTH) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.send(peer.number == 1 ? kOk + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : kOk);
    peer.wait_for_close();
  });
  fetch_over_two_connections<F>(server);
}

TEST_CASE_TEMPLATE("a connection is used again, unless one side says no or it must be a fresh one", F, BOTH) {
  const ScriptedServer keeps = answering(kOk);
  const ScriptedServer closes =
      answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  const ScriptedServer old = answering("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const ScriptedServer chunks =
      answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
  const ScriptedServer fresh = answering(kOk);
  Rig<F> rig;
  for (int i = 0; i < 3; ++i) {
    for (const ScriptedServer* server : {&keeps, &closes, &old, &chunks, &fresh}) {
      FetchRequest request = rig.request(server->endpoint());
      request.fresh_connection = server == &fresh;
      const Recorder got = rig.fetch(std::move(request));
      CHECK(got.end == FetchEnd::complete);
      CHECK(got.body == "ok");
    }
  }
  CHECK(keeps.connections() == 1);
  CHECK(closes.connections() == 3);
  CHECK(old.connections() == 3);
  CHECK(chunks.connections() == 1);
  CHECK(fresh.connections() == 3);
}

TEST_CASE_TEMPLATE("two names at one address do not share a connection", F, BOTH) {
  const ScriptedServer server = answering(kOk);
  Rig<F> rig;
  for (const char* host : {"a.example", "b.example", "a.example", "b.example"}) {
    FetchRequest request = rig.request(server.endpoint());
    request.host = host;
    CHECK(rig.fetch(std::move(request)).end == FetchEnd::complete);
  }
  CHECK(server.connections() == 2);
}

TEST_CASE_TEMPLATE(
    "a kept connection that was closed meanwhile costs nothing: the request goes over a new one", F, BOTH) {
  std::atomic<int> requests{0};
  // Closed at the moment at which the next request arrives, or before.
  ScriptedServer server([&](Peer& peer) {
    if (peer.read_head().empty()) return;
    ++requests;
    peer.send(kOk);
    if (peer.number == 1 && !peer.read_head().empty()) {
      ++requests;
      return;
    }
    peer.wait_for_close();
  });
  fetch_over_two_connections<F>(server);
  CHECK(requests == 3);
}

TEST_CASE_TEMPLATE("a kept connection that breaks off within an answer is not asked again", F, BOTH) {
  std::atomic<int> requests{0};
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    ++requests;
    peer.send(kOk);
    if (peer.read_head().empty()) return;
    ++requests;
    peer.send("HTTP/1.1 200 OK\r\n");
  });
  Rig<F> rig;
  CHECK(rig.fetch(rig.request(server.endpoint())).end == FetchEnd::complete);
  const Recorder got = rig.fetch(rig.request(server.endpoint()));
  CHECK((got.end == FetchEnd::bad_head || got.end == FetchEnd::broken));
  CHECK(server.connections() == 1);
  CHECK(requests == 2);
}

TEST_CASE_TEMPLATE("addresses are tried in turn until one connects; the end of them is connect_failed", F,
                   BOTH) {
  const ScriptedServer server = answering(kOk);
  Endpoint nobody;
  {
    const ScriptedServer gone = answering(kOk);
    nobody = gone.endpoint();
  }
  Rig<F> rig;
  FetchRequest request = rig.request(nobody);
  request.addresses = {nobody, {IpAddress::v4(127, 0, 0, 2), nobody.port}, server.endpoint()};
  const Recorder got = rig.fetch(std::move(request));
  CHECK(got.end == FetchEnd::complete);
  CHECK(got.body == "ok");
  request = rig.request(nobody);
  request.addresses.push_back({IpAddress::v4(127, 0, 0, 2), nobody.port});
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::connect_failed);
  request = rig.request(nobody);
  request.addresses.clear();
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::refused_address);
}

TEST_CASE_TEMPLATE("an address that does not answer is given up after connect_timeout", F, BOTH) {
  // A listener whose queue is full drops what comes.
  const Fd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(full.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  ::getsockname(full.get(), reinterpret_cast<sockaddr*>(&address), &size);
  REQUIRE(::listen(full.get(), 0) == 0);
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(::connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  }
  const Endpoint silent{IpAddress::v4(127, 0, 0, 1), ntohs(address.sin_port)};
  const ScriptedServer server = answering(kOk);
  Rig<F> rig;
  FetchRequest request = rig.request(silent);
  request.connect_timeout = 200ms;
  const TimePoint began = rig.loop.now();
  CHECK(rig.fetch(request).end == FetchEnd::connect_failed);
  CHECK(rig.loop.now() - began >= 200ms);
  CHECK(rig.loop.now() - began < 1s);
  request.addresses.push_back(server.endpoint());
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::complete);
}

TEST_CASE_TEMPLATE("a head that does not come in time is head_timeout, also when it trickles", F, BOTH) {
  ScriptedServer silent([](Peer& peer) { peer.wait_for_close(); });
  ScriptedServer trickling([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nX: ");
    while (peer.send("x")) std::this_thread::sleep_for(20ms);
  });
  ScriptedServer hinting([](Peer& peer) {
    peer.read_head();
    for (int i = 0; i < 10 && peer.send("HTTP/1.1 102 Processing\r\n\r\n"); ++i)
      std::this_thread::sleep_for(50ms);
    peer.wait_for_close();
  });
  Rig<F> rig;
  for (const Endpoint& to : {silent.endpoint(), trickling.endpoint(), hinting.endpoint()}) {
    FetchRequest request = rig.request(to);
    request.connect_timeout = 100ms;
    request.head_timeout = 200ms;
    const TimePoint began = rig.loop.now();
    const Recorder got = rig.fetch(std::move(request));
    CHECK(got.end == FetchEnd::head_timeout);
    CHECK(rig.loop.now() - began >= 290ms);
    CHECK(rig.loop.now() - began < 1s);
  }
}

TEST_CASE_TEMPLATE(
    "a body below the least rate has stalled, one that is merely slow has not, and all have an end", F,
    BOTH) {
  ScriptedServer stops([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    peer.wait_for_close();
  });
  ScriptedServer drips([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while (peer.send("x")) std::this_thread::sleep_for(50ms);
  });
  Rig<F> rig;
  const auto limited = [&](const ScriptedServer& server, std::uint32_t rate) {
    FetchRequest request = rig.request(server.endpoint());
    request.rate_min_bytes = rate;
    request.rate_window = 1s;
    request.total_timeout = 2500ms;
    return request;
  };
  CHECK(rig.fetch(limited(stops, 100)).end == FetchEnd::stalled);
  CHECK(rig.fetch(limited(drips, 1000)).end == FetchEnd::stalled);
  const Recorder slow = rig.fetch(limited(drips, 1));
  CHECK(slow.end == FetchEnd::timed_out);
  CHECK(slow.body.size() > 20);
  CHECK(rig.fetch(limited(stops, 0)).end == FetchEnd::timed_out);
}

TEST_CASE_TEMPLATE("a sink may refuse a head or a body, and hears only the end of it", F, BOTH) {
  const ScriptedServer server = answering(kOk);
  Rig<F> rig;
  for (const bool head : {true, false}) {
    Recorder recorder(rig.loop);
    recorder.takes_head = !head;
    recorder.takes_body = head;
    rig.start(rig.request(server.endpoint()), recorder);
    rig.run_to_end(recorder);
    CHECK(recorder.end == FetchEnd::refused_by_sink);
    CHECK(recorder.body == (head ? "" : "ok"));
  }
}

TEST_CASE_TEMPLATE("a cancelled fetch is silent, whenever that is", F, BOTH) {
  ScriptedServer server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (peer.send("3\r\nabc\r\n")) std::this_thread::sleep_for(5ms);
  });
  Rig<F> rig;
  enum class When { at_once, next_turn, interim, head, body, later };
  for (const When when :
       {When::at_once, When::next_turn, When::interim, When::head, When::body, When::later}) {
    CAPTURE(static_cast<int>(when));
    Recorder recorder(rig.loop);
    FetchId id = FetchId::none;
    const auto cancel = [&] { rig.cancel(id, recorder); };
    if (when == When::interim) recorder.at_interim = cancel;
    if (when == When::head) recorder.at_head = cancel;
    if (when == When::body) recorder.at_body = cancel;
    id = rig.start(rig.request(server.endpoint()), recorder);
    if (when == When::next_turn) rig.run_for(1ms);
    if (when == When::later) rig.run_until([&] { return recorder.body.size() > 10; });
    if (when <= When::next_turn || when == When::later) cancel();
    rig.run_until([&] { return recorder.forbidden; });
    rig.run_for(50ms);
    CHECK(recorder.ends == 0);
    rig.fetcher.cancel(id);
    rig.fetcher.resume_upload(id);
  }
}

TEST_CASE_TEMPLATE("a sink may start the next fetch in its end, and many run at once", F, BOTH) {
  const ScriptedServer server = answering(kOk);
  Rig<F> rig;
  int done = 0;
  std::vector<std::unique_ptr<Recorder>> recorders;
  const std::function<void()> next = [&] {
    recorders.push_back(std::make_unique<Recorder>(rig.loop));
    Recorder& recorder = *recorders.back();
    recorder.at_end = [&] {
      CHECK(recorder.end == FetchEnd::complete);
      CHECK(recorder.body == "ok");
      ++done;
      if (recorders.size() < 500) next();
    };
    rig.start(rig.request(server.endpoint()), recorder);
  };
  for (int i = 0; i < 20; ++i) next();
  rig.run_until([&] { return done == static_cast<int>(recorders.size()); });
  CHECK(done == 500);
  CHECK(server.connections() <= 25);
}

TEST_CASE_TEMPLATE("a large body passes whole", F, BOTH) {
  std::string body(5'000'000, 0);
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  const ScriptedServer plain =
      answering("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const ScriptedServer chunked =
      answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + body + "\r\n0\r\n\r\n");
  Rig<F> rig;
  for (const Endpoint& to : {plain.endpoint(), chunked.endpoint()}) {
    const Recorder got = rig.fetch(rig.request(to));
    CHECK(got.end == FetchEnd::complete);
    CHECK((got.body == body));
  }
}

TEST_CASE_TEMPLATE("destroying a fetcher ends its fetches without a word", F, BOTH) {
  ScriptedServer server([](Peer& peer) { peer.wait_for_close(); });
  std::unique_ptr<Recorder> recorder;
  {
    Rig<F> rig;
    recorder = std::make_unique<Recorder>(rig.loop);
    rig.start(rig.request(server.endpoint()), *recorder);
    rig.run_until([&] { return server.connections() == 1; });
    recorder->forbidden = true;
  }
  CHECK(recorder->ends == 0);
}
