// Interoperable DNS server cookies (RFC 9018): proof that a client receives what is sent to its address.
// Pure.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/siphash.h"

namespace reef::dnsd {

using CookieSecret = SipKey;               // shared by all loops of a node; new at every start will do
using Cookie = std::array<std::byte, 24>;  // client part (8), then server part (16)

// The cookie for a client. `client_part`: 8 bytes; `wall_seconds`: seconds since 1970, modulo 2^32.
[[nodiscard]] Cookie make_cookie(const CookieSecret& secret, ByteView client_part, const IpAddress& client,
                                 std::uint32_t wall_seconds);

// `cookie`, as the option came, is one that we made for this client within the last hour (RFC 9018 §4.3).
[[nodiscard]] bool is_valid_cookie(const CookieSecret& secret, ByteView cookie, const IpAddress& client,
                                   std::uint32_t wall_seconds);

}  // namespace reef::dnsd
