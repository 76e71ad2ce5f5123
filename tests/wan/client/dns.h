// What a stub resolver needs of DNS (RFC 1035): one question about a name's IPv4 addresses, and its answer
// read. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace reef::wan {

// A query for the A records of `name` (labels of 1 to 63 bytes, 253 in all) with recursion desired.
[[nodiscard]] Result<Bytes> encode_query(std::uint16_t id, std::string_view name);

// The addresses in the answer section, in order, whatever names CNAMEs led through. Errors: not an answer to
// `id`, malformed, truncated, an rcode other than NOERROR, or no address.
[[nodiscard]] Result<std::vector<IpAddress>> decode_answer(std::uint16_t id, ByteView message);

}  // namespace reef::wan
