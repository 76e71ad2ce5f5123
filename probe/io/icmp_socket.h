// ICMP and ICMPv6 echo to one address, by whichever kind of socket this process may open.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace reef::probe {

enum class IcmpAccess : std::uint8_t { datagram, raw, none };

class IcmpSocket {
 public:
  // EACCES or EPERM: neither kind is permitted. Otherwise: no route, no descriptors.
  static Result<IcmpSocket> open(const IpAddress& target);
  // What open() would use for that family.
  static IcmpAccess access(bool v4);

  [[nodiscard]] int fd() const { return fd_.get(); }
  void send(std::uint16_t sequence);
  // The sequence of the next echo reply that is ours; nullopt: none is left for now.
  std::optional<std::uint16_t> read();

 private:
  IcmpSocket(Fd fd, bool v4, bool raw);

  Fd fd_;
  bool v4_;
  bool raw_;
  std::uint16_t id_;                  // the kernel's, with a datagram socket
  std::array<std::byte, 8> token_{};  // payload that nobody else sends
};

}  // namespace reef::probe
