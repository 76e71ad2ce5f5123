// Real sockets on loopback: a small proxy and name server that answer as a test wants.
#include "node/service_check.h"

#include <doctest/doctest.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <sys/socket.h>

#include <memory>

#include "base/io/socket.h"
#include "node/options.h"
#include "proxy/io/visit.h"

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;
using dsht::kServiceDns;
using dsht::kServiceProxy;

namespace {

const IpAddress kHere = IpAddress::v4(127, 0, 0, 1);

NodeId id_of(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

struct Somebody {
  EventLoop loop;
  NodeId id = id_of(7);  // whose proxy it is
  bool answers_dns = true;
  std::uint16_t dns_flags = 0x8400;
  std::unique_ptr<evhttp, FreeWith<evhttp_free>> http{evhttp_new(loop.base())};
  Fd dns = *bind_udp({kHere, 0}, false);
  FdEvent readable{loop, dns.get(), EV_READ, [this](short) { answer_dns(); }};
  std::string host;
  int dns_queries = 0;

  Somebody() {
    evhttp_set_gencb(
        http.get(),
        [](evhttp_request* request, void* self) {
          auto& me = *static_cast<Somebody*>(self);
          const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
          const char* nonce = evhttp_uri_get_query(uri);
          me.host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");
          const std::string body = proxy::visit_answer(node_name(me.id), nonce == nullptr ? "" : nonce);
          const BufferPtr buffer(evbuffer_new());
          evbuffer_add(buffer.get(), body.data(), body.size());
          const bool is_right = std::string_view(evhttp_uri_get_path(uri)) == proxy::kVisitPath;
          evhttp_send_reply(request, is_right ? 200 : 404, nullptr, buffer.get());
        },
        this);
  }
  std::uint16_t listen_http() {
    auto fd = listen_tcp({kHere, 0}, false);
    REQUIRE(fd);
    const std::uint16_t port = local_endpoint(fd->get())->port;
    REQUIRE(evhttp_accept_socket(http.get(), fd->release()) == 0);
    return port;
  }
  void answer_dns() {
    std::array<std::byte, 512> buffer;
    sockaddr_storage from;
    socklen_t length = sizeof from;
    const ssize_t got = ::recvfrom(dns.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 12) return;
    ++dns_queries;
    if (!answers_dns) return;
    buffer[2] = static_cast<std::byte>(dns_flags >> 8);
    buffer[3] = static_cast<std::byte>(dns_flags & 0xff);
    buffer[7] = std::byte{1};
    (void)::sendto(dns.get(), buffer.data(), static_cast<std::size_t>(got), 0,
                   reinterpret_cast<const sockaddr*>(&from), length);
  }
  dsht::Contact contact() {
    dsht::Contact out;
    out.id = id_of(7);
    out.rpc = {kHere, 1};
    out.http_port = listen_http();
    out.dns_port = local_endpoint(dns.get())->port;
    return out;
  }
  dsht::Services check(const dsht::Contact& contact, Duration timeout = 3s) {
    ServiceCheckOptions options;
    options.suffix = "reef.example";
    options.zone = *dnsd::Name::parse("reef.example");
    options.timeout = timeout;
    ServiceCheck checks(loop, options);
    std::optional<dsht::Services> out;
    checks.check(contact, [&](dsht::Services reached) {
      CHECK(!out);
      out = reached;
      loop.stop();
    });
    CHECK(!out);
    loop.run();
    REQUIRE(out);
    return *out;
  }
};

}  // namespace

TEST_CASE("a node is reached whose proxy says its name and the nonce, and whose name server has our zone") {
  Somebody somebody;
  CHECK(somebody.check(somebody.contact()) == (kServiceProxy | kServiceDns));
  CHECK(somebody.host == "reef.example");
}

TEST_CASE("another node's proxy at that port is not the one that was meant") {
  Somebody somebody;
  somebody.id = id_of(8);
  CHECK(somebody.check(somebody.contact()) == kServiceDns);
}

TEST_CASE("a name server that is not authoritative for our zone does not count") {
  Somebody somebody;
  somebody.dns_flags = 0x8000;
  CHECK(somebody.check(somebody.contact()) == kServiceProxy);
  somebody.dns_flags = 0x8405;  // REFUSED
  CHECK(somebody.check(somebody.contact()) == kServiceProxy);
}

TEST_CASE("what a node does not offer is not looked for, and nothing to look for ends at once") {
  Somebody somebody;
  dsht::Contact contact = somebody.contact();
  contact.dns_port = 0;
  CHECK(somebody.check(contact) == kServiceProxy);
  contact.http_port = 0;
  CHECK(somebody.check(contact) == 0);
  CHECK(somebody.dns_queries == 0);
}

TEST_CASE("nobody there ends soon, silence with the time-out, after asking again") {
  Somebody somebody;
  dsht::Contact contact = somebody.contact();
  {
    // A port that was free a moment ago.
    auto gone = listen_tcp({kHere, 0}, false);
    contact.http_port = local_endpoint(gone->get())->port;
  }
  CHECK(somebody.check(contact) == kServiceDns);
  somebody.answers_dns = false;
  somebody.dns_queries = 0;
  CHECK(somebody.check(contact, 90ms) == 0);
  CHECK(somebody.dns_queries == 3);
}
