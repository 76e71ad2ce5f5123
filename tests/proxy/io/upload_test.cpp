// Requests with bodies, over both fetchers.
#include <doctest/doctest.h>

#include "fetch_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

// Reads the chunks of a body; empty string at the end, and "?" where they are malformed.
std::string read_chunks(Peer& peer) {
  std::string body;
  while (true) {
    const std::string line = peer.read_until("\r\n");
    if (line.empty()) return "?";
    const std::size_t size = std::stoul(line, nullptr, 16);
    body += peer.read(size);
    if (peer.read(2) != "\r\n") return "?";
    if (size == 0) return body;
  }
}

template <class F>
FetchRequest upload(const Rig<F>& rig, const ScriptedServer& server, Source& source, std::int64_t bytes) {
  FetchRequest request = rig.request(server.endpoint());
  request.method = "POST";
  request.upload = &source;
  request.upload_bytes = bytes;
  request.fresh_connection = true;
  return request;
}

}  // namespace

TEST_CASE_TEMPLATE("a body of known length is sent with it, one of unknown length in chunks", F, BOTH) {
  std::string head, body;
  ScriptedServer server([&](Peer& peer) {
    head = peer.read_head();
    const std::size_t length = head.find("\r\nContent-Length: ");
    body = length == std::string::npos ? read_chunks(peer) : peer.read(std::stoul(head.substr(length + 18)));
    peer.send(kOk);
  });
  Rig<F> rig;
  std::string sent(300'000, 'x');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i % 19);
  for (const std::size_t size : {std::size_t{1}, std::size_t{5000}, sent.size()}) {
    for (const std::size_t piece : {std::size_t{7919}, sent.size()}) {
      for (const bool known : {true, false}) {
        CAPTURE(size);
        CAPTURE(known);
        Source source;
        source.ready = sent.substr(0, size);
        source.piece_bytes = piece;
        const Recorder got =
            rig.fetch(upload(rig, server, source, known ? static_cast<std::int64_t>(size) : -1));
        CHECK(got.end == FetchEnd::complete);
        CHECK(got.body == "ok");
        CHECK((body == sent.substr(0, size)));
        CHECK(head.starts_with("POST / HTTP/1.1\r\n"));
        CHECK((head.find("\r\nContent-Length: ") != std::string::npos) == known);
        CHECK((head.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos) != known);
        CHECK(head.find("Expect") == std::string::npos);
      }
    }
  }
}

TEST_CASE_TEMPLATE("a body of no bytes is one", F, BOTH) {
  std::string head, body = "unread";
  ScriptedServer server([&](Peer& peer) {
    head = peer.read_head();
    if (head.find("chunked") != std::string::npos) body = read_chunks(peer);
    peer.send(kOk);
  });
  Rig<F> rig;
  Source source;
  CHECK(rig.fetch(upload(rig, server, source, 0)).end == FetchEnd::complete);
  CHECK(head.find("\r\nContent-Length: 0\r\n") != std::string::npos);
  CHECK(rig.fetch(upload(rig, server, source, -1)).end == FetchEnd::complete);
  CHECK(body.empty());
}

TEST_CASE_TEMPLATE("a source that has nothing yet is asked again when it says so, however long that takes", F,
                   BOTH) {
  std::string body;
  ScriptedServer server([&](Peer& peer) {
    const bool chunked = peer.read_head().find("chunked") != std::string::npos;
    body = chunked ? read_chunks(peer) : peer.read(9);
    peer.send(kOk);
  });
  Rig<F> rig;
  for (const std::int64_t length : {std::int64_t{9}, std::int64_t{-1}}) {
    Source source;
    source.then = UploadSource::State::wait;
    Recorder recorder(rig.loop);
    FetchRequest request = upload(rig, server, source, length);
    request.connect_timeout = 100ms;
    request.head_timeout = 100ms;
    const FetchId id = rig.start(std::move(request), recorder);
    for (const char* piece : {"one", "two", "six"}) {
      rig.run_for(250ms);
      CHECK(recorder.ends == 0);
      source.ready += piece;
      if (std::string(piece) == "six") source.then = UploadSource::State::end;
      rig.fetcher.resume_upload(id);
    }
    rig.run_to_end(recorder);
    CHECK(recorder.end == FetchEnd::complete);
    CHECK(body == "onetwosix");
  }
}

TEST_CASE_TEMPLATE("a source that breaks, or ends before its length, breaks the fetch", F, BOTH) {
  ScriptedServer server([](Peer& peer) { peer.wait_for_close(); });
  Rig<F> rig;
  for (const UploadSource::State then : {UploadSource::State::broken, UploadSource::State::end}) {
    Source source;
    source.ready = "abc";
    source.then = then;
    const Recorder got = rig.fetch(upload(rig, server, source, 10));
    CHECK(got.end == FetchEnd::broken);
  }
}

TEST_CASE_TEMPLATE("a server that takes nothing of a body is head_timeout, one that takes it slowly is not",
                   F, BOTH) {
  ScriptedServer stuck([](Peer& peer) {
    peer.read_head();
    while (true) {
      // Reads nothing; the client's close is seen as a failure to write.
      std::this_thread::sleep_for(20ms);
      if (!peer.send("HTTP/1.1 102 Processing\r\n\r\n")) return;
    }
  });
  Rig<F> rig;
  Source source;
  source.ready = std::string(20'000'000, 'x');
  FetchRequest request = upload(rig, stuck, source, 20'000'000);
  request.connect_timeout = 100ms;
  request.head_timeout = 100ms;
  CHECK((rig.fetch(std::move(request)).end == FetchEnd::head_timeout));

  std::size_t taken = 0;
  ScriptedServer slow([&](Peer& peer) {
    peer.read_head();
    for (int i = 0; i < 20; ++i) {
      taken += peer.read(1'000'000).size();
      std::this_thread::sleep_for(30ms);
    }
    peer.send(kOk);
  });
  source.at = 0;
  request = upload(rig, slow, source, 20'000'000);
  request.connect_timeout = 100ms;
  request.head_timeout = 300ms;
  CHECK(rig.fetch(std::move(request)).end == FetchEnd::complete);
  CHECK(taken == 20'000'000);
}

TEST_CASE_TEMPLATE(
    "an error before the body was sent is the answer, and the rest is not sent (RFC 9112 §9.5)", F, BOTH) {
  std::atomic<bool> is_read{false};
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    is_read.wait(false);
    peer.wait_for_close();
  });
  Rig<F> rig;
  Source source;
  source.ready = std::string(30'000'000, 'x');
  const Recorder got = rig.fetch(upload(rig, server, source, 30'000'000));
  CHECK(got.end == FetchEnd::complete);
  CHECK(got.status == 413);
  CHECK(got.body == "no");
  CHECK(source.at < source.ready.size());
  is_read = true;
  is_read.notify_all();
}

TEST_CASE("an error while the source of the body has nothing is the answer, and ends the connection") {
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    peer.wait_for_close();
  });
  Rig<PlainFetcher> rig;
  Source source;
  source.ready = "abc";
  source.then = UploadSource::State::wait;
  FetchRequest request = upload(rig, server, source, 1000);
  request.fresh_connection = false;
  const Recorder got = rig.fetch(std::move(request));
  CHECK(got.end == FetchEnd::complete);
  CHECK(got.status == 413);
  CHECK(got.body == "no");
  CHECK(rig.fetcher.kept_connections() == 0);
}

TEST_CASE_TEMPLATE("a source may cancel its own fetch", F, BOTH) {
  ScriptedServer server([](Peer& peer) { peer.wait_for_close(); });
  Rig<F> rig;
  Source source;
  Recorder recorder(rig.loop);
  FetchId id = FetchId::none;
  source.at_read = [&] { rig.cancel(id, recorder); };
  source.ready = "abc";
  id = rig.start(upload(rig, server, source, 10), recorder);
  rig.run_until([&] { return recorder.forbidden; });
  rig.run_for(50ms);
  CHECK(recorder.ends == 0);
}
