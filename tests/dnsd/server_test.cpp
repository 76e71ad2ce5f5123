#include "dnsd/io/server.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <functional>
#include <future>
#include <thread>

#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;
using namespace std::chrono_literals;
using test::make_query;
using test::Raw;

namespace {

constexpr int kPatienceMs = 10'000;  // how long a test waits for what must come

Options options_on(const char* listen) {
  Options options;
  options.zone.zone = options.zone.suffix = *Name::parse("reef.example");
  options.listen = {*Endpoint::parse(listen)};
  return options;
}

std::shared_ptr<const View> view_of(const char* address) {
  return std::make_shared<View>(
      std::vector<Candidate>{{*IpAddress::parse(address), dsht::kServiceProxy, 0, std::nullopt}},
      std::vector<IpAddress>{}, 1);
}

// A server on a loop with its thread.
class Running {
 public:
  explicit Running(const Options& options, WantVerdict want = {})
      : server_(Server::start(loop_, options, view_of("192.0.2.1"), std::move(want)).value()) {
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Running() {
    loop_.stop();
    thread_.join();
  }
  Endpoint endpoint() const { return server_->endpoints().at(0); }
  const Counters& counters() const { return server_->counters(); }
  void set_view(std::shared_ptr<const View> view) {
    run([&] { server_->set_view(std::move(view)); });
  }
  void set_verdict(const Prefix& network, dsht::Level level) {
    Verdict verdict;
    verdict.level = level;
    verdict.source = Source::rtt;
    run([&] {
      verdict.made = verdict.verified = loop_.now();
      server_->set_verdict(network, std::make_shared<const Verdict>(verdict));
    });
  }
  // On the server's loop, done when this returns.
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    REQUIRE(loop_.post([&] {
      task();
      done.set_value();
    }));
    done.get_future().wait();
  }

 private:
  EventLoop loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

class ClientSocket {
 public:
  ClientSocket(const Endpoint& to, int type) {
    sockaddr_storage address;
    const socklen_t length = to.to(address);
    fd_ = Fd(::socket(address.ss_family, type, 0));
    REQUIRE(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  }
  void send(const Raw& bytes) {
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  // Empty: the peer closed (TCP), or nothing came.
  Raw receive() {
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, kPatienceMs) != 1) return {};
    Raw out(65536);
    const ssize_t got = ::recv(fd_.get(), out.data(), out.size(), 0);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }
  bool is_closed_by_peer() {
    pollfd p{fd_.get(), POLLIN, 0};
    char byte;
    return ::poll(&p, 1, kPatienceMs) == 1 && ::recv(fd_.get(), &byte, 1, 0) <= 0;
  }
  // Reads `count` length-prefixed messages.
  std::vector<test::Response> messages(std::size_t count) {
    std::vector<test::Response> out;
    while (out.size() < count) {
      while (in_.size() >= 2 && in_.size() >= 2u + (in_[0] << 8 | in_[1]) && out.size() < count) {
        const auto size = static_cast<std::ptrdiff_t>(in_[0] << 8 | in_[1]);
        out.push_back(test::read_response(Raw(in_.begin() + 2, in_.begin() + 2 + size)).value());
        in_.erase(in_.begin(), in_.begin() + 2 + size);
      }
      if (out.size() == count) break;
      const Raw more = receive();
      if (more.empty()) break;
      in_.insert(in_.end(), more.begin(), more.end());
    }
    return out;
  }

