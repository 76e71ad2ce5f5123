// Load for one node's index: GET RPCs (FIND for values) over UDP, a window of them always under way.
//
//   reef_bench_rpc --server 127.0.0.1:8091 [--pid PID] [--rounds 5] [--seconds 2] [--window 128]
//
// First it makes a small network around the server: nodes that join through it, so that its table has
// contacts to name, and values of several publishers under keys to which the server is the closest node. Then
// it asks for those keys from several sockets. Every answer is checked for its transaction, one in 64 whole.
// With --pid the server's CPU time is read from /proc. One line for each round.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/io/log.h"
#include "base/io/socket.h"
#include "dsht/io/udp_node.h"

namespace {

using namespace reef;        // NOLINT: a program, not a header
using namespace reef::dsht;  // NOLINT
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Settings {
  std::string server = "127.0.0.1:8091";
  std::string network_key;
  int pid = 0;
  int rounds = 5;
  double seconds = 2;
  std::size_t window = 128;
  std::size_t sources = 8;
  std::size_t keys = 256;
  std::size_t nodes = 24;
  std::size_t values = 2;  // under each key
  std::size_t value_bytes = 24;
};

constexpr std::size_t kBatch = 64;  // at most 64 segments, and 64 KiB of requests
constexpr std::size_t kCheckEvery = 64;
constexpr Duration kPatience = 30s;         // for the preparations
constexpr Duration kLostAfter = 200ms;      // without any answer: what is under way is lost
constexpr std::size_t kTransactionAt = 12;  // behind magic, version, type and network id

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "reef_bench_rpc: %s\n", why.c_str());
  std::exit(1);
}

Identity fresh_identity() {
  Ed25519Seed seed;
  random_bytes(seed);
  return Identity(seed);
}

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

// Nanoseconds that all threads of a process have run.
std::uint64_t cpu_ns(int pid) {
  std::uint64_t sum = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream in(task.path() / "schedstat");
    std::uint64_t ran = 0;
    in >> ran;
    sum += ran;
  }
  return sum;
}

// ---- the network around the server

class Network {
 public:
  Network(const Settings& settings, const Endpoint& server) : settings_(settings) {
    for (std::size_t i = 0; i < settings.nodes; ++i) {
      UdpNodeOptions options;
      options.listen = {server.address, 0};
      options.seeds = {server};
      const ByteView key = as_bytes(settings.network_key);
      options.network_key.assign(key.begin(), key.end());
      nodes_.push_back(std::make_unique<UdpNode>(loop_, disk_, fresh_identity(), options));
      if (auto started = nodes_.back()->start(); !started) die(started.error().message());
    }
    turn_until("its nodes have joined through the server", [this, &server] {
      return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
        return node->is_joined() && server_of(*node, server).has_value();
      });
    });
    server_id_ = *server_of(*nodes_.front(), server);
  }
  ~Network() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Values under keys that share all but their last 64 bits with the server's id.
  std::vector<Key> put_values() {
    std::vector<Key> keys;
    Random random = Random::from_os();
    std::size_t stored = 0, done = 0;
    const Bytes value(settings_.value_bytes, std::byte{'v'});
    for (std::size_t i = 0; i < settings_.keys; ++i) {
      Key key = server_id_.as<Key>();
      const Key lot = random.id<Key>();
      std::copy(lot.bytes.end() - 8, lot.bytes.end(), key.bytes.end() - 8);
      keys.push_back(key);
      for (std::size_t j = 0; j < settings_.values; ++j) {
        nodes_[(i + j) % nodes_.size()]->put(key, value, 3600s, [&](bool ok) {
          ++done;
          stored += ok ? 1 : 0;
        });
      }
      const std::size_t asked = (i + 1) * settings_.values;
      if (i % 16 == 15 || i + 1 == settings_.keys)
        turn_until("its values are stored", [&] { return done == asked; });
    }
    if (stored != done) die(std::to_string(done - stored) + " values were not stored");
    return keys;
  }

  // From here on its nodes live on a thread of their own, so that the server does not find them dead.
  void run_aside() {
    thread_ = std::thread([this] { loop_.run(); });
  }

 private:
  static std::optional<NodeId> server_of(const UdpNode& node, const Endpoint& server) {
    NodesQuery all;
    all.count = 1000;
    for (const Neighbour& neighbour : node.nodes(all)) {
      if (neighbour.contact.rpc == server) return neighbour.contact.id;
    }
    return std::nullopt;
  }

  template <class Condition>
  void turn_until(const char* what, Condition condition) {
    const TimePoint end = loop_.now() + kPatience;
    std::function<void()> look;
    Timer poll(loop_, [&] { look(); });
    look = [&] {
      if (condition() || loop_.now() > end) return loop_.stop();
      poll.start(1ms);
    };
    poll.start(0ns);
    loop_.run();
    if (!condition()) die(std::string("not within 30 s: ") + what);
  }

  const Settings& settings_;
  EventLoop loop_;
  DiskPool disk_{1, 16};
  std::vector<std::unique_ptr<UdpNode>> nodes_;
  NodeId server_id_;
  std::thread thread_;
};

