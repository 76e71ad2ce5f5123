// What a proxy publishes in the index for an object that it has or is fetching: where it answers its peers.
//
//   byte 0      version, 1
//   byte 1      address length: 4 or 16
//   then        the address, then the port (2 bytes, big-endian, not 0)
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/ip.h"

namespace reef::proxy {

[[nodiscard]] Bytes encode_pointer(const Endpoint& proxy);

// Exactly one pointer and nothing behind it; nullopt for anything else (also an unspecified address).
[[nodiscard]] std::optional<Endpoint> decode_pointer(ByteView bytes);

}  // namespace reef::proxy
