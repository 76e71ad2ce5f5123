#include "tests/system/packet_tap.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

namespace reef::tests {
namespace {

// Headers only, and all segments of some seconds.
constexpr std::size_t kFrameBytes = 256, kFrames = 1 << 16, kBlockBytes = 1 << 16;
constexpr std::uint32_t kSnap = 120;  // both headers with all their options
// The ring is looked at so often: being woken for each segment is what the tap is there to avoid.
constexpr auto kLook = std::chrono::milliseconds(1);

bool filter_on(int socket, std::uint16_t server_port) {
  std::array<sock_filter, 7> program{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(iphdr, protocol)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 4),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),  // the length of the IP header
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, offsetof(tcphdr, source)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, server_port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kSnap),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog attached{static_cast<unsigned short>(program.size()), program.data()};
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0;
}

}  // namespace

PacketTap::PacketTap(std::uint16_t server_port) : socket_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  const int version = TPACKET_V2, on = 1;
  tpacket_req ring{};
  ring.tp_block_size = kBlockBytes;
  ring.tp_frame_size = kFrameBytes;
  ring.tp_frame_nr = kFrames;
  ring.tp_block_nr = kFrames * kFrameBytes / kBlockBytes;
  sockaddr_ll loopback{};
  loopback.sll_family = AF_PACKET;
  loopback.sll_protocol = htons(ETH_P_IP);
  loopback.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
  const int fd = socket_.get();
  if (!socket_.is_open() || !filter_on(fd, server_port) ||
      setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) != 0)
    return;
  void* mapped = mmap(nullptr, kFrames * kFrameBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) ring_ = static_cast<std::byte*>(mapped);
}

PacketTap::~PacketTap() {
  if (ring_ != nullptr) munmap(ring_, kFrames * kFrameBytes);
}

void PacketTap::wait(std::size_t connections, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  auto give_up = Clock::now() + patience;
  while (first_us_.size() < connections && Clock::now() < give_up) {
    const std::size_t before = first_us_.size();
    take();
    if (first_us_.size() > before) give_up = Clock::now() + patience;
    std::this_thread::sleep_for(kLook);
  }
}

std::int64_t PacketTap::first_us(std::uint16_t client_port) const {
  const auto found = first_us_.find(client_port);
  return found == first_us_.end() ? 0 : found->second;
}

void PacketTap::take() {
  while (true) {
    std::byte* const frame = ring_ + frame_ * kFrameBytes;
    auto* const header = reinterpret_cast<tpacket2_hdr*>(frame);
    std::atomic_ref<std::uint32_t> status(header->tp_status);
    if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0) return;
    const std::byte* const packet = frame + header->tp_net;
    iphdr ip{};
    tcphdr tcp{};
    std::memcpy(&ip, packet, sizeof ip);
    std::memcpy(&tcp, packet + std::size_t{4} * ip.ihl, sizeof tcp);
    if (header->tp_len > 4u * ip.ihl + 4u * tcp.doff) {
      first_us_.try_emplace(ntohs(tcp.dest),
                            std::int64_t{header->tp_sec} * 1'000'000 + header->tp_nsec / 1000);
    }
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    frame_ = (frame_ + 1) % kFrames;
  }
}

}  // namespace reef::tests
