// DNS responses as people read them, for `reef dns explain`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace reef::node {

struct DnsRecordText {
  std::string section;  // "answer", "authority" or "additional"
  std::string name;     // with its final dot
  std::string type;     // "A", or "TYPE65280" (RFC 3597 §5)
  std::uint32_t ttl = 0;
  std::string data;  // "192.0.2.1"; of types that are not known here: \# LENGTH HEX (RFC 3597 §5)
};

struct DnsResponseText {
  std::string rcode;  // "NOERROR"
  bool authoritative = false;
  std::vector<DnsRecordText> records;  // without OPT, in the order of the message
};

// nullopt: it is no whole response.
[[nodiscard]] std::optional<DnsResponseText> read_dns_response(ByteView message);

// "AAAA" or "TYPE28": its number; nullopt where it is neither.
[[nodiscard]] std::optional<std::uint16_t> parse_dns_type(std::string_view text);

}  // namespace reef::node
