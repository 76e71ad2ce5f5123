// The TUN device of a host: its only way out of its namespace.
#pragma once

#include "base/io/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace reef::wan {

inline constexpr int kMtu = 1500;
inline constexpr const char* kTunName = "wan0";

// Opens a TUN device in the calling thread's network namespace, gives it both addresses and the default
// routes, and brings it up. The descriptor reads and writes one bare IP packet at a time and does not block.
// Where the kernel has no IPv6, `address6` is left out.
[[nodiscard]] Result<Fd> open_tun(const IpAddress& address, const IpAddress& address6);

// Packets that the kernel dropped because nobody read this namespace's device in time.
[[nodiscard]] std::uint64_t tun_drops();

}  // namespace reef::wan
