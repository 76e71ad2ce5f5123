#include "proxy/io/worker.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/io/log.h"
#include "proxy/io/connection.h"
#include "proxy/io/error_page.h"
#include "proxy/io/fill_table.h"
#include "proxy/io/front.h"

namespace reef::proxy {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
constexpr int kAcceptsPerTurn = 64;
constexpr std::size_t kScratchBytes = 64 << 10;

// Whom a limit per client counts as one: an IPv4 address, or an IPv6 /64.
IpAddress client_of(const IpAddress& address) {
  return address.is_v4() ? address : IpPrefix::around(address, 64).address;
}

}  // namespace

class Worker::Impl final : public ConnectionHost {
 public:
  explicit Impl(WorkerParts parts)
      : parts_(std::move(parts)),
        names_(parts_.options.names),
        scratch_(kScratchBytes),
        ram_(parts_.options.ram, [this](const UrlHash& hash) { parts_.store.touch(hash); }),
        parser_({.head_bytes_max = parts_.options.clients.head_bytes_max,
                 .start_line_bytes_max = parts_.options.clients.target_bytes_max,
                 .fields_max = parts_.options.clients.fields_max}),
        context_{parts_.loop, wheel_, parts_.disk, stats_, parts_.options.clients, *this, parser_, scratch_},
        front_({parts_.loop, parts_.options, names_, parts_.store, ram_, links_, stats_, parts_.wall_clock}),
        fills_(FillTableParts{parts_.loop, parts_.options, names_, parts_.store, ram_,
                              parts_.options.peers.cooperate ? parts_.index : nullptr, parts_.key_of, links_,
                              parts_.workers, stats_, parts_.wall_clock}),
        connections_max_(std::max<std::size_t>(
            1, parts_.options.clients.connections_max / std::max<std::size_t>(1, parts_.workers))),
        tick_(parts_.loop, [this] { on_tick(); }),
        reaper_(parts_.loop, [this] { closed_.clear(); }) {
    front_.set_finder([this](ExchangeId id) -> Exchange* {
      Connection* connection = find_connection(Connection::connection_id(id));
      return connection != nullptr && connection->id() == id && connection->is_answering() ? connection
                                                                                           : nullptr;
    });
    links_.set({WorkerPort{&parts_.loop, &front_, &fills_}}, 0);
    tick_.start(kTick);
  }

  ~Impl() override {
    // Nothing is told to anybody any more.
    draining_to_ = nullptr;
    for (auto& [id, connection] : connections_) connection->detach();
  }

  void set_links(std::vector<WorkerPort> ports, std::size_t self) { links_.set(std::move(ports), self); }
  [[nodiscard]] WorkerPort port() { return {&parts_.loop, &front_, &fills_}; }

  [[nodiscard]] Result<> listen() {
    for (const Endpoint& endpoint : parts_.options.listen) {
      auto fd = listen_tcp(endpoint, true);
      if (!fd) return fail(fd.error());
      // Accepted connections inherit it, so it costs no call for each of them.
      const int on = 1;
      ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      // Clients come when they have said something (tcp(7)): most need no place in the loop then. Who says
      // nothing comes a second later.
      const int silent_s = 1;
      ::setsockopt(fd->get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_s, sizeof silent_s);
      listeners_.push_back(std::make_unique<Listener>());
      Listener& listener = *listeners_.back();
      listener.fd = std::move(*fd);
      listener.event =
          std::make_unique<FdEvent>(parts_.loop, listener.fd.get(), EV_READ,
                                    [this, fd_number = listener.fd.get()](short) { accept_from(fd_number); });
    }
    return {};
  }

  [[nodiscard]] std::vector<Endpoint> listening() const {
    std::vector<Endpoint> out;
    for (const auto& listener : listeners_) {
      if (auto endpoint = local_endpoint(listener->fd.get())) out.push_back(*endpoint);
    }
    return out;
  }

  void drain(std::chrono::seconds timeout, std::function<void()> done) {
    listeners_.clear();
    context_.draining = true;
    drained_ = std::move(done);
    draining_to_ = std::make_unique<Timer>(parts_.loop, [this] { end_drain(); });
    draining_to_->start(timeout);
    std::vector<Connection*> idle;
    for (const auto& [id, connection] : connections_) {
      if (connection->is_idle()) idle.push_back(connection.get());
    }
    for (Connection* connection : idle) connection->close();
    if (connections_.empty()) draining_to_->start(Duration::zero());
  }

  void set_own_endpoint(const Endpoint& endpoint) {
    parts_.options.peers.advertise = endpoint;
    fills_.on_own_endpoint();
  }

  void purge(const std::string& url) {
    const UrlHash hash = parts_.store.hasher()(url);
    for (std::size_t worker = 0; worker < links_.count(); ++worker) {
      links_.send(worker, [hash, url](const WorkerPort& to) { to.fills->forget(hash, url); });
    }
  }

