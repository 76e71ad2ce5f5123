// A crowd of HTTP clients in one process, measured by the kernel: all connect, then all ask for the same
// thing at once.
//
//   reef_crowd IP:PORT HOST PATH CLIENTS [SLOW RATE]
//
// Connects CLIENTS times, then asks for PATH of HOST on all of those connections. SLOW of them read RATE
// bytes a second through a small receive buffer; when all others have ended the slow ones are let go. Prints
// one line of JSON on stdout:
//
//   {"asked_us": t, "done": n, "failed": n, "slow_left": n, "slow_bytes": n, "body_bytes": n,
//    "digests": ["..."], "first_us": [...], "last_us": [...]}
//
// Times are microseconds of CLOCK_REALTIME. first_us: when each fast client's first byte reached its socket,
// by the kernel's time stamp of the first segment with data (packet_tap.h), so that this process is not what
// is measured; until all have one (or none comes for a second) nobody reads, since who reads bodies takes the
// cores that the others' first bytes need, which clients elsewhere would not. Without the right to tap, and
// over IPv6, SO_TIMESTAMPNS must do, whose stamp covers a run of bytes that the kernel has merged and tells
// its last, so it errs on the late side. last_us: when the last byte was read. digests: of the bodies that
// came, each different one once (FNV-1a over little-endian words of eight bytes, the last filled up with
// zeros). Exit 0 also when clients failed; 2: wrong use, 1: the system refused.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/fd.h"
#include "base/ip.h"
#include "tests/system/packet_tap.h"

namespace {

using reef::Fd;

constexpr std::uint64_t kFnvStart = 14695981039346656037u;
constexpr std::uint64_t kFnvPrime = 1099511628211u;
constexpr int kSlowBuffer = 4096;

std::int64_t micros(const timespec& at) { return std::int64_t{at.tv_sec} * 1'000'000 + at.tv_nsec / 1000; }

std::int64_t now_us() {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  return micros(at);
}

struct Client {
  Fd fd;
  bool slow = false;
  bool ended = false;
  bool failed = false;
  std::uint16_t port = 0;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::string head;  // until it is whole
  bool in_body = false;
  std::uint64_t wanted = 0;
  std::uint64_t got = 0;
  std::uint64_t digest = kFnvStart;
  std::uint64_t odd = 0;  // bytes of an unfinished word
  unsigned odd_bytes = 0;
};

// FNV-1a over little-endian words of eight bytes: a word at a time, so that the digest costs less than the
// copy.
void digest(Client& client, std::string_view bytes) {
  while (!bytes.empty()) {
    if (client.odd_bytes == 0 && bytes.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), 8);
      client.digest = (client.digest ^ word) * kFnvPrime;
      bytes.remove_prefix(8);
      continue;
    }
    client.odd |= std::uint64_t{static_cast<unsigned char>(bytes[0])} << (8 * client.odd_bytes);
    bytes.remove_prefix(1);
    if (++client.odd_bytes < 8) continue;
    client.digest = (client.digest ^ client.odd) * kFnvPrime;
    client.odd = client.odd_bytes = 0;
  }
}

void end(Client& client, bool failed) {
  client.ended = true;
  client.failed = failed;
  client.last_us = now_us();
  if (client.odd_bytes > 0) client.digest = (client.digest ^ client.odd) * kFnvPrime;
  client.fd.reset();
}

void take(Client& client, std::string_view bytes) {
  if (!client.in_body) {
    client.head.append(bytes);
    const std::size_t at = client.head.find("\r\n\r\n");
    if (at == std::string::npos) return;
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const std::size_t length = client.head.find(kLength);
    if (!client.head.starts_with("HTTP/1.1 200 ") || length == std::string::npos || length > at)
      return end(client, true);
    const char* from = client.head.data() + length + kLength.size();
    std::from_chars(from, client.head.data() + at, client.wanted);
    const std::string rest = client.head.substr(at + 4);
    client.in_body = true;
    client.head.clear();
    return take(client, rest);
  }
  client.got += bytes.size();
  digest(client, bytes);
  if (client.got >= client.wanted) end(client, client.got > client.wanted);
}

// One read; false where there is nothing more just now, or the client has ended.
bool read_some(Client& client, std::vector<char>& buffer, std::size_t most) {
  iovec into{buffer.data(), client.first_us == 0 ? 1 : most};
  std::array<char, 256> control{};
  msghdr message{};
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(client.fd.get(), &message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    end(client, true);
    return false;
  }
  if (client.first_us == 0) {
    client.first_us = now_us();
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
      if (micros(stamp) > 0 && micros(stamp) < client.first_us) client.first_us = micros(stamp);
    }
  }
  take(client, {buffer.data(), static_cast<std::size_t>(got)});
  return !client.ended;
}

