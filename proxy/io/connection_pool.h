// Connections to servers that are kept open between two fetches.
//
// A connection is used again only for the same address, port and host name: two names at one address are two
// origins, and a byte that a server sends too late must not become part of another's answer. One that becomes
// readable while it is kept (closed, or with bytes that nobody asked for) is closed. Belongs to one loop;
// allocates nothing once it has been as full as it gets.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "base/io/event_loop.h"
#include "proxy/io/plain_connection.h"

namespace reef::proxy {

struct ConnectionPoolLimits {
  std::size_t connections_max;             // beyond: the one unused for longest is closed
  std::size_t connections_per_server_max;  // beyond: the one that would be one too many
  std::chrono::seconds idle_timeout;       // a second late at most
};

class ConnectionPool final : private PlainConnection::Handler {
 public:
  ConnectionPool(EventLoop& loop, ConnectionPoolLimits limits);
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // The one to that server that was used last, or null; from now on `handler` is told of it.
  [[nodiscard]] std::unique_ptr<PlainConnection> take(const Endpoint& endpoint, std::string_view host,
                                                      PlainConnection::Handler& handler);
  // To be kept; nothing of an earlier answer is left on it.
  void keep(std::unique_ptr<PlainConnection> connection);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  // In the order in which they were kept.
  using Bucket = std::vector<std::unique_ptr<PlainConnection>>;
  static constexpr std::size_t kBuckets = 64;

  void on_readable(PlainConnection& connection) override;
  void on_writable(PlainConnection&) override {}
  [[nodiscard]] Bucket& bucket_of(const Endpoint& endpoint, std::string_view host);
  void close_oldest();
  void sweep();

  EventLoop& loop_;
  const ConnectionPoolLimits limits_;
  std::array<Bucket, kBuckets> buckets_;
  std::size_t size_ = 0;
  Timer sweeper_;  // runs while there is something to sweep
};

}  // namespace reef::proxy
