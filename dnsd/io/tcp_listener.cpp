#include "dnsd/io/tcp_listener.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace reef::dnsd {
namespace {

using namespace std::chrono_literals;

constexpr int kAcceptsPerTurn = 64;
constexpr std::size_t kReadBytes = 16384;
constexpr Duration kAcceptRest = 100ms;
constexpr Duration kSweepEvery = 1s;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

struct TcpListener::Connection {
  Fd socket;
  Endpoint peer;
  TimePoint active_at;  // a whole message came, or answer bytes left
  Bytes in, out;
  std::size_t sent = 0;  // of `out`
  std::size_t held = 0;  // queries whose answer waits
  bool peer_done = false;
  std::optional<FdEvent> readable, writable;  // before `socket` in destruction, being after it here

  [[nodiscard]] std::size_t unsent() const { return out.size() - sent; }
};

TcpListener::TcpListener(EventLoop& loop, Fd socket, const TcpOptions& options, Answerer& answerer)
    : loop_(loop),
      options_(options),
      answerer_(answerer),
      socket_(std::move(socket)),
      accept_again_(loop, [this] { listen(); }),
      sweeper_(loop, [this] { sweep(); }) {
  listen();
  sweeper_.start(kSweepEvery);
}

TcpListener::~TcpListener() = default;

void TcpListener::listen() {
  acceptable_.emplace(loop_, socket_.get(), static_cast<short>(EV_READ), [this](short) { on_acceptable(); });
}

void TcpListener::on_acceptable() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    Fd fd(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length,
                    SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.is_open()) {
      admit(std::move(fd), Endpoint::from(reinterpret_cast<const sockaddr*>(&address)));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      acceptable_.reset();  // level-triggered: it would be called again at once, for nothing
      accept_again_.start(kAcceptRest);
    }
    return;
  }
}

void TcpListener::admit(Fd socket, const Endpoint& peer) {
  const auto known = per_client_.find(peer.address);
  if (known != per_client_.end() && known->second >= options_.connections_per_client_max) {
    return answerer_.counters().tcp_refused.add();
  }
  if (connections_.size() >= options_.connections_max) evict_longest_idle();
  answerer_.counters().tcp_accepted.add();
  const int on = 1;
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const ConnId id = next_id_++;
  auto connection = std::make_unique<Connection>();
  connection->socket = std::move(socket);
  connection->peer = peer;
  connection->active_at = loop_.now();
  connection->readable.emplace(loop_, connection->socket.get(), static_cast<short>(EV_READ),
                               [this, id](short) { on_readable(id); });
  connections_.emplace(id, std::move(connection));
  ++per_client_[peer.address];
}

void TcpListener::evict_longest_idle() {
  const auto oldest = std::min_element(
      connections_.begin(), connections_.end(),
      [](const auto& a, const auto& b) { return a.second->active_at < b.second->active_at; });
  if (oldest == connections_.end()) return;
  answerer_.counters().tcp_evicted.add();
  close(oldest->first);
}

void TcpListener::on_readable(ConnId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  Keep keep = take_in(connection);
  if (keep == Keep::yes) keep = answer_and_flush(id, connection);
  settle(id, connection, keep);
}

void TcpListener::on_writable(ConnId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  Keep keep = flush(connection);
  if (keep == Keep::yes) keep = answer_and_flush(id, connection);
  settle(id, connection, keep);
}

// Until no whole message is left, or the kernel takes no more: both bring an event later. What is in `in` is
// at most one read and one message.
TcpListener::Keep TcpListener::answer_and_flush(ConnId id, Connection& connection) {
  while (true) {
    const std::size_t before = connection.in.size();
    if (answer_whole_messages(id, connection) == Keep::no || flush(connection) == Keep::no) return Keep::no;
    if (connection.unsent() > 0 || connection.in.size() == before) return Keep::yes;
  }
}

TcpListener::Keep TcpListener::take_in(Connection& connection) {
  std::array<std::byte, kReadBytes> chunk;
  const ssize_t got = ::recv(connection.socket.get(), chunk.data(), chunk.size(), 0);
  if (got < 0) return would_block() ? Keep::yes : Keep::no;
  if (got == 0) connection.peer_done = true;
  connection.in.insert(connection.in.end(), chunk.begin(), chunk.begin() + got);
  return Keep::yes;
}

