// A server whose every byte and pause a test decides: a thread a connection, running the test's own script.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/io/fd.h"
#include "base/ip.h"

namespace reef::proxy::test {

// The server's end of one connection. Blocking; every wait ends with the server.
class Peer {
 public:
  Peer(int fd, int of) : number(of), fd_(fd) {}

  // Up to the blank line, which is not part of it; empty: the client has closed.
  std::string read_head() {
    std::size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return "";
    }
    std::string head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    return head;
  }
  // So many bytes, or fewer where the client closes.
  std::string read(std::size_t bytes) {
    while (input_.size() < bytes && read_more()) {
    }
    std::string out = input_.substr(0, bytes);
    input_.erase(0, out.size());
    return out;
  }
  // Everything up to and including `end`; empty: the client has closed.
  std::string read_until(std::string_view end) {
    std::size_t at;
    while ((at = input_.find(end)) == std::string::npos) {
      if (!read_more()) return "";
    }
    std::string out = input_.substr(0, at + end.size());
    input_.erase(0, out.size());
    return out;
  }
  void wait_for_close() {
    while (read_more()) input_.clear();
  }
  // False: the client has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // The close at the end of the script will be a reset.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

  const int number;  // of the connection, from 1

 private:
  bool read_more() {
    char buffer[65536];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  int fd_;
  std::string input_;
};

class ScriptedServer {
 public:
  // `script` runs for each connection, which is closed when it returns.
  explicit ScriptedServer(std::function<void(Peer&)> script) : script_(std::move(script)) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BASE_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = {IpAddress::v4(127, 0, 0, 1), ntohs(address.sin_port)};
    ::listen(listener_.get(), 128);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~ScriptedServer() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_all() {
    while (!ending_) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd, number = ++connections_] {
        Peer peer(fd, number);
        script_(peer);
        const std::lock_guard closing(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  std::function<void(Peer&)> script_;
  Fd listener_;
  Endpoint endpoint_;
  std::atomic<int> connections_{0};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace reef::proxy::test
