// When the first byte of each of many connections reached this machine's TCP, by a tap on the loopback
// device: needs nobody who reads the sockets meanwhile, and so takes no core from who is measured.
//
// packet(7), TPACKET_V2. IPv4 on loopback only, and CAP_NET_RAW. Not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/io/fd.h"

namespace reef::tests {

class PacketTap {
 public:
  // Sees TCP segments with data from `server_port` from now on.
  explicit PacketTap(std::uint16_t server_port);
  ~PacketTap();
  PacketTap(const PacketTap&) = delete;
  PacketTap& operator=(const PacketTap&) = delete;

  // False: it may not, or the system refused.
  [[nodiscard]] bool is_open() const { return ring_ != nullptr; }

  // Until `connections` have had a byte, or none came for the first time for `patience`.
  void wait(std::size_t connections, std::chrono::milliseconds patience);

  // Microseconds of CLOCK_REALTIME at which the first segment with data for that client port came; 0: none.
  [[nodiscard]] std::int64_t first_us(std::uint16_t client_port) const;

 private:
  void take();

  Fd socket_;
  std::byte* ring_ = nullptr;
  std::size_t frame_ = 0;  // the next to be filled
  std::unordered_map<std::uint16_t, std::int64_t> first_us_;
};

}  // namespace reef::tests
