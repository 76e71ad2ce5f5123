#include "tests/wan/client/fetch.h"

#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tests/wan/client/dns.h"
#include "tests/wan/io/netns.h"

namespace reef::wan {
namespace {

using namespace std::chrono_literals;

constexpr int kDnsTries = 4;
constexpr Duration kDnsTimeout = 2s;      // of one try
constexpr Duration kConnectTimeout = 2s;  // of one address, where there is another
constexpr std::size_t kHeaderBytesMax = 16 * 1024;

std::string errno_text(int code) { return std::error_code(code, std::generic_category()).message(); }

}  // namespace

Fetch::Fetch(std::uint64_t id, const Place& place, Url url, Random& random, TimePoint now)
    : id_(id),
      place_(place),
      url_(std::move(url)),
      started_at_(now),
      end_deadline_(now + place.plan.timeout),
      dns_id_(static_cast<std::uint16_t>(random())),
      heard_at_(now) {
  llhttp_init(&parser_, HTTP_RESPONSE, &parser_settings());
  parser_.data = this;
  if (place_.client.connect_to) {
    report_.dns_ms = 0;
    addresses_ = {*place_.client.connect_to};
    connect_next(now);
  } else {
    ask_resolver(now);
  }
}

// The caller's thread is in the client's namespace only while the socket is made; it belongs there ever
// after.
void Fetch::open_socket(int type, const Endpoint& peer, std::uint32_t events) {
  socket_.reset();
  if (!enter_netns(place_.netns)) return;
  Fd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bool is_home = enter_netns(place_.home).has_value();
  if (!is_home || !fd.is_open()) return;
  sockaddr_storage address{};
  const socklen_t length = peer.to(address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0 && errno != EINPROGRESS)
    return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id_;
  if (::epoll_ctl(place_.epoll, EPOLL_CTL_ADD, fd.get(), &event) == 0) socket_ = std::move(fd);
}

void Fetch::ask_resolver(TimePoint now) {
  if (dns_tries_++ == kDnsTries) return finish(now, "dns: no answer");
  const auto query = encode_query(dns_id_, url_.host);
  if (!query) return finish(now, query.error().message());
  if (!socket_.is_open()) open_socket(SOCK_DGRAM, {place_.client.resolver, 53}, EPOLLIN);
  if (!socket_.is_open()) return finish(now, "dns: no socket");
  [[maybe_unused]] const auto sent = ::send(socket_.get(), query->data(), query->size(), MSG_NOSIGNAL);
  step_deadline_ = now + kDnsTimeout;
}

void Fetch::on_dns(TimePoint now) {
  std::array<std::byte, 4096> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) return;  // refused: the deadline asks again
  auto addresses = decode_answer(dns_id_, std::span(buffer).first(static_cast<std::size_t>(got)));
  if (!addresses) return finish(now, addresses.error().message());
  report_.dns_ms = since_start_ms(now);
  addresses_ = std::move(*addresses);
  for (const IpAddress& address : addresses_) report_.addresses.push_back(to_string(address));
  connect_next(now);
}

void Fetch::connect_next(TimePoint now) {
  while (!addresses_.empty()) {
    const IpAddress address = addresses_.front();
    addresses_.erase(addresses_.begin());
    report_.server = to_string(address);
    state_ = State::connecting;
    step_deadline_ = addresses_.empty() ? end_deadline_ : now + kConnectTimeout;
    open_socket(SOCK_STREAM, {address, place_.plan.port}, EPOLLOUT);
    if (socket_.is_open()) return;
    ++report_.refused;
  }
  finish(now, "connect: no address answers");
}

void Fetch::on_connected(TimePoint now) {
  int error = 0;
  socklen_t length = sizeof(error);
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    ++report_.refused;
    return connect_next(now);
  }
  report_.connect_ms = since_start_ms(now);
  state_ = State::receiving;
  step_deadline_ = end_deadline_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id_;
  ::epoll_ctl(place_.epoll, EPOLL_CTL_MOD, socket_.get(), &event);
  const std::string host =
      place_.plan.port == 80 ? url_.host : url_.host + ":" + std::to_string(place_.plan.port);
  const std::string request = "GET " + url_.path + " HTTP/1.1\r\nHost: " + host +
                              "\r\nUser-Agent: reef-wan-client\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  if (::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    finish(now, "send: " + errno_text(errno));
  }
}

void Fetch::on_data(TimePoint now) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) finish(now, "receive: " + errno_text(errno));
    return;
  }
  if (got == 0) {
    llhttp_finish(&parser_);  // completes a body that lasts until the end of the connection
    return finish(now, complete_ ? "" : "closed before the end");
  }
  if (report_.first_byte_ms < 0) report_.first_byte_ms = since_start_ms(now);
  report_.silence_ms = std::max(report_.silence_ms, to_ms(now - heard_at_));
  heard_at_ = now;
  if (llhttp_execute(&parser_, buffer.data(), static_cast<std::size_t>(got)) != HPE_OK && !complete_) {
    return finish(now, "http: " + std::string(llhttp_errno_name(llhttp_get_errno(&parser_))));
  }
  report_.status = parser_.status_code;
  if (complete_) finish(now, "");
}

void Fetch::on_ready(TimePoint now) {
  switch (state_) {
    case State::resolving:
      return on_dns(now);
    case State::connecting:
      return on_connected(now);
    case State::receiving:
      return on_data(now);
    case State::finished:
      return;
  }
}

void Fetch::on_deadline(TimePoint now) {
  if (is_finished() || now < next_deadline()) return;
  if (now >= end_deadline_) return finish(now, "timeout");
  if (state_ == State::resolving) return ask_resolver(now);
  ++report_.refused;
  connect_next(now);
}

void Fetch::finish(TimePoint now, std::string error) {
  if (is_finished()) return;
  state_ = State::finished;
  socket_.reset();
  report_.error = std::move(error);
  report_.total_ms = since_start_ms(now);
  if (!complete_) report_.silence_ms = std::max(report_.silence_ms, to_ms(now - heard_at_));
  report_.digest = to_hex(hash_.finish());
}

int Fetch::on_header_field(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  auto& self = *static_cast<Fetch*>(parser->data);
  if (self.in_value_) self.field_.clear();
  self.in_value_ = false;
  if (self.field_.size() + length > kHeaderBytesMax) return HPE_USER;
  self.field_.append(at, length);
  return 0;
}

int Fetch::on_header_value(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  auto& self = *static_cast<Fetch*>(parser->data);
  self.in_value_ = true;
  if (::strcasecmp(self.field_.c_str(), "cache-status") != 0) return 0;
  if (self.report_.cache_status.size() + length > kHeaderBytesMax) return HPE_USER;
  self.report_.cache_status.append(at, length);
  return 0;
}

int Fetch::on_body(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  auto& self = *static_cast<Fetch*>(parser->data);
  self.hash_.update(as_bytes({at, length}));
  self.report_.bytes += length;
  return 0;
}

int Fetch::on_message_complete(llhttp_t* parser) noexcept {
  static_cast<Fetch*>(parser->data)->complete_ = true;
  return 0;
}

const llhttp_settings_t& Fetch::parser_settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t out;
    llhttp_settings_init(&out);
    out.on_header_field = on_header_field;
    out.on_header_value = on_header_value;
    out.on_body = on_body;
    out.on_message_complete = on_message_complete;
    return out;
  }();
  return settings;
}

}  // namespace reef::wan
