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
#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/random.h"

using namespace reef;

namespace {

using Datagram = std::vector<char>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kDatagramBytesMax = 1472;       // a full Ethernet frame
constexpr std::uint64_t kQueuedBytesMax = 64 * 1024;  // well below any socket's receive buffer
constexpr std::chrono::seconds kStallMax{20};         // the receiver takes nothing for so long: it is dead

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr, "%s\nusage: reef_blast HOST:PORT COUNT SEED SAMPLES_DIR [--skip BYTES]\n",
               why.c_str());
  std::exit(2);
}

std::uint64_t number(const char* text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') usage(std::string("not a number: ") + text);
  return value;
}

// In order of their names, so that a seed means the same everywhere.
std::vector<Datagram> read_samples(const std::string& directory, std::size_t skip) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (const dirent* entry = ::readdir(dir)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    ::closedir(dir);
  }
  std::sort(names.begin(), names.end());
  std::vector<Datagram> samples;
  for (const std::string& name : names) {
    std::ifstream file(directory + "/" + name, std::ios::binary);
    Datagram sample{std::istreambuf_iterator<char>(file), {}};
    if (sample.size() <= skip) continue;
    sample.erase(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(skip));
    sample.resize(std::min(sample.size(), kDatagramBytesMax));
    samples.push_back(std::move(sample));
  }
  if (samples.empty()) usage("no samples in " + directory);
  return samples;
}

class Mutator {
 public:
  Mutator(std::vector<Datagram> samples, std::uint64_t seed) : samples_(std::move(samples)), random_(seed) {}

  Datagram next() {
    if (random_.below(10) == 0) return noise(random_.below(600));
    Datagram out = sample();
    switch (random_.below(6)) {
      case 0:
        break;
      case 1:
        flip_bits(out);
        break;
      case 2:
        replace_bytes(out);
        break;
      case 3:
        out.resize(random_.below(out.size() + 1));
        break;
      case 4:
        grow(out);
        break;
      case 5:
        splice(out);
        break;
    }
    return out;
  }

 private:
  const Datagram& sample() { return samples_[random_.below(samples_.size())]; }
  char byte() { return static_cast<char>(random_()); }
  Datagram noise(std::size_t size) {
    Datagram out(size);
    for (char& c : out) c = byte();
    return out;
  }
  void flip_bits(Datagram& out) {
    for (std::uint64_t i = 1 + random_.below(8); i > 0; --i) {
      out[random_.below(out.size())] ^= static_cast<char>(1 << random_.below(8));
    }
  }
  void replace_bytes(Datagram& out) {
    static constexpr unsigned char kSpecial[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
    for (std::uint64_t i = 1 + random_.below(8); i > 0; --i) {
      out[random_.below(out.size())] =
          random_.below(2) == 0 ? byte() : static_cast<char>(kSpecial[random_.below(std::size(kSpecial))]);
    }
  }
  void grow(Datagram& out) {
    const Datagram more = noise(1 + random_.below(200));
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(random_.below(out.size() + 1)), more.begin(),
               more.end());
    out.resize(std::min(out.size(), kDatagramBytesMax));
  }
  void splice(Datagram& out) {
    const Datagram& other = sample();
    out.resize(random_.below(out.size() + 1));
    out.insert(out.end(), other.begin() + static_cast<std::ptrdiff_t>(random_.below(other.size() + 1)),
               other.end());
    out.resize(std::min(out.size(), kDatagramBytesMax));
  }

  std::vector<Datagram> samples_;
  Random random_;
};

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
    const Datagram datagram = mutator_.next();
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
  std::size_t skip = 0;
  if (argc == 7 && std::strcmp(argv[5], "--skip") == 0) {
    skip = number(argv[6]);
  } else if (argc != 5) {
    usage("wrong arguments");
  }
  const auto target = Endpoint::parse(argv[1]);
  if (!target) usage(target.error().message());
  if (!target->address.is_loopback()) usage("the target must be a loopback address");
  const std::uint64_t count = number(argv[2]), seed = number(argv[3]);

  Blaster blaster(*target, Mutator(read_samples(argv[4], skip), seed));
  const auto begin = Clock::now();
  const bool alive = blaster.run(count);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("datagrams=%llu bytes=%llu answers=%llu seconds=%.2f rate=%.0f/s seed=%llu target=%s\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(blaster.bytes()),
              static_cast<unsigned long long>(blaster.answers()), seconds,
              static_cast<double>(count) / seconds, static_cast<unsigned long long>(seed),
              alive ? "alive" : "dead");
  return alive ? 0 : 1;
}