bool connect(Client& client, const reef::Endpoint& to) {
  sockaddr_storage address{};
  const socklen_t length = to.to(address);
  client.fd = Fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!client.fd.is_open() || setsockopt(client.fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
    return false;
  if (client.slow) setsockopt(client.fd.get(), SOL_SOCKET, SO_RCVBUF, &kSlowBuffer, sizeof kSlowBuffer);
  if (connect(client.fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) return false;
  sockaddr_storage own{};
  socklen_t own_length = sizeof own;
  if (getsockname(client.fd.get(), reinterpret_cast<sockaddr*>(&own), &own_length) != 0) return false;
  client.port = reef::Endpoint::from(reinterpret_cast<const sockaddr*>(&own)).port;
  return true;
}

void print_times(const char* name, const std::vector<Client>& clients, std::int64_t Client::*time,
                 const char* end) {
  std::printf("\"%s\": [", name);
  const char* comma = "";
  for (const Client& client : clients) {
    if (client.slow || client.failed) continue;
    std::printf("%s%lld", comma, static_cast<long long>(client.*time));
    comma = ", ";
  }
  std::printf("]%s", end);
}

void print(const std::vector<Client>& clients, std::int64_t asked_us) {
  std::size_t done = 0, failed = 0, slow_left = 0;
  std::uint64_t bytes = 0, slow_bytes = 0;
  std::set<std::uint64_t> digests;
  for (const Client& client : clients) {
    failed += client.failed ? 1 : 0;
    if (client.slow) {
      slow_left += client.ended ? 0 : 1;
      slow_bytes += client.got;
      continue;
    }
    if (client.failed) continue;
    ++done;
    bytes += client.got;
    digests.insert(client.digest);
  }
  std::printf(
      "{\"asked_us\": %lld, \"done\": %zu, \"failed\": %zu, \"slow_left\": %zu, \"slow_bytes\": %llu, ",
      static_cast<long long>(asked_us), done, failed, slow_left, static_cast<unsigned long long>(slow_bytes));
  std::printf("\"body_bytes\": %llu, \"digests\": [", static_cast<unsigned long long>(bytes));
  const char* comma = "";
  for (const std::uint64_t digest : digests) {
    std::printf("%s\"%016llx\"", comma, static_cast<unsigned long long>(digest));
    comma = ", ";
  }
  std::printf("], ");
  print_times("first_us", clients, &Client::first_us, ", ");
  print_times("last_us", clients, &Client::last_us, "}\n");
}

int run(const reef::Endpoint& to, const std::string& request, std::size_t count, std::size_t slow,
        std::size_t rate) {
  const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  std::vector<Client> clients(count);
  std::vector<std::size_t> slow_ones;
  for (std::size_t i = 0; i < count; ++i) {
    clients[i].slow = i < slow;
    if (clients[i].slow) slow_ones.push_back(i);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = i;
    if (!connect(clients[i], to) ||
        (!clients[i].slow && epoll_ctl(epoll.get(), EPOLL_CTL_ADD, clients[i].fd.get(), &event) != 0)) {
      std::perror("connect");
      return 1;
    }
  }
  std::optional<reef::tests::PacketTap> tap(std::in_place, to.port);
  const std::int64_t asked_us = now_us();
  for (Client& client : clients) {
    if (send(client.fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      end(client, true);
  }
  if (tap->is_open() && to.address.is_v4()) {
    tap->wait(count, std::chrono::seconds(1));
    for (Client& client : clients) client.first_us = tap->first_us(client.port);
  }
  tap.reset();
  std::vector<char> buffer(256 << 10);
  std::array<epoll_event, 512> events;
  std::size_t open = count - slow;
  std::int64_t slow_at = now_us();
  while (open > 0) {
    const int ready = epoll_wait(epoll.get(), events.data(), events.size(), slow_ones.empty() ? 10'000 : 20);
    if (ready < 0 && errno != EINTR) return 1;
    if (ready == 0 && slow_ones.empty()) break;  // nothing for ten seconds
    for (int i = 0; i < ready; ++i) {
      Client& client = clients[events[static_cast<std::size_t>(i)].data.u64];
      while (!client.ended && read_some(client, buffer, buffer.size())) {
      }
      if (client.ended) --open;
    }
    for (const std::int64_t now = now_us(); !slow_ones.empty() && now - slow_at >= 100'000;
         slow_at += 100'000) {
      for (const std::size_t i : slow_ones) {
        if (!clients[i].ended) read_some(clients[i], buffer, std::max<std::size_t>(1, rate / 10));
      }
    }
  }
  for (Client& client : clients) {
    if (!client.ended && !client.slow) client.failed = true;
  }
  print(clients, asked_us);
  return 0;
}

std::size_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 7) {
    std::fprintf(stderr, "usage: reef_crowd IP:PORT HOST PATH CLIENTS [SLOW RATE]\n");
    return 2;
  }
  const auto to = reef::Endpoint::parse(argv[1]);
  const std::size_t count = number(argv[4]);
  const std::size_t slow = argc == 7 ? number(argv[5]) : 0;
  if (!to || count == 0 || slow >= count) {
    std::fprintf(stderr, "reef_crowd: an address, and more clients than slow ones\n");
    return 2;
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const std::string request = std::string("GET ") + argv[3] + " HTTP/1.1\r\nHost: " + argv[2] + "\r\n\r\n";
  return run(*to, request, count, slow, argc == 7 ? number(argv[6]) : 0);
}
