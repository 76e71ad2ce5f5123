// Records that an operator gives by hand, beside those that the server makes itself: TXT, CAA, MX, A, AAAA
// and CNAME by name.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dnsd/name.h"

namespace reef::dnsd {

class Zone;

struct Record {
  Name owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;  // seconds
  Bytes rdata;            // in wire form, names uncompressed

  // "NAME [TTL] TYPE VALUE" as in a zone file, in one line, all names whole:
  //   _acme-challenge.reef.example 60 TXT "gfj9Xq...Rg85nM"
  //   reef.example CAA 0 issue "letsencrypt.org"
  //   reef.example MX 10 mail.example.org
  // TTL in seconds; without one: `default_ttl`. A TXT may have several strings; without quotes a string ends
  // at a space. In quotes \" and \\ stand for themselves.
  static Result<Record> parse(std::string_view text, std::uint32_t default_ttl);
};

// The records of all names; immutable, shared by all loops.
class Records {
 public:
  struct Set {  // of one type; the TTL is the least that any of them has (RFC 2181 §5.2)
    std::uint16_t type;
    std::uint32_t ttl;
    std::vector<Bytes> rdatas;  // each once
  };
  struct Node {
    std::vector<Set> sets;  // empty: the name exists because names below it do (RFC 8020)
    [[nodiscard]] const Set* of(std::uint16_t type) const;
  };

  Records() = default;

  // Fails where a record may not stand: outside of the zone, at or below a name that the server itself needs
  // (cuts, name servers), a CNAME beside anything else (RFC 1034 §3.6.2), or at the apex. Records below the
  // owner of a DNAME are put where it leads (RFC 6672 §2.4 forbids them here).
  static Result<std::shared_ptr<const Records>> make(const Zone& zone, std::span<const Record> records);

  // nullptr: nothing is known about the name. Lives as long as this.
  [[nodiscard]] const Node* find(const Name& name) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };
  std::unordered_map<std::string, Node, Hash, std::equal_to<>> nodes_;  // by the wire form in lower case
};

}  // namespace reef::dnsd
