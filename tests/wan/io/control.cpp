#include "tests/wan/io/control.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>

namespace reef::wan {
namespace {

constexpr std::size_t kConnectionsMax = 16;
constexpr std::size_t kLineBytesMax = 4096;

Result<> watch(const Fd& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) < 0) return fail(errno_error("epoll_ctl"));
  return {};
}

}  // namespace

Result<ControlSocket> ControlSocket::listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return fail(invalid("control socket path is too long: " + path));
  std::ranges::copy(path, address.sun_path);
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.is_open()) return fail(errno_error("control socket"));
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0 ||
      ::listen(listener.get(), static_cast<int>(kConnectionsMax)) < 0) {
    return fail(errno_error(path));
  }
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return fail(errno_error("epoll_create1"));
  if (auto done = watch(epoll, listener.get()); !done) return fail(done.error());
  return ControlSocket(std::move(listener), std::move(epoll));
}

void ControlSocket::serve(const std::function<std::string(std::string_view)>& answer) {
  accept_all();
  std::erase_if(connections_, [&](Connection& connection) { return !serve_one(connection, answer); });
}

void ControlSocket::accept_all() {
  while (true) {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.is_open()) return;
    if (connections_.size() == kConnectionsMax || !watch(epoll_, fd.get())) continue;
    connections_.push_back({std::move(fd), {}});
  }
}

bool ControlSocket::serve_one(Connection& connection,
                              const std::function<std::string(std::string_view)>& answer) {
  char buffer[kLineBytesMax];
  const ssize_t got = ::recv(connection.fd.get(), buffer, sizeof(buffer), 0);
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  connection.input.append(buffer, static_cast<std::size_t>(got));
  for (auto end = connection.input.find('\n'); end != std::string::npos; end = connection.input.find('\n')) {
    const std::string reply = answer(std::string_view(connection.input).substr(0, end)) + "\n";
    connection.input.erase(0, end + 1);
    const ssize_t sent = ::send(connection.fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(reply.size())) return false;
  }
  return connection.input.size() < kLineBytesMax;
}

}  // namespace reef::wan
