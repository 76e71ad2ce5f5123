#include "proxy/io/transport.h"

#include <sys/socket.h>

#include <cerrno>

namespace reef::proxy {
namespace {

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(Fd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const override { return fd_.get(); }

  [[nodiscard]] IoResult read(std::span<char> out) override {
    const ssize_t got = ::recv(fd_.get(), out.data(), out.size(), 0);
    if (got > 0) return {IoState::ok, static_cast<std::size_t>(got)};
    return {got < 0 && is_transient() ? IoState::again : IoState::closed};
  }

  [[nodiscard]] IoResult write(std::span<const iovec> pieces, bool more) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // the kernel only reads it
    message.msg_iovlen = pieces.size();
    const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent >= 0) return {IoState::ok, static_cast<std::size_t>(sent)};
    return {is_transient() ? IoState::again : IoState::closed};
  }

  void shutdown_write() override { ::shutdown(fd_.get(), SHUT_WR); }

  void abort_on_close() override {
    const linger reset{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }

 private:
  static bool is_transient() { return errno == EAGAIN || errno == EINTR; }
  Fd fd_;
};

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(Fd fd) { return std::make_unique<TcpTransport>(std::move(fd)); }

}  // namespace reef::proxy