TcpListener::Keep TcpListener::answer_whole_messages(ConnId id, Connection& connection) {
  std::array<std::byte, Responder::kResponseBytesMax> response;
  const Client client{connection.peer, Transport::tcp};
  const TimePoint now = loop_.now();
  std::size_t at = 0;
  while (connection.unsent() < options_.unsent_bytes_max) {
    const ByteView rest = ByteView(connection.in).subspan(at);
    ByteReader reader(rest);
    const std::size_t size = reader.u16();
    if (!reader.ok()) break;
    if (size > options_.query_bytes_max) {
      answerer_.counters().tcp_broken.add();
      return Keep::no;
    }
    const ByteView query = reader.bytes(size);
    if (!reader.ok()) break;
    const std::size_t bytes = answerer_.answer(query, client, now, response, true);
    if (bytes == Answerer::kHeld) {
      ++connection.held;
      connection.active_at = now;
      answerer_.hold([this, id, late = Bytes(query.begin(), query.end())] { answer_late(id, late); });
      at += 2 + size;
      continue;
    }
    if (bytes == 0) {  // not a query: whoever sends that does not speak DNS
      answerer_.counters().tcp_broken.add();
      return Keep::no;
    }
    append(connection, ByteView(response).first(bytes));
    connection.active_at = now;
    at += 2 + size;
  }
  connection.in.erase(connection.in.begin(), connection.in.begin() + static_cast<std::ptrdiff_t>(at));
  return Keep::yes;
}

void TcpListener::append(Connection& connection, ByteView response) {
  connection.out.push_back(static_cast<std::byte>(response.size() >> 8));
  connection.out.push_back(static_cast<std::byte>(response.size()));
  connection.out.insert(connection.out.end(), response.begin(), response.end());
}

// The connection may be gone, or have sent and got other answers meanwhile.
void TcpListener::answer_late(ConnId id, ByteView query) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  --connection.held;
  std::array<std::byte, Responder::kResponseBytesMax> response;
  const Client client{connection.peer, Transport::tcp};
  const std::size_t bytes = answerer_.answer(query, client, loop_.now(), response, false);
  if (bytes > 0) append(connection, ByteView(response).first(bytes));
  settle(id, connection, flush(connection));
}

TcpListener::Keep TcpListener::flush(Connection& connection) {
  while (connection.unsent() > 0) {
    const ssize_t sent = ::send(connection.socket.get(), connection.out.data() + connection.sent,
                                connection.unsent(), MSG_NOSIGNAL);
    if (sent < 0) return would_block() ? Keep::yes : Keep::no;
    connection.sent += static_cast<std::size_t>(sent);
    connection.active_at = loop_.now();
  }
  connection.out.clear();
  connection.sent = 0;
  return Keep::yes;
}

// Ends the connection, or watches what it waits for now.
void TcpListener::settle(ConnId id, Connection& connection, Keep keep) {
  if (keep == Keep::no || (connection.peer_done && connection.unsent() == 0 && connection.held == 0))
    return close(id);
  const bool wants_write = connection.unsent() > 0;
  const bool wants_read = !connection.peer_done && connection.unsent() < options_.unsent_bytes_max;
  if (wants_write != connection.writable.has_value()) {
    if (wants_write) {
      connection.writable.emplace(loop_, connection.socket.get(), static_cast<short>(EV_WRITE),
                                  [this, id](short) { on_writable(id); });
    } else {
      connection.writable.reset();
    }
  }
  if (wants_read != connection.readable.has_value()) {
    if (wants_read) {
      connection.readable.emplace(loop_, connection.socket.get(), static_cast<short>(EV_READ),
                                  [this, id](short) { on_readable(id); });
    } else {
      connection.readable.reset();
    }
  }
}

void TcpListener::close(ConnId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto client = per_client_.find(found->second->peer.address);
  if (client != per_client_.end() && --client->second == 0) per_client_.erase(client);
  connections_.erase(found);
}

void TcpListener::sweep() {
  const TimePoint now = loop_.now();
  std::vector<ConnId> idle;
  for (const auto& [id, connection] : connections_) {
    if (now - connection->active_at >= options_.idle_timeout) idle.push_back(id);
  }
  for (const ConnId id : idle) {
    answerer_.counters().tcp_timed_out.add();
    close(id);
  }
  sweeper_.start(std::min<Duration>(kSweepEvery, options_.idle_timeout));
}

}  // namespace reef::dnsd
