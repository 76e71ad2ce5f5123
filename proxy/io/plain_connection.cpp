#include "proxy/io/plain_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/check.h"

namespace reef::proxy {
namespace {

bool is_transient(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

Result<std::unique_ptr<PlainConnection>> PlainConnection::open(EventLoop& loop, const Endpoint& to,
                                                               std::string host, Handler& handler) {
  sockaddr_storage address{};
  const socklen_t length = to.to(address);
  Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fail(errno_error("socket"));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS) {
    return fail(errno_error("connect"));
  }
  return std::unique_ptr<PlainConnection>(
      new PlainConnection(loop, std::move(fd), to, std::move(host), handler));
}

PlainConnection::PlainConnection(EventLoop& loop, Fd fd, const Endpoint& to, std::string host,
                                 Handler& handler)
    : endpoint_(to), host_(std::move(host)), handler_(&handler), fd_(std::move(fd)) {
  read_event_.reset(event_new(
      loop.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) {
        auto& connection = *static_cast<PlainConnection*>(self);
        connection.handler_->on_readable(connection);
      },
      this));
  write_event_.reset(event_new(
      loop.base(), fd_.get(), EV_WRITE | EV_PERSIST,
      [](evutil_socket_t, short, void* self) {
        auto& connection = *static_cast<PlainConnection*>(self);
        connection.handler_->on_writable(connection);
      },
      this));
  BASE_CHECK(read_event_ != nullptr && write_event_ != nullptr);
  want_write(true);
}

std::error_code PlainConnection::finish_connect() {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return {error, std::generic_category()};
  want_write(false);
  // Stays for as long as the connection lives: while it is kept, an end or bytes nobody asked for are seen.
  want_read(true);
  return {};
}

PlainConnection::ReadResult PlainConnection::read(std::span<char> out) {
  const ssize_t got = ::recv(fd_.get(), out.data(), out.size(), 0);
  if (got > 0) return {ReadState::data, static_cast<std::size_t>(got)};
  if (got == 0) return {ReadState::end};
  return {is_transient(errno) ? ReadState::again : ReadState::broken};
}

IoResult PlainConnection::write(std::string_view bytes) {
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return {IoState::ok, static_cast<std::size_t>(sent)};
  return {is_transient(errno) ? IoState::again : IoState::closed};
}

bool PlainConnection::is_quiet() const {
  char byte = 0;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && is_transient(errno);
}

void PlainConnection::want_read(bool on) {
  if (on == reading_) return;
  reading_ = on;
  on ? event_add(read_event_.get(), nullptr) : event_del(read_event_.get());
}

void PlainConnection::want_write(bool on) {
  if (on == writing_) return;
  writing_ = on;
  on ? event_add(write_event_.get(), nullptr) : event_del(write_event_.get());
}

}  // namespace reef::proxy
