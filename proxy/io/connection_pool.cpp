#include "proxy/io/connection_pool.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace reef::proxy {
namespace {

constexpr Duration kSweepPeriod = std::chrono::seconds(1);

bool leads_to(const PlainConnection& connection, const Endpoint& endpoint, std::string_view host) {
  return connection.endpoint() == endpoint && connection.host() == host;
}

}  // namespace

ConnectionPool::ConnectionPool(EventLoop& loop, ConnectionPoolLimits limits)
    : loop_(loop), limits_(limits), sweeper_(loop, [this] { sweep(); }) {}

ConnectionPool::Bucket& ConnectionPool::bucket_of(const Endpoint& endpoint, std::string_view host) {
  const std::size_t hash = std::hash<Endpoint>{}(endpoint) ^ std::hash<std::string_view>{}(host);
  return buckets_[hash % kBuckets];
}

std::unique_ptr<PlainConnection> ConnectionPool::take(const Endpoint& endpoint, std::string_view host,
                                                      PlainConnection::Handler& handler) {
  Bucket& bucket = bucket_of(endpoint, host);
  for (std::size_t i = bucket.size(); i-- > 0;) {
    if (!leads_to(*bucket[i], endpoint, host)) continue;
    std::unique_ptr<PlainConnection> connection = std::move(bucket[i]);
    bucket.erase(bucket.begin() + static_cast<std::ptrdiff_t>(i));
    --size_;
    // What has happened to it may not have been told to us yet in this turn. Bytes that nobody asked for
    // would be taken for the answer, and kept under the wrong name.
    if (!connection->is_quiet()) continue;
    connection->set_handler(handler);
    return connection;
  }
  return nullptr;
}

void ConnectionPool::keep(std::unique_ptr<PlainConnection> connection) {
  if (limits_.connections_max == 0) return;
  Bucket& bucket = bucket_of(connection->endpoint(), connection->host());
  const auto same =
      static_cast<std::size_t>(std::count_if(bucket.begin(), bucket.end(), [&](const auto& other) {
        return leads_to(*other, connection->endpoint(), connection->host());
      }));
  if (same >= limits_.connections_per_server_max) return;
  if (size_ >= limits_.connections_max) close_oldest();
  if (size_ == 0) sweeper_.start(kSweepPeriod);
  connection->set_handler(*this);
  connection->want_write(false);
  connection->idle_since = loop_.now();
  bucket.push_back(std::move(connection));
  ++size_;
}

void ConnectionPool::on_readable(PlainConnection& connection) {
  Bucket& bucket = bucket_of(connection.endpoint(), connection.host());
  const auto found =
      std::find_if(bucket.begin(), bucket.end(), [&](const auto& kept) { return kept.get() == &connection; });
  BASE_CHECK(found != bucket.end());
  bucket.erase(found);
  --size_;
}

void ConnectionPool::close_oldest() {
  Bucket* oldest = nullptr;
  for (Bucket& bucket : buckets_) {
    if (bucket.empty()) continue;
    if (oldest == nullptr || bucket.front()->idle_since < oldest->front()->idle_since) oldest = &bucket;
  }
  BASE_CHECK(oldest != nullptr);
  oldest->erase(oldest->begin());
  --size_;
}

void ConnectionPool::sweep() {
  const TimePoint kept_since = loop_.now() - limits_.idle_timeout;
  for (Bucket& bucket : buckets_) {
    const auto first_young = std::find_if(bucket.begin(), bucket.end(), [&](const auto& connection) {
      return connection->idle_since > kept_since;
    });
    size_ -= static_cast<std::size_t>(first_young - bucket.begin());
    bucket.erase(bucket.begin(), first_young);
  }
  if (size_ > 0) sweeper_.start(kSweepPeriod);
}

}  // namespace reef::proxy
