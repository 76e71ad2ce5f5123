// Keys of the index. Members that hold a pointer see only the key: the first 160 bits of
// HMAC-SHA-256(network key, domain byte | name), so that they do not read URLs, and uses cannot collide.
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/id.h"

namespace reef::dsht {

enum class KeyDomain : std::uint8_t {
  url = 1,   // name: the normalized URL
  hint = 2,  // name: a router address or prefix, as text
  test = 255,
};

// Every datagram carries it, so that strangers' networks stay apart. The first 64 bits of
// HMAC-SHA-256(network key, "reef network id").
using NetworkId = std::uint64_t;

// `network_key`: any bytes, the same in all nodes of a network; empty is the open default network.
[[nodiscard]] NetworkId network_id_of(ByteView network_key);
[[nodiscard]] Key key_of(ByteView network_key, KeyDomain domain, std::string_view name);

}  // namespace reef::dsht