  // ConnectionHost:
  void on_request(Connection& connection, const http::RequestHead& head, const RequestBody& body) override {
    front_.on_request(connection, head, body);
  }
  void on_bad_request(Connection& connection, int status, std::string_view why) override {
    front_.on_bad_request(connection, status, why);
  }
  void on_upload_data(Connection& connection) override { front_.on_upload_data(connection.id()); }
  void on_taken(Connection& connection) override { fills_.taken_alone(connection.id()); }
  void on_abandoned(Connection& connection) override { front_.on_abandoned(connection.id()); }
  void on_closed(Connection& connection) override {
    const auto found = connections_.find(connection.connection_id());
    BASE_CHECK(found != connections_.end());
    uncount(connection.client().address);
    closed_.push_back(std::move(found->second));
    connections_.erase(found);
    stats_.connections_open.set(connections_.size());
    reaper_.start();
    if (draining_to_ != nullptr && connections_.empty()) draining_to_->start(Duration::zero());
  }
  [[nodiscard]] Connection* find_connection(std::uint64_t id) override {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
  }

  FillTable& fills() { return fills_; }
  Stats stats_;
  [[nodiscard]] const RamTierStats& ram_stats() const { return ram_.stats(); }

 private:
  struct Listener {
    Fd fd;
    std::unique_ptr<FdEvent> event;  // before the descriptor is closed
  };

  void accept_from(int listener) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      Fd fd(
          ::accept4(listener, reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.is_open()) {
        if (errno == EMFILE || errno == ENFILE) shed();
        return;
      }
      welcome(std::move(fd), Endpoint::from(reinterpret_cast<const sockaddr*>(&address)));
    }
  }

  void welcome(Fd fd, const Endpoint& client) {
    stats_.connections.add();
    if (connections_.size() >= connections_max_ || !count(client.address)) {
      stats_.connections_refused.add();
      // One write to an empty buffer: the client gets a reason, and no state is kept.
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: "
          "close\r\n\r\n";
      static_cast<void>(::send(fd.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
      ::shutdown(fd.get(), SHUT_WR);
      return;
    }
    // Unique among all workers: the exchanges of one are named to the others.
    std::uint64_t id = 0;
    do {
      id = std::uint64_t{links_.self()} << 32 | ++last_connection_;
    } while (connections_.contains(id));
    const auto connection = connections_
                                .emplace(id, std::make_unique<Connection>(
                                                 context_, id, make_tcp_transport(std::move(fd)), client))
                                .first->second.get();
    stats_.connections_open.set(connections_.size());
    connection->start();
  }

  // Out of descriptors: an idle connection makes room.
  void shed() {
    for (const auto& [id, connection] : connections_) {
      if (!connection->is_idle()) continue;
      connection->close();
      closed_.clear();
      return;
    }
  }

  [[nodiscard]] bool count(const IpAddress& address) {
    for (const IpPrefix& prefix : parts_.options.clients.exempt_clients) {
      if (prefix.contains(address)) return true;
    }
    std::size_t& open = per_client_[client_of(address)];
    if (open >= parts_.options.clients.connections_per_client_max) return false;
    ++open;
    return true;
  }
  void uncount(const IpAddress& address) {
    const auto found = per_client_.find(client_of(address));
    if (found != per_client_.end() && --found->second == 0) per_client_.erase(found);
  }

  void on_tick() {
    tick_.start(kTick);
    wheel_.advance([](TimerWheel::Entry& entry) { static_cast<Connection&>(entry).on_deadline(); });
    links_.retry();
    parts_.store.write_due();
  }

  void end_drain() {
    std::vector<Connection*> left;
    for (const auto& [id, connection] : connections_) left.push_back(connection.get());
    for (Connection* connection : left) connection->abort();
    draining_to_->stop();
    if (const auto done = std::exchange(drained_, nullptr)) done();
  }

  WorkerParts parts_;
  const names::Names names_;
  std::vector<char> scratch_;
  TimerWheel wheel_;
  WorkerLinks links_;
  RamTier ram_;
  http::RequestHeadParser parser_;
  ConnectionContext context_;
  Front front_;
  FillTable fills_;
  const std::size_t connections_max_;
  std::uint32_t last_connection_ = 0;
  std::unordered_map<IpAddress, std::size_t> per_client_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> closed_;  // destroyed at the next turn
  std::vector<std::unique_ptr<Listener>> listeners_;
  Timer tick_;
  Deferred reaper_;
  std::unique_ptr<Timer> draining_to_;
  std::function<void()> drained_;
};

Worker::Worker(WorkerParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Worker::~Worker() = default;

void Worker::link(std::span<const std::unique_ptr<Worker>> workers) {
  BASE_CHECK(workers.size() <= 256);  // of the 40 bits of a connection's number, 8 name the worker
  std::vector<WorkerPort> ports;
  for (const auto& worker : workers) ports.push_back(worker->impl_->port());
  for (std::size_t i = 0; i < workers.size(); ++i) workers[i]->impl_->set_links(ports, i);
}

Result<> Worker::listen() { return impl_->listen(); }
std::vector<Endpoint> Worker::listening() const { return impl_->listening(); }
void Worker::drain(std::chrono::seconds timeout, std::function<void()> done) {
  impl_->drain(timeout, std::move(done));
}
void Worker::set_index_budget(Duration budget) { impl_->fills().set_index_budget(budget); }

void Worker::set_own_endpoint(const Endpoint& endpoint) { impl_->set_own_endpoint(endpoint); }
void Worker::purge(const std::string& url) { impl_->purge(url); }
const Stats& Worker::stats() const { return impl_->stats_; }
const RamTierStats& Worker::ram_stats() const { return impl_->ram_stats(); }

}  // namespace reef::proxy
