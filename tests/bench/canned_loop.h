// What the floor and the benchmarks' origin share: one thread, one epoll, answers that were made beforehand.
//
// Deliberately without the proxy's own loop and buffers: it is the yardstick that those are measured with.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace reef::bench {

// Views that outlive the connection. `close`: the connection ends after the last byte.
struct Answer {
  std::string_view head;
  std::string_view body;
  bool close = false;
};

// Answerer: std::size_t operator()(std::size_t listener, std::string_view input, Answer& answer).
// `input` is what one connection sent and nobody has answered, never empty; `listener` counts in the order of
// listen(). Returns the bytes that `answer` is for; 0 when the request is not complete yet. System call
// failures that leave nothing to serve with are thrown as std::system_error.
template <class Answerer>
class CannedLoop {
 public:
  explicit CannedLoop(Answerer answerer)
      : answerer_(std::move(answerer)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) fail("epoll_create1");
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): it cannot fail for this signal
  }
  ~CannedLoop() { close(epoll_); }
  CannedLoop(const CannedLoop&) = delete;
  CannedLoop& operator=(const CannedLoop&) = delete;

  // Listens on 127.0.0.1, at `port` or (0) at one that is free. Returns the port.
  std::uint16_t listen(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    // Accepted connections inherit TCP_NODELAY, so it costs no call for each of them.
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 4096) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      fail("listen");
    }
    watch(fd, EPOLLIN);
    entry(fd) = {
        .listener = listeners_++, .listens = true, .head = {}, .body = {}, .close = false, .unread = {}};
    return ntohs(address.sin_port);
  }

  // Serves until a signal ends the process.
  [[noreturn]] void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR) fail("epoll_wait");
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (table_[static_cast<std::size_t>(event.data.fd)].listens)
          accept_one(event.data.fd);
        else
          serve(event.data.fd, (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
      }
    }
  }

 private:
  static constexpr std::size_t kUnreadMax = 64 << 10;  // of a request whose end has not come: closed beyond

  struct Entry {
    std::size_t listener = 0;
    bool listens = false;
    std::string_view head, body;  // of the answer: what the socket has not taken yet
    bool close = false;           // after those
    std::string unread;
  };

  [[noreturn]] static void fail(const char* call) {
    throw std::system_error(errno, std::generic_category(), call);
  }

  Entry& entry(int fd) {
    const auto at = static_cast<std::size_t>(fd);
    if (table_.size() <= at) table_.resize(at + 1);
    return table_[at];
  }

  void watch(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void accept_one(int listener) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;  // gone again, or no descriptor left: the next turn asks again
    // Edge-triggered for both directions: no call to change what is waited for, ever.
    watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    const std::size_t number = table_[static_cast<std::size_t>(listener)].listener;
    entry(fd) = {.listener = number, .listens = false, .head = {}, .body = {}, .close = false, .unread = {}};
  }

  void drop(int fd) {
    close(fd);
    table_[static_cast<std::size_t>(fd)].unread = {};
  }

  // `ended`: the client will send no more, so a short read is not the last word.
  void serve(int fd, bool ended) {
    Entry& it = table_[static_cast<std::size_t>(fd)];
    if (!it.head.empty() || !it.body.empty()) {
      if (!flush(fd, it)) return;
      if (!it.unread.empty() && !answer_all(fd, it, {})) return;
    }
    for (;;) {
      const ssize_t got = recv(fd, scratch_.data(), scratch_.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return drop(fd);
      const auto bytes = static_cast<std::size_t>(got);
      if (!answer_all(fd, it, {scratch_.data(), bytes})) return;
      if (bytes < scratch_.size() && !ended) return;
    }
  }

  // Answers each complete request of what was unread and `input`. False: the socket is full, or closed.
  bool answer_all(int fd, Entry& it, std::string_view input) {
    std::string joined;
    if (!it.unread.empty()) {
      joined = std::exchange(it.unread, {}).append(input);
      input = joined;
    }
    while (!input.empty()) {
      Answer answer;
      const std::size_t used = answerer_(it.listener, input, answer);
      if (used == 0) break;
      input.remove_prefix(used);
      it.head = answer.head;
      it.body = answer.body;
      it.close = answer.close;
      if (!flush(fd, it)) {
        if (it.head.empty() && it.body.empty()) return false;  // closed
        it.unread = input;
        return false;
      }
    }
    if (input.size() > kUnreadMax) {
      drop(fd);
      return false;
    }
    if (!input.empty()) it.unread = input;
    return true;
  }

  // True: all of the answer is in the socket, which stays open.
  bool flush(int fd, Entry& it) {
    while (!it.head.empty() || !it.body.empty()) {
      // writev does not write through the pointers that iovec wants to be mutable.
      const std::array<iovec, 2> parts{{{const_cast<char*>(it.head.data()), it.head.size()},
                                        {const_cast<char*>(it.body.data()), it.body.size()}}};
      const ssize_t sent = writev(fd, parts.data(), parts.size());
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return false;
        it.head = it.body = {};
        drop(fd);
        return false;
      }
      auto left = static_cast<std::size_t>(sent);
      const std::size_t of_head = std::min(left, it.head.size());
      it.head.remove_prefix(of_head);
      left -= of_head;
      it.body.remove_prefix(left);
      if (!it.head.empty() || !it.body.empty()) return false;  // the next edge says when there is room
    }
    if (it.close) {
      drop(fd);
      return false;
    }
    return true;
  }

  Answerer answerer_;
  int epoll_;
  std::size_t listeners_ = 0;
  std::vector<Entry> table_;  // by descriptor
  std::array<char, 64 << 10> scratch_{};
};

}  // namespace reef::bench
