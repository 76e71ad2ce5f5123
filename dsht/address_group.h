// Whose addresses are likely one operator's: a global IPv4 /24 or IPv6 /48. Tables and lookups take only a
// few contacts of a group, so that nobody surrounds a node or a key from one place. Pure.
#pragma once

#include <cstdint>

#include "base/ip.h"

namespace reef::dsht {

// The group of an address, as a number to compare; never 0 for a global one.
using AddressGroup = std::uint64_t;
// Of addresses outside global space, which share a prefix by nature: no limit applies to them.
inline constexpr AddressGroup kNoGroup = 0;

[[nodiscard]] AddressGroup address_group(const IpAddress& address);

// In one /24 (IPv6 /48), global or not.
[[nodiscard]] bool same_network(const IpAddress& a, const IpAddress& b);

}  // namespace reef::dsht
