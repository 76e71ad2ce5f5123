#include "dnsd/io/udp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/io/socket.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kBatch = 32;  // datagrams a system call
constexpr int kRoundsMax = 8;       // batches a turn, so that one flood leaves the loop to others too
constexpr std::size_t kQueryBytesMax = 2048;  // no query is larger; what is, is dropped
constexpr int kSocketBufferBytes = 1 << 20;   // some 2,000 small datagrams while the loop is busy elsewhere
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

// Of what arrived beside a datagram, keeps the local address as the source of the answer; the route decides
// about the interface, except for link-local addresses, which mean nothing without theirs.
void answer_from_same_address(msghdr& header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      info.ipi_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    }
  }
}

}  // namespace

struct UdpListener::Batch {
  struct Slot {
    std::array<std::byte, kQueryBytesMax> query;
    std::array<std::byte, Responder::kResponseBytesMax> response;
    sockaddr_storage peer;
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
    iovec in, out;
  };
  std::array<Slot, kBatch> slots;
  std::array<mmsghdr, kBatch> received;
  std::array<mmsghdr, kBatch> to_send;

  // Those that the last call filled.
  std::size_t used = kBatch;
  void prepare() {
    for (std::size_t i = 0; i < used; ++i) {
      Slot& slot = slots[i];
      slot.in = {slot.query.data(), slot.query.size()};
      received[i] = {};
      received[i].msg_hdr = {&slot.peer,          sizeof slot.peer,    &slot.in, 1,
                             slot.control.data(), slot.control.size(), 0};
    }
  }
};

Result<std::unique_ptr<UdpListener>> UdpListener::start(EventLoop& loop, Fd socket, bool any_address,
                                                        Answerer& answerer) {
  const int on = 1;
  if (any_address) {
    const auto local = local_endpoint(socket.get());
    if (!local) return fail(local.error());
    const bool v4 = local->address.is_v4();
    if (::setsockopt(socket.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on,
                     sizeof on) != 0) {
      return fail(errno_error("IP_PKTINFO"));
    }
  }
  // Best effort: the kernel may cap them, and the server works with less.
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  return std::unique_ptr<UdpListener>(new UdpListener(loop, std::move(socket), answerer));
}

UdpListener::UdpListener(EventLoop& loop, Fd socket, Answerer& answerer)
    : loop_(loop),
      answerer_(answerer),
      socket_(std::move(socket)),
      batch_(std::make_unique<Batch>()),
      readable_(loop, socket_.get(), EV_READ, [this](short) { on_readable(); }) {}

UdpListener::~UdpListener() = default;

void UdpListener::on_readable() {
  for (int round = 0; round < kRoundsMax; ++round) {
    batch_->prepare();
    // An error here is one that an earlier answer met (ICMP): reading it has cleared it, and the socket lives
    // on.
    const int got = ::recvmmsg(socket_.get(), batch_->received.data(), kBatch, MSG_DONTWAIT, nullptr);
    batch_->used = got > 0 ? static_cast<std::size_t>(got) : 0;
    if (got <= 0) return;
    const TimePoint now = loop_.now();
    std::size_t count = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      mmsghdr& in = batch_->received[i];
      if (in.msg_hdr.msg_flags & MSG_TRUNC) {
        answerer_.counters().oversized.add();
        continue;
      }
      Batch::Slot& slot = batch_->slots[i];
      const Client client{Endpoint::from(reinterpret_cast<const sockaddr*>(&slot.peer)), Transport::udp};
      const std::size_t size =
          answerer_.answer(ByteView(slot.query).first(in.msg_len), client, now, slot.response, true);
      if (size == 0) continue;
      if (size == Answerer::kHeld) {
        hold(in.msg_hdr, ByteView(slot.query).first(in.msg_len), client);
        continue;
      }
      answer_from_same_address(in.msg_hdr);
      slot.out = {slot.response.data(), size};
      mmsghdr& out = batch_->to_send[count++];
      out = {};
      out.msg_hdr = in.msg_hdr;
      out.msg_hdr.msg_flags = 0;
      out.msg_hdr.msg_iov = &slot.out;
      if (out.msg_hdr.msg_controllen == 0) out.msg_hdr.msg_control = nullptr;
    }
    send(count);
    if (static_cast<std::size_t>(got) < kBatch) return;
  }
}

// A query that waits, with what its answer needs of the datagram.
struct UdpListener::Late {
  Bytes query;
  Client client;
  sockaddr_storage peer;
  socklen_t peer_bytes;
  alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
  std::size_t control_bytes;
};

void UdpListener::hold(const msghdr& header, ByteView query, const Client& client) {
  auto late = std::make_shared<Late>();
  late->query.assign(query.begin(), query.end());
  late->client = client;
  std::memcpy(&late->peer, header.msg_name, header.msg_namelen);
  late->peer_bytes = header.msg_namelen;
  late->control_bytes = header.msg_controllen;
  std::memcpy(late->control.data(), header.msg_control, header.msg_controllen);
  answerer_.hold([this, late] { answer_late(*late); });
}

void UdpListener::answer_late(Late& late) {
  std::array<std::byte, Responder::kResponseBytesMax> response;
  const std::size_t size = answerer_.answer(late.query, late.client, loop_.now(), response, false);
  if (size == 0) return;
  iovec out{response.data(), size};
  msghdr header{&late.peer, late.peer_bytes, &out, 1, late.control.data(), late.control_bytes, 0};
  if (late.control_bytes == 0) header.msg_control = nullptr;
  answer_from_same_address(header);
  if (::sendmsg(socket_.get(), &header, MSG_DONTWAIT) < 0) answerer_.counters().send_failed.add();
}

// What the kernel does not take is lost, as any datagram may be; the resolver asks again.
void UdpListener::send(std::size_t count) {
  for (std::size_t sent = 0; sent < count;) {
    const int taken =
        ::sendmmsg(socket_.get(), &batch_->to_send[sent], static_cast<unsigned>(count - sent), MSG_DONTWAIT);
    if (taken > 0) {
      sent += static_cast<std::size_t>(taken);
    } else {
      answerer_.counters().send_failed.add();
      ++sent;  // this one cannot be sent (no route, full buffer); the next may
    }
  }
}

}  // namespace reef::dnsd