// ---- the load

struct Round {
  std::uint64_t answered = 0, values = 0, checked = 0, wrong = 0, lost = 0;
  double seconds = 0;
  double cpu_us = 0;  // of the server, of each answer
};

// One socket with requests under way, as one other node would have it.
class Source {
 public:
  Source(const Settings& settings, const Endpoint& server, const std::vector<Key>& keys, std::uint64_t number)
      : membership_(as_bytes(settings.network_key), MembershipOptions{}, SipKey{}),
        network_(network_id_of(as_bytes(settings.network_key))),
        next_transaction_(number << 48) {
    auto socket = bind_udp({server.address, 0}, false);
    if (!socket) die(socket.error().message());
    socket_ = std::move(*socket);
    const int bytes = 8 << 20;
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
      (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    sockaddr_storage to{};
    const socklen_t size = server.to(to);
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), size) != 0)
      die(errno_error("connect").message());
    const NodeId sender = fresh_identity().id();
    for (const Key& key : keys) {
      Find find;
      find.key = find.toward = key;
      find.want = Want::values;
      find.padding = padding_for(find);
      Message message;
      message.header.network = network_;
      message.header.sender = sender;
      message.body = find;
      requests_.push_back(encode(message));
    }
    for (std::size_t i = 0; i < kBatch; ++i) {
      in_[i].msg_hdr.msg_iov = &in_pieces_[i];
      in_[i].msg_hdr.msg_iovlen = 1;
      in_pieces_[i] = {received_[i].data(), received_[i].size()};
    }
  }

  void send(std::size_t count) {
    count = std::min(count, kBatch);
    const std::uint64_t now_ms = membership_.is_open() ? 0 : unix_ms();
    for (std::size_t i = 0; i < count; ++i) {
      Bytes& request = sent_[i];
      request = requests_[next_key_];
      next_key_ = (next_key_ + 1) % requests_.size();
      std::uint64_t transaction = ++next_transaction_;
      for (std::size_t at = 8; at > 0; --at, transaction >>= 8)
        request[kTransactionAt + at - 1] = static_cast<std::byte>(transaction);
      membership_.seal(now_ms, request);
      out_pieces_[i] = {request.data(), request.size()};
    }
    // All in one: the kernel makes datagrams of it (UDP_SEGMENT), which spares this side most of its work.
    msghdr whole{};
    whole.msg_iov = out_pieces_.data();
    whole.msg_iovlen = count;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    whole.msg_control = control.data();
    whole.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&whole);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(sent_[0].size());
    std::memcpy(CMSG_DATA(header), &size, sizeof size);
    if (::sendmsg(socket_.get(), &whole, MSG_DONTWAIT) > 0) under_way_ += count;
  }

  // Answers taken; 0: there was none.
  std::size_t receive(Round& round) {
    const int got = ::recvmmsg(socket_.get(), in_.data(), kBatch, MSG_DONTWAIT, nullptr);
    std::size_t answers = 0;
    for (int i = 0; i < got; ++i) {
      const auto index = static_cast<std::size_t>(i);
      ByteView datagram = ByteView(received_[index]).first(in_[index].msg_len);
      if (!is_answer(datagram)) continue;  // the server's own question
      ++answers;
      if ((round.answered + answers) % kCheckEvery == 0) check(datagram, round);
    }
    round.answered += answers;
    under_way_ -= std::min(under_way_, answers);
    return answers;
  }

  [[nodiscard]] std::size_t under_way() const { return under_way_; }
  void forget(Round& round) { round.lost += std::exchange(under_way_, 0); }
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  [[nodiscard]] bool is_answer(ByteView datagram) const {
    if (datagram.size() < kHeaderBytes || datagram[3] != static_cast<std::byte>(MessageType::nodes))
      return false;
    std::uint64_t transaction = 0;
    for (std::size_t i = 0; i < 8; ++i)
      transaction = transaction << 8 | std::to_integer<std::uint64_t>(datagram[kTransactionAt + i]);
    return transaction <= next_transaction_ && transaction >> 48 == next_transaction_ >> 48;
  }
  void check(ByteView datagram, Round& round) {
    ++round.checked;
    const auto opened = membership_.open(unix_ms(), datagram);
    const auto message = opened ? decode(*opened, network_) : tl::unexpected(DecodeError::foreign);
    const auto* nodes = message ? std::get_if<Nodes>(&message->body) : nullptr;
    if (nodes == nullptr || nodes->values.empty()) {
      ++round.wrong;
    } else {
      round.values += nodes->values.size();
    }
  }

  Membership membership_;
  const NetworkId network_;
  Fd socket_;
  std::vector<Bytes> requests_;  // one for each key
  std::size_t next_key_ = 0;
  std::uint64_t next_transaction_;
  std::size_t under_way_ = 0;
  std::array<Bytes, kBatch> sent_;
  std::array<iovec, kBatch> out_pieces_{}, in_pieces_{};
  std::array<mmsghdr, kBatch> in_{};
  std::array<std::array<std::byte, kDatagramBytesMax>, kBatch> received_;
};

