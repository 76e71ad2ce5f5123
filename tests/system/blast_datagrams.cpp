// Throws random and mutated datagrams at a UDP port, on loopback only, and says whether it took them alive.
//
//   reef_blast HOST:PORT COUNT SEED SAMPLES_DIR [--skip BYTES]
//
// Each datagram is, by turns of a seeded random source: a sample as it is, a sample with bits flipped, bytes
// replaced, cut short, or grown, two samples spliced, or plain noise. --skip leaves out so many first bytes
// of every sample (fuzz corpora may begin with bytes that steer the target). Answers are read and counted.
// The pace is the receiver's: after each small batch the kernel's queue of the socket that is aimed at must
// be short again, as /proc/net/udp shows it, so that datagrams are handled and not merely dropped. Exits 0
// when all were sent and the port is still open, 1 when it closed or stalled, 2 on wrong use.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "base/io/fd.h"
#include "base/ip.h"
#include "tests/system/blast.h"

using namespace reef;
using namespace reef::blast;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;
constexpr std::uint64_t kQueuedBytesMax = 64 * 1024;  // well below any socket's receive buffer
constexpr std::chrono::seconds kStallMax{20};         // the receiver takes nothing for so long: it is dead

// Bytes waiting in the receive queues of all sockets bound to that port; they are ours to see, being local.
std::uint64_t queued_bytes(const Endpoint& target) {
  std::ifstream table(target.address.is_v4() ? "/proc/net/udp" : "/proc/net/udp6");
  std::string line;
  std::uint64_t sum = 0;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues;
    fields >> slot >> local >> remote >> state >> queues;
    const auto port_at = local.rfind(':'), queue_at = queues.find(':');
    if (port_at == std::string::npos || queue_at == std::string::npos) continue;
    if (std::stoul(local.substr(port_at + 1), nullptr, 16) == target.port) {
      sum += std::stoull(queues.substr(queue_at + 1), nullptr, 16);
    }
  }
  return sum;
}

class Blaster {
 public:
  Blaster(const Endpoint& target, Mutator mutator) : target_(target), mutator_(std::move(mutator)) {
    sockaddr_storage address;
    const socklen_t length = target.to(address);
    socket_ = Fd(::socket(address.ss_family, SOCK_DGRAM, 0));
    if (!socket_.is_open() ||
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
      usage("cannot reach " + to_string(target) + ": " + std::strerror(errno));
    }
  }

  // False: the port closed, or its owner stopped reading.
  bool run(std::uint64_t count) {
    for (std::uint64_t sent = 0; sent < count;) {
      const std::uint64_t batch = std::min<std::uint64_t>(kBatch, count - sent);
      for (std::uint64_t i = 0; i < batch; ++i) {
        if (!send_one()) return false;
      }
      sent += batch;
      read_answers();
      if (!wait_for_room()) return false;
    }
    return true;
  }
  std::uint64_t answers() const { return answers_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  bool send_one() {
    const Message datagram = mutator_.next();
    while (::send(socket_.get(), datagram.data(), datagram.size(), 0) < 0) {
      if (errno == ECONNREFUSED) {
        std::fprintf(stderr, "the port is closed\n");
        return false;
      }
      pollfd writable{socket_.get(), POLLOUT, 0};
      if (::poll(&writable, 1, 1000) < 0 && errno != EINTR) return false;
    }
    bytes_ += datagram.size();
    return true;
  }
  void read_answers() {
    char answer[65536];
    while (::recv(socket_.get(), answer, sizeof answer, MSG_DONTWAIT) >= 0) ++answers_;
  }
  bool wait_for_room() {
    const auto give_up = Clock::now() + kStallMax;
    while (queued_bytes(target_) > kQueuedBytesMax) {
      pollfd readable{socket_.get(), POLLIN, 0};
      ::poll(&readable, 1, 1);
      read_answers();
      if (Clock::now() > give_up) {
        std::fprintf(stderr, "the receiver takes nothing any more\n");
        return false;
      }
    }
    return true;
  }

  Endpoint target_;
  Mutator mutator_;
  Fd socket_;
  std::uint64_t answers_ = 0, bytes_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments given = read_arguments(argc, argv);
  Blaster blaster(given.target, Mutator(given.samples, given.seed));
  const auto begin = Clock::now();
  const bool alive = blaster.run(given.count);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("datagrams=%llu bytes=%llu answers=%llu seconds=%.2f rate=%.0f/s seed=%llu target=%s\n",
              static_cast<unsigned long long>(given.count), static_cast<unsigned long long>(blaster.bytes()),
              static_cast<unsigned long long>(blaster.answers()), seconds,
              static_cast<double>(given.count) / seconds, static_cast<unsigned long long>(given.seed),
              alive ? "alive" : "dead");
  return alive ? 0 : 1;
}