 private:
  Fd fd_;
  Raw in_;
};

Raw framed(const Raw& message) {
  Raw out;
  test::put16(out, static_cast<unsigned>(message.size()));
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

}  // namespace

TEST_CASE("the server answers by UDP on IPv4 and IPv6") {
  for (const char* listen : {"127.0.0.1:0", "[::1]:0"}) {
    Running server(options_on(listen));
    ClientSocket client(server.endpoint(), SOCK_DGRAM);
    client.send(make_query({}));
    const auto response = test::read_response(client.receive());
    REQUIRE(response);
    CHECK(response->answer.back().rdata == Raw{192, 0, 2, 1});
  }
}

TEST_CASE("a server on a wildcard address answers from the address that was asked") {
  for (const auto& [listen, ask] : {std::pair{"0.0.0.0:0", "127.0.0.5"}, {"[::]:0", "::1"}}) {
    Running server(options_on(listen));
    // A connected socket takes datagrams from that address only.
    ClientSocket client({*IpAddress::parse(ask), server.endpoint().port}, SOCK_DGRAM);
    client.send(make_query({}));
    CHECK(test::read_response(client.receive()));
  }
}

TEST_CASE("silence is silence, and the server goes on") {
  Running server(options_on("127.0.0.1:0"));
  ClientSocket client(server.endpoint(), SOCK_DGRAM);
  Raw response = make_query({.id = 1});
  response[2] |= 0x80;
  client.send(response);
  client.send({1, 2, 3});
  client.send(Raw(3000, 0));
  client.send(make_query({.id = 2}));
  CHECK(test::read_response(client.receive())->id == 2);
  CHECK(server.counters().silences[static_cast<std::size_t>(Silence::is_response)].value() == 1);
  CHECK(server.counters().silences[static_cast<std::size_t>(Silence::too_short)].value() == 1);
  CHECK(server.counters().oversized.value() == 1);
  CHECK(server.counters().rcodes[0].value() == 1);
}

TEST_CASE("a new view shows in the next answer") {
  Running server(options_on("127.0.0.1:0"));
  ClientSocket client(server.endpoint(), SOCK_DGRAM);
  client.send(make_query({}));
  CHECK(test::read_response(client.receive())->answer.back().rdata == Raw{192, 0, 2, 1});
  server.set_view(view_of("198.51.100.7"));
  client.send(make_query({}));
  CHECK(test::read_response(client.receive())->answer.back().rdata == Raw{198, 51, 100, 7});
}

TEST_CASE("two loops share one endpoint") {
  Running first(options_on("127.0.0.1:0"));
  Options options = options_on("127.0.0.1:0");
  options.listen = {first.endpoint()};
  Running second(options);
  for (int i = 0; i < 100; ++i) {
    ClientSocket client(first.endpoint(), SOCK_DGRAM);
    client.send(make_query({}));
    CHECK(test::read_response(client.receive()));
  }
  CHECK(first.counters().queries[0].value() + second.counters().queries[0].value() == 100);
  CHECK(first.counters().queries[0].value() > 0);
  CHECK(second.counters().queries[0].value() > 0);
}

TEST_CASE("queries on one connection are pipelined, wherever the segments are cut (RFC 7766)") {
  Running server(options_on("127.0.0.1:0"));
  ClientSocket client(server.endpoint(), SOCK_STREAM);
  Raw bytes;
  for (unsigned id = 0; id < 5; ++id) {
    const Raw one = framed(make_query({.id = id}));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  for (const std::uint8_t byte : bytes) client.send({byte});
  const auto answers = client.messages(5);
  REQUIRE(answers.size() == 5);
  for (unsigned id = 0; id < 5; ++id) CHECK(answers[id].id == id);
}

TEST_CASE(
    "a client that sends much before it reads gets every answer, and the server holds a bounded part of "
    "them") {
  Options options = options_on("127.0.0.1:0");
  options.tcp.unsent_bytes_max = 1000;
  Running server(options);
  ClientSocket client(server.endpoint(), SOCK_STREAM);
  constexpr unsigned kCount = 20'000;
  std::thread sender([&] {
    for (unsigned id = 0; id < kCount; ++id) client.send(framed(make_query({.id = id})));
  });
  const auto answers = client.messages(kCount);
  sender.join();
  REQUIRE(answers.size() == kCount);
  for (unsigned id = 0; id < kCount; ++id) CHECK(answers[id].id == id);
}

TEST_CASE("nonsense closes its connection: a message too long, too short, or a response") {
  Running server(options_on("127.0.0.1:0"));
  Raw response = make_query({});
  response[2] |= 0x80;
  for (const Raw& bytes : {Raw{0xff, 0xff}, framed({1, 2, 3}), framed({}), framed(response)}) {
    ClientSocket client(server.endpoint(), SOCK_STREAM);
    client.send(bytes);
    CHECK(client.is_closed_by_peer());
  }
  CHECK(server.counters().tcp_broken.value() == 4);
}

TEST_CASE("a connection without a whole message is closed after the idle time-out") {
  Options options = options_on("127.0.0.1:0");
  options.tcp.idle_timeout = 50ms;
  Running server(options);
  ClientSocket silent(server.endpoint(), SOCK_STREAM), slow(server.endpoint(), SOCK_STREAM);
  slow.send({0});
  CHECK(silent.is_closed_by_peer());
  CHECK(slow.is_closed_by_peer());
  CHECK(server.counters().tcp_timed_out.value() == 2);
}

TEST_CASE("the longest idle connection gives way to a newcomer, and one client gets only its share") {
  Options options = options_on("127.0.0.1:0");
  options.tcp.connections_max = 2;
  {
    Running server(options);
    ClientSocket first(server.endpoint(), SOCK_STREAM), second(server.endpoint(), SOCK_STREAM);
    second.send(framed(make_query({})));
    CHECK(second.messages(1).size() == 1);
    ClientSocket third(server.endpoint(), SOCK_STREAM);
    CHECK(first.is_closed_by_peer());
    third.send(framed(make_query({})));
    CHECK(third.messages(1).size() == 1);
    second.send(framed(make_query({})));
    CHECK(second.messages(1).size() == 1);
  }
  options.tcp.connections_per_client_max = 1;
  Running server(options);
  ClientSocket first(server.endpoint(), SOCK_STREAM);
  ClientSocket second(server.endpoint(), SOCK_STREAM);
  CHECK(second.is_closed_by_peer());
  first.send(framed(make_query({})));
  CHECK(first.messages(1).size() == 1);
}

TEST_CASE("an endpoint that is not ours is an error that names it") {
  EventLoop loop;
  const auto server = Server::start(loop, options_on("192.0.2.1:53"), view_of("192.0.2.1"));
  REQUIRE_FALSE(server);
  CHECK(server.error().message().find("192.0.2.1:53") != std::string::npos);
}

TEST_CASE("a network without a verdict is asked for once, and its verdict shows in the next answer") {
  std::promise<std::pair<Prefix, IpAddress>> wanted;
  std::atomic<int> times = 0;
  Running server(options_on("127.0.0.1:0"), [&](const Prefix& network, const IpAddress& target) {
    if (times++ == 0) wanted.set_value({network, target});
  });
  ClientSocket client(server.endpoint(), SOCK_DGRAM);
  const auto ask = [&] {
    client.send(make_query({.name = "l2.l1.l0.reef.example", .flags = 0}));
    return test::read_response(client.receive()).value();
  };
  CHECK(ask().aa());
  CHECK(ask().aa());
  const auto [network, target] = wanted.get_future().get();
  CHECK(to_string(network) == "127.0.0.0/24");
  CHECK(target == IpAddress::v4(127, 0, 0, 1));
  CHECK(times == 1);
  CHECK(server.counters().verdicts_wanted.value() == 1);
  server.set_verdict(network, 2);
  CHECK(ask().authority.at(0).type == 6);  // the view has no name server to refer to
  CHECK(server.counters().levels[2].value() == 1);
}

TEST_CASE("a first answer waits for the verdict as long as it may, and others do not wait for it") {
  Options options = options_on("127.0.0.1:0");
  options.wait = 2s;
  Running server(options, [](const Prefix&, const IpAddress&) {});
  const auto held = framed(make_query({.name = "x.http.l2.l1.l0.reef.example", .id = 1}));
  const auto at_once = framed(make_query({.name = "reef.example", .qtype = 6, .id = 2}));
  Raw both = held;
  both.insert(both.end(), at_once.begin(), at_once.end());
  ClientSocket tcp(server.endpoint(), SOCK_STREAM);
  tcp.send(both);
  const auto first = tcp.messages(1);
  REQUIRE(first.size() == 1);
  CHECK(first[0].id == 2);
  server.set_verdict(*IpPrefix::parse("127.0.0.0/24"), 2);
  const auto second = tcp.messages(1);
  REQUIRE(second.size() == 1);
  CHECK(second[0].id == 1);
  CHECK(second[0].answer.at(0).ttl == 30);
  CHECK(server.counters().held.value() == 1);
}

TEST_CASE("nobody waits longer than the setting says, by UDP from the address that was asked") {
  Options options = options_on("0.0.0.0:0");
  options.wait = 50ms;
  Running server(options, [](const Prefix&, const IpAddress&) {});
  ClientSocket client({IpAddress::v4(127, 0, 0, 5), server.endpoint().port}, SOCK_DGRAM);
  const auto began = std::chrono::steady_clock::now();
  client.send(make_query({.name = "x.http.l2.l1.l0.reef.example"}));
  const auto response = test::read_response(client.receive());
  REQUIRE(response);
  CHECK(response->answer.at(0).ttl == 60);
  CHECK(std::chrono::steady_clock::now() - began >= 45ms);
  CHECK(server.counters().held.value() == 1);
  client.send(make_query({.name = "y.http.l2.l1.l0.reef.example"}));
  CHECK(test::read_response(client.receive()));
  CHECK(server.counters().held.value() == 1);
}
