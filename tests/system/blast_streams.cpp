// Throws random and mutated DNS messages at a TCP port, on loopback only, and says whether it took them
// alive.
//
//   reef_blast_streams HOST:PORT COUNT SEED SAMPLES_DIR [--skip BYTES]
//
// Messages as reef_blast makes them (blast.h), 1 to 4 on a connection (one that is no query ends it), each
// behind the length that DNS over TCP wants (RFC 1035 §4.2.2), which is wrong in one of 64. Then our half is
// closed, and the other side must answer what it can and close: where it neither sends nor closes for 20 s it
// is dead. Exits 0 when all were sent and the port still takes connections, 1 when it does not or stalled, 2
// on wrong use.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/random.h"
#include "tests/system/blast.h"

using namespace reef;
using namespace reef::blast;

namespace {

constexpr std::uint64_t kPerConnectionMax = 4, kWrongLengthEvery = 64;
constexpr int kStallMaxMs = 20'000;

class Blaster {
 public:
  explicit Blaster(Arguments given)
      : target_(given.target), mutator_(std::move(given.samples), given.seed), random_(given.seed) {}

  // False: the port closed, or its owner stopped answering.
  bool run(std::uint64_t count) {
    while (count > 0) {
      const std::uint64_t now = std::min(count, 1 + random_.below(kPerConnectionMax));
      if (!converse(now)) return false;
      count -= now;
    }
    return connect().is_open();
  }
  [[nodiscard]] std::uint64_t connections() const { return connections_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t answered_bytes() const { return answered_bytes_; }

 private:
  Fd connect() {
    sockaddr_storage address;
    const socklen_t length = target_.to(address);
    Fd socket(::socket(address.ss_family, SOCK_STREAM, 0));
    // Gone without TIME_WAIT when closed, or we would run out of ports.
    const linger at_once{1, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) return socket;
    std::fprintf(stderr, "cannot connect to %s: %s\n", to_string(target_).c_str(), std::strerror(errno));
    return {};
  }

  bool converse(std::uint64_t messages) {
    const Fd socket = connect();
    if (!socket.is_open()) return false;
    ++connections_;
    Message stream;
    for (; messages > 0; --messages) append(stream, mutator_.next());
    std::size_t sent = 0;
    bool is_closed = false;
    while (!is_closed) {
      const bool is_sending = sent < stream.size();
      pollfd ready{socket.get(), static_cast<short>(POLLIN | (is_sending ? POLLOUT : 0)), 0};
      const int some = ::poll(&ready, 1, kStallMaxMs);
      if (some < 0 && errno == EINTR) continue;
      if (some <= 0) {
        std::fprintf(stderr, "a connection neither answers nor ends\n");
        return false;
      }
      if (is_sending && (ready.revents & POLLOUT) != 0) {
        const ssize_t done =
            ::send(socket.get(), stream.data() + sent, stream.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) sent += static_cast<std::size_t>(done);
        if (done < 0 && errno != EAGAIN) break;  // it had enough of us, which it may
        if (sent == stream.size()) ::shutdown(socket.get(), SHUT_WR);
      }
      if ((ready.revents & ~POLLOUT) != 0) is_closed = !read_some(socket);
    }
    bytes_ += sent;
    return true;
  }

  void append(Message& stream, const Message& message) {
    std::size_t length = message.size();
    if (random_.below(kWrongLengthEvery) == 0) length = random_.below(65'536);
    stream.push_back(static_cast<char>(length >> 8));
    stream.push_back(static_cast<char>(length));
    stream.insert(stream.end(), message.begin(), message.end());
  }

  // False: the end.
  bool read_some(const Fd& socket) {
    char answers[65536];
    const ssize_t got = ::recv(socket.get(), answers, sizeof answers, MSG_DONTWAIT);
    if (got > 0) answered_bytes_ += static_cast<std::uint64_t>(got);
    return got > 0 || (got < 0 && errno == EAGAIN);
  }

  Endpoint target_;
  Mutator mutator_;
  Random random_;
  std::uint64_t connections_ = 0, bytes_ = 0, answered_bytes_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments given = read_arguments(argc, argv);
  Blaster blaster(given);
  const auto begin = std::chrono::steady_clock::now();
  const bool alive = blaster.run(given.count);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "messages=%llu connections=%llu bytes=%llu answered_bytes=%llu seconds=%.2f rate=%.0f/s seed=%llu "
      "target=%s\n",
      static_cast<unsigned long long>(given.count), static_cast<unsigned long long>(blaster.connections()),
      static_cast<unsigned long long>(blaster.bytes()),
      static_cast<unsigned long long>(blaster.answered_bytes()), seconds,
      static_cast<double>(given.count) / seconds, static_cast<unsigned long long>(given.seed),
      alive ? "alive" : "dead");
  return alive ? 0 : 1;
}
