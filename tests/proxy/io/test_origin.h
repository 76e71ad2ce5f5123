// A small web server for tests: a thread a connection, answers as told, counts what it was asked.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace reef::proxy::test {

using namespace std::chrono_literals;  // NOLINT: tests only

inline std::string pattern(std::size_t bytes, unsigned seed = 1) {
  std::string out(bytes, 0);
  for (char& c : out) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>('a' + (seed >> 24) % 26);
  }
  return out;
}

struct OriginAnswer {
  int status = 200;
  std::string fields = "Cache-Control: max-age=300\r\n";
  std::string body{};
  std::chrono::milliseconds head_delay{0};
  std::size_t piece_bytes = 0;               // sent in pieces of this size ...
  std::chrono::milliseconds piece_delay{0};  // ... with this pause between them
  std::size_t break_after = 0;               // close after so many bytes of the body; 0: never
  int breaks = 1 << 20;                      // how many answers break so
  bool chunked = false;
  bool ranges = false;  // honours "Range: bytes=N-"
  std::string etag{};   // sent, and compared with If-None-Match and If-Range
  std::string raw{};    // instead of all that
};

class TestOrigin {
 public:
  TestOrigin() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BASE_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    ::listen(listener_, 1024);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~TestOrigin() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  TestOrigin(const TestOrigin&) = delete;
  TestOrigin& operator=(const TestOrigin&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void set(const std::string& path, OriginAnswer answer) {
    const std::lock_guard lock(mutex_);
    answers_[path] = std::move(answer);
  }
  // Requests for a path so far; all of them where it is empty.
  [[nodiscard]] int count(const std::string& path = "") {
    const std::lock_guard lock(mutex_);
    if (!path.empty()) return counts_[path];
    int sum = 0;
    for (const auto& [name, count] : counts_) sum += count;
    return sum;
  }
  // The head of the last request for a path.
  [[nodiscard]] std::string last(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return heads_[path];
  }

 private:
  void accept_all() {
    while (!ending_) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] {
        serve(fd);
        const std::lock_guard closing(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  static bool send_all(int fd, const std::string& bytes) {
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  static std::string field(const std::string& head, const std::string& name) {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }

  void serve(int fd) {
    std::string input;
    while (!ending_) {
      std::size_t end;
      while ((end = input.find("\r\n\r\n")) == std::string::npos) {
        char buffer[4096];
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) return;
        input.append(buffer, static_cast<std::size_t>(got));
      }
      const std::string head = input.substr(0, end + 2);
      input.erase(0, end + 4);
      if (!skip_body(fd, head, input)) return;
      const std::string method = head.substr(0, head.find(' '));
      const std::size_t path_at = method.size() + 1;
      const std::string path = head.substr(path_at, head.find(' ', path_at) - path_at);
      OriginAnswer answer;
      {
        const std::lock_guard lock(mutex_);
        ++counts_[path];
        heads_[path] = head;
        const auto found = answers_.find(path);
        if (found == answers_.end()) {
          answer.status = 404;
          answer.fields.clear();
        } else {
          answer = found->second;
          if (answer.break_after > 0 && found->second.breaks-- <= 0) answer.break_after = 0;
        }
      }
      if (!reply(fd, method, head, answer)) return;
    }
  }

  // Bodies of requests are read and counted in X-Body of the answer's head, no more.
  bool skip_body(int fd, const std::string& head, std::string& input) {
    const std::string length = field(head, "Content-Length");
    const bool chunked = field(head, "Transfer-Encoding") == "chunked";
    if (length.empty() && !chunked) return true;
    const auto more = [&] {
      char buffer[65536];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return false;
      input.append(buffer, static_cast<std::size_t>(got));
      return true;
    };
    if (!chunked) {
      const std::size_t wanted = std::stoul(length);
      while (input.size() < wanted) {
        if (!more()) return false;
      }
      uploaded_ += wanted;
      input.erase(0, wanted);
      return true;
    }
    while (true) {
      std::size_t line;
      while ((line = input.find("\r\n")) == std::string::npos) {
        if (!more()) return false;
      }
      const std::size_t size = std::stoul(input.substr(0, line), nullptr, 16);
      while (input.size() < line + 2 + size + 2) {
        if (!more()) return false;
      }
      uploaded_ += size;
      input.erase(0, line + 2 + size + 2);
      if (size == 0) return true;
    }
  }

  bool reply(int fd, const std::string& method, const std::string& head, const OriginAnswer& answer) {
    std::this_thread::sleep_for(answer.head_delay);
    if (!answer.raw.empty()) {
      send_all(fd, answer.raw);
      return false;
    }
    std::string body = answer.body;
    int status = answer.status;
    std::string fields = answer.fields;
    if (!answer.etag.empty()) fields += "ETag: " + answer.etag + "\r\n";
    if (!answer.etag.empty() && field(head, "If-None-Match") == answer.etag) {
      return send_all(fd, "HTTP/1.1 304 Not Modified\r\n" + fields + "\r\n");
    }
    const std::string range = field(head, "Range");
    const std::string if_range = field(head, "If-Range");
    if (answer.ranges && range.starts_with("bytes=") && (if_range.empty() || if_range == answer.etag)) {
      const std::size_t from = std::stoul(range.substr(6));
      fields += "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(body.size() - 1) + "/" +
                std::to_string(body.size()) + "\r\n";
      body.erase(0, from);
      status = 206;
    }
    std::string out = "HTTP/1.1 " + std::to_string(status) + " Said\r\n" + fields;
    out += answer.chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                          : "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    if (!send_all(fd, out)) return false;
    if (method == "HEAD") return true;
    const std::size_t end = answer.break_after > 0 ? std::min(answer.break_after, body.size()) : body.size();
    const std::size_t piece = answer.piece_bytes > 0 ? answer.piece_bytes : body.size();
    for (std::size_t at = 0; at < end; at += piece) {
      if (at > 0) std::this_thread::sleep_for(answer.piece_delay);
      if (ending_) return false;
      const std::string part = body.substr(at, std::min(piece, end - at));
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", part.size());
      if (!send_all(fd, answer.chunked ? size + part + "\r\n" : part)) return false;
    }
    if (end < body.size()) return false;
    return !answer.chunked || send_all(fd, "0\r\n\r\n");
  }

 public:
  std::atomic<std::size_t> uploaded_{0};  // bytes of request bodies

 private:
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::map<std::string, OriginAnswer> answers_;
  std::map<std::string, int> counts_;
  std::map<std::string, std::string> heads_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace reef::proxy::test