Round run_round(const Settings& settings, std::vector<std::unique_ptr<Source>>& sources) {
  Round round;
  const std::size_t window = std::max<std::size_t>(settings.window / sources.size(), 1);
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings.seconds));
  const std::uint64_t cpu_before = settings.pid > 0 ? cpu_ns(settings.pid) : 0;
  auto answered_at = start;
  auto now = start;
  while (now < end) {
    std::size_t answers = 0;
    for (const auto& source : sources) {
      answers += source->receive(round);
      // In runs: a system call for each request would measure the load.
      if (const std::size_t room = window - source->under_way(); room * 2 >= window) source->send(room);
    }
    now = Clock::now();
    if (answers > 0) answered_at = now;
    if (now - answered_at > kLostAfter) {
      for (const auto& source : sources) source->forget(round);
      answered_at = now;
    }
  }
  round.seconds = std::chrono::duration<double>(now - start).count();
  if (settings.pid > 0)
    round.cpu_us = static_cast<double>(cpu_ns(settings.pid) - cpu_before) / 1000.0 /
                   static_cast<double>(std::max<std::uint64_t>(round.answered, 1));
  // What is still under way belongs to no round.
  std::this_thread::sleep_for(20ms);
  Round rest;
  for (const auto& source : sources) {
    while (source->receive(rest) > 0) {
    }
    source->forget(rest);
  }
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"GET RPCs a second that one node answers, and its CPU time for each."};
  app.add_option("--server", settings.server, "Where it answers RPCs")->capture_default_str();
  app.add_option("--pid", settings.pid, "Its process, whose CPU time is to be read");
  app.add_option("--network-key", settings.network_key, "Of a closed network");
  app.add_option("--rounds", settings.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Of a round")
      ->check(CLI::Range(0.05, 60.0))
      ->capture_default_str();
  app.add_option("--window", settings.window, "Requests under way")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--sources", settings.sources, "Sockets that ask")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--keys", settings.keys)->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--values", settings.values, "Publishers under each key")
      ->check(CLI::Range(1, 4))
      ->capture_default_str();
  app.add_option("--value-bytes", settings.value_bytes)->check(CLI::Range(1, 128))->capture_default_str();
  app.add_option("--nodes", settings.nodes, "Nodes around the server")
      ->check(CLI::Range(4, 200))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  log::set_level(log::Level::warn);
  const auto server = Endpoint::parse(settings.server);
  if (!server) die(server.error().message());

  Network network(settings, *server);
  const std::vector<Key> keys = network.put_values();
  network.run_aside();
  std::vector<std::unique_ptr<Source>> sources;
  for (std::size_t i = 0; i < settings.sources; ++i)
    sources.push_back(std::make_unique<Source>(settings, *server, keys, i + 1));
  bool sound = true;
  for (int i = 0; i < settings.rounds; ++i) {
    const Round round = run_round(settings, sources);
    std::printf(
        "{\"rpcs\": %llu, \"seconds\": %.4f, \"rpcs_per_s\": %.0f, \"cpu_us\": %.3f, \"lost\": %llu, "
        "\"checked\": %llu, \"wrong\": %llu, \"values_each\": %.2f}\n",
        static_cast<unsigned long long>(round.answered), round.seconds,
        static_cast<double>(round.answered) / round.seconds, round.cpu_us,
        static_cast<unsigned long long>(round.lost), static_cast<unsigned long long>(round.checked),
        static_cast<unsigned long long>(round.wrong),
        round.checked == 0 ? 0.0 : static_cast<double>(round.values) / static_cast<double>(round.checked));
    std::fflush(stdout);
    sound = sound && round.answered > 0 && round.wrong == 0;
  }
  return sound ? 0 : 1;
}
