// Whole proxies in one process: loops on threads, stores in memory, an index that is a table, and a client.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/crypto.h"
#include "base/io/disk_pool.h"
#include "proxy/io/pointer.h"
#include "proxy/io/worker.h"

namespace reef::proxy::test {

// --- the index

// The table that all fake indexes of a test share: values in order of arrival. Any thread.
class IndexTable {
 public:
  std::atomic<bool> has_others{true};             // what the indexes say
  std::atomic<Duration> takes{Duration::zero()};  // announcements with a smaller budget are heard by nobody

  struct Entry {
    NodeId publisher;
    Bytes data;
    bool provisional;
  };
  std::vector<Entry> add(const Key& key, Entry entry) {
    const std::lock_guard lock(mutex_);
    auto& entries = entries_[key];
    std::vector<Entry> earlier;
    bool is_known = false;
    for (Entry& known : entries) {
      if (known.publisher == entry.publisher) {
        known.provisional = entry.provisional;
        is_known = true;
      } else if (!is_known || !known.provisional) {  // complete ones whenever they came
        earlier.push_back(known);
      }
    }
    if (!is_known) entries.push_back(std::move(entry));
    return earlier;
  }
  void remove(const Key& key, const NodeId& publisher) {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_[key], [&](const Entry& entry) { return entry.publisher == publisher; });
  }
  [[nodiscard]] std::vector<Entry> all(const Key& key) {
    const std::lock_guard lock(mutex_);
    return entries_[key];
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::vector<Entry>> entries_;
};

class FakeIndex final : public dsht::Index {
 public:
  FakeIndex(EventLoop& loop, IndexTable& table, NodeId self) : loop_(loop), table_(table), self_(self) {}
  ~FakeIndex() override { *alive_ = false; }
  [[nodiscard]] bool has_others() const override { return table_.has_others; }

  void announce(const Key& key, ByteView value, std::chrono::seconds, Duration budget,
                std::function<void(dsht::Announced)> done) override {
    dsht::Announced answer;
    if (budget < table_.takes.load()) {
      answer.end = dsht::WalkEnd::deadline;
      return tell(std::move(answer), std::move(done));
    }
    for (const auto& entry : table_.add(key, {self_, {value.begin(), value.end()}, true})) {
      dsht::Value found;
      found.publisher = entry.publisher;
      found.data = entry.data;
      found.provisional = entry.provisional;
      found.rtt = std::chrono::milliseconds(10);
      answer.earlier.push_back(std::move(found));
    }
    answer.stored = true;
    tell(std::move(answer), std::move(done));
  }
  void put(const Key& key, ByteView value, std::chrono::seconds, std::function<void(bool)> done) override {
    table_.add(key, {self_, {value.begin(), value.end()}, false});
    if (done) static_cast<void>(loop_.post([done = std::move(done)] { done(true); }));
  }
  void withdraw(const Key& key) override { table_.remove(key, self_); }
  void get(const Key&, Duration, std::function<void(dsht::Found)> done) override {
    static_cast<void>(loop_.post([done = std::move(done)] { done({}); }));
  }

 private:
  void tell(dsht::Announced answer, std::function<void(dsht::Announced)> done) {
    static_cast<void>(loop_.post([alive = alive_, done = std::move(done), answer = std::move(answer)] {
      if (*alive) done(answer);
    }));
  }

