// A node of the network as a test wants it to behave: it has one object, and a way of failing to deliver it.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/crypto.h"
#include "scripted_server.h"

namespace reef::proxy::test {

struct FakeCopy {
  std::string body{};
  std::string etag = "\"v1\"";
  std::string digest{};                      // promised; empty: none
  bool knows_ranges = true;                  // false: always all of it
  bool has_it = true;                        // false: 504
  bool is_mute = false;                      // takes requests and says nothing
  std::size_t breaks_after = 0;              // bytes of an answer's body, then the connection ends; 0: never
  std::size_t stops_after = 0;               // ... then nothing more comes
  std::size_t wrong_total = 0;               // in Content-Range; 0: the right one
  std::size_t wrong_byte = ~std::size_t{0};  // at this offset of the body
  std::size_t piece_bytes = 65536;           // sent in pieces of this size ...
  std::chrono::milliseconds piece_delay{0};  // ... with this pause between them
};

class FakePeer {
 public:
  explicit FakePeer(FakeCopy copy) : copy_(std::move(copy)), server_([this](Peer& peer) { serve(peer); }) {
    if (copy_.wrong_byte < copy_.body.size()) copy_.body[copy_.wrong_byte] ^= 1;
  }
  ~FakePeer() { ending_ = true; }
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return server_.endpoint(); }
  // Values of Range, in order; empty ones for requests of the whole.
  [[nodiscard]] std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  [[nodiscard]] std::size_t sent() const { return sent_; }

 private:
  static std::string value_of(const std::string& head, const std::string& name) {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }

  void serve(Peer& peer) {
    while (true) {
      const std::string head = peer.read_head();
      if (head.empty()) return;
      const std::string range = value_of(head, "Range");
      const bool is_probe = head.starts_with("HEAD");
      if (!is_probe) {
        const std::lock_guard lock(mutex_);
        asked_.push_back(range);
      }
      if (copy_.is_mute || (is_probe && copy_.stops_after > 0)) {
        peer.wait_for_close();
        return;
      }
      if (!copy_.has_it) {
        if (!peer.send("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")) return;
        continue;
      }
      if (!answer(peer, range, value_of(head, "If-Range"))) return;
    }
  }

  bool answer(Peer& peer, const std::string& range, const std::string& if_range) {
    std::size_t first = 0, last = copy_.body.size() - 1;
    const bool part =
        copy_.knows_ranges && range.starts_with("bytes=") && (if_range.empty() || if_range == copy_.etag);
    if (part) {
      first = std::stoul(range.substr(6));
      const std::size_t dash = range.find('-');
      if (dash + 1 < range.size()) last = std::stoul(range.substr(dash + 1));
    }
    std::string head = part ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
    head += "Reef-Peer: reef\r\nCache-Control: max-age=300\r\nAge: 1\r\n";
    if (!copy_.etag.empty()) head += "ETag: " + copy_.etag + "\r\n";
    if (!copy_.digest.empty()) head += "Reef-Digest: sha-256=" + copy_.digest + "\r\n";
    if (part) {
      const std::size_t total = copy_.wrong_total > 0 ? copy_.wrong_total : copy_.body.size();
      head += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
              std::to_string(total) + "\r\n";
    }
    head += "Content-Length: " + std::to_string(last + 1 - first) + "\r\n\r\n";
    if (!peer.send(head)) return false;
    std::size_t answered = 0;
    while (first <= last && !ending_) {
      std::size_t size = std::min(copy_.piece_bytes, last + 1 - first);
      if (copy_.breaks_after > 0) size = std::min(size, copy_.breaks_after - answered);
      if (copy_.stops_after > 0) size = std::min(size, copy_.stops_after - answered);
      if (!peer.send(std::string_view(copy_.body).substr(first, size))) return false;
      first += size;
      answered += size;
      sent_ += size;
      if (copy_.breaks_after > 0 && answered == copy_.breaks_after) return false;
      if (copy_.stops_after > 0 && answered == copy_.stops_after) {
        peer.wait_for_close();
        return false;
      }
      std::this_thread::sleep_for(copy_.piece_delay);
    }
    return !ending_;
  }

  FakeCopy copy_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
  std::atomic<std::size_t> sent_{0};
  std::atomic<bool> ending_{false};
  ScriptedServer server_;
};

}  // namespace reef::proxy::test