  EventLoop& loop_;
  IndexTable& table_;
  NodeId self_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

inline Key key_of(std::string_view url) {
  const Sha256Digest digest = sha256(as_bytes(url));
  Key key;
  std::memcpy(key.bytes.data(), digest.data(), key.bytes.size());
  return key;
}

// --- a node

// A port that is free on every loopback address just now.
inline std::uint16_t free_port() {
  auto fd = listen_tcp({IpAddress::v4(127, 0, 0, 1), 0}, true);
  BASE_CHECK(fd.has_value());
  return local_endpoint(fd->get())->port;
}

inline Options test_options() {
  Options options;
  options.listen = {{IpAddress::v4(127, 0, 0, 1), free_port()}};
  options.names.allow_localhost = true;
  options.names.allow_ipv4 = true;
  options.origins.allowed = {*IpPrefix::parse("127.0.0.0/8")};
  options.clients.exempt_clients = {*IpPrefix::parse("127.0.0.0/8")};
  options.peers.allowed = {*IpPrefix::parse("127.0.0.0/8")};
  options.origins.negative_ttl = std::chrono::seconds(2);
  return options;
}

class TestNode {
 public:
  // `directory`: of a store on disk; empty: in memory only. `change`: what else is to be different about it.
  explicit TestNode(Options options = test_options(), std::size_t workers = 1, IndexTable* table = nullptr,
                    const std::string& directory = "", const std::function<void(StoreOptions&)>& change = {})
      : options_(std::move(options)), pool_(std::make_unique<DiskPool>(1, 64)) {
    if (table != nullptr) options_.peers.advertise = options_.listen.front();
    static std::atomic<int> names{0};
    options_.node_name = "node" + std::to_string(++names);
    NodeId self;
    self.bytes[0] = static_cast<std::uint8_t>(names.load());
    self.bytes[1] = 1;  // none of those that tests make up for publishers
    StoreOptions store_options;
    store_options.directory = directory;
    store_options.disk_bytes_max = 256 << 20;
    if (change) change(store_options);
    auto store = Store::open(store_options, *pool_, home_);
    BASE_CHECK(store.has_value());
    store_ = std::move(*store);
    for (std::size_t i = 0; i < workers; ++i) {
      loops_.push_back(std::make_unique<EventLoop>(TimerPrecision::milliseconds));
      if (table != nullptr) indexes_.push_back(std::make_unique<FakeIndex>(*loops_.back(), *table, self));
      workers_.push_back(std::make_unique<Worker>(
          WorkerParts{*loops_.back(), options_, *store_, *pool_,
                      table == nullptr ? nullptr : indexes_.back().get(), key_of, workers}));
    }
    Worker::link(workers_);
    for (auto& worker : workers_) BASE_CHECK(worker->listen().has_value());
    for (auto& loop : loops_) threads_.emplace_back([&loop] { loop->run(); });
  }
  ~TestNode() { kill(); }
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  // The process goes away: sockets are closed, nobody is told.
  void kill() {
    freeze();
    workers_.clear();
    indexes_.clear();
    store_.reset();
    pool_.reset();
    loops_.clear();
  }
  // The machine goes away: nothing moves any more, connections stay open.
  void freeze() {
    for (auto& loop : loops_) loop->stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  // Drains all workers, within `timeout`.
  void drain(std::chrono::seconds timeout) {
    std::atomic<std::size_t> left{workers_.size()};
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      BASE_CHECK(loops_[i]->post([&, i] { workers_[i]->drain(timeout, [&left] { --left; }); }));
    }
    while (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  [[nodiscard]] std::uint16_t port() const { return options_.listen.front().port; }
  template <class Member>
  [[nodiscard]] std::uint64_t sum(Member member) const {
    std::uint64_t out = 0;
    for (const auto& worker : workers_) out += (worker->stats().*member).value();
    return out;
  }
  std::vector<std::unique_ptr<Worker>>& workers() { return workers_; }
  std::vector<std::unique_ptr<EventLoop>>& loops() { return loops_; }

 private:
  Options options_;
  EventLoop home_;
  std::unique_ptr<DiskPool> pool_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::unique_ptr<FakeIndex>> indexes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

// --- a client

struct Answer {
  int status = 0;  // 0: no answer
  std::string head;
  std::string body;
  bool whole = false;  // by its own framing
  double seconds = 0;

  [[nodiscard]] std::string field(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

// A connection to a node; blocking, with a time limit on every read.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer = 0) {
    fd_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0)
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval limit{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Reads some bytes into input(); false at the end of the connection (or after the time limit).
  bool read_some() {
    char buffer[65536];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  [[nodiscard]] std::string& input() { return input_; }

  // One final answer; `head_request`: it has no body. Interim answers are skipped.
  Answer read_answer(bool head_request = false) {
    Answer answer;
    while (true) {
      std::size_t end;
      while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
        if (!read_some()) return answer;
      }
      answer.head = input_.substr(0, end + 2);
      input_.erase(0, end + 4);
      answer.status = std::stoi(answer.head.substr(9, 3));
      if (answer.status >= 200) break;
    }
    if (head_request || answer.status == 304 || answer.status == 204) {
      answer.whole = true;
    } else if (answer.field("Transfer-Encoding") == "chunked") {
      read_chunks(answer);
    } else if (const std::string length = answer.field("Content-Length"); !length.empty()) {
      const std::size_t wanted = std::stoul(length);
      while (input_.size() < wanted && read_some()) {
      }
      answer.whole = input_.size() >= wanted;
      answer.body = input_.substr(0, wanted);
      input_.erase(0, wanted);
    } else {
      while (read_some()) {
      }
      answer.whole = true;
      answer.body = std::exchange(input_, {});
    }
    return answer;
  }

 private:
  void read_chunks(Answer& answer) {
    while (true) {
      std::size_t line;
      while ((line = input_.find("\r\n")) == std::string::npos) {
        if (!read_some()) return;
      }
      const std::size_t size = std::stoul(input_.substr(0, line), nullptr, 16);
      while (input_.size() < line + 2 + size + 2) {
        if (!read_some()) {
          answer.body += input_.substr(std::min(line + 2, input_.size()));
          return;
        }
      }
      answer.body += input_.substr(line + 2, size);
      input_.erase(0, line + 2 + size + 2);
      if (size == 0) {
        answer.whole = true;
        return;
      }
    }
  }

  Fd fd_;
  bool connected_ = false;
  std::string input_;
};

inline std::string coral_host(std::uint16_t origin_port) {
  return "localhost." + std::to_string(origin_port) + ".reef.localhost";
}

inline std::string request_text(std::uint16_t origin_port, const std::string& path,
                                const std::string& method = "GET", const std::string& fields = "") {
  return method + " " + path + " HTTP/1.1\r\nHost: " + coral_host(origin_port) + "\r\n" + fields + "\r\n";
}

// One request on a connection of its own.
inline Answer fetch(std::uint16_t node_port, std::uint16_t origin_port, const std::string& path,
                    const std::string& method = "GET", const std::string& fields = "") {
  const auto start = std::chrono::steady_clock::now();
  Client client(node_port);
  client.send(request_text(origin_port, path, method, fields));
  Answer answer = client.read_answer(method == "HEAD");
  answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return answer;
}

}  // namespace reef::proxy::test
