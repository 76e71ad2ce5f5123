// The DNS wire format as an authoritative server needs it: a strict reader for queries, a bounded writer for
// responses (RFC 1035 §4, EDNS0 by RFC 6891, cookies by RFC 7873). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/ip.h"
#include "dnsd/name.h"

namespace reef::dnsd {

inline constexpr std::size_t kHeaderBytes = 12;

// RCODEs (IANA); those above 15 need the extended bits of the OPT record.
enum class Rcode : std::uint16_t {
  noerror = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  badvers = 16,
};

// RR types and QTYPEs that the server treats by themselves. Any other number is a type that no name has (RFC
// 3597).
namespace type {
inline constexpr std::uint16_t kA = 1;
inline constexpr std::uint16_t kNs = 2;
inline constexpr std::uint16_t kSoa = 6;
inline constexpr std::uint16_t kHinfo = 13;
inline constexpr std::uint16_t kAaaa = 28;
inline constexpr std::uint16_t kOpt = 41;
inline constexpr std::uint16_t kTkey = 249;
inline constexpr std::uint16_t kTsig = 250;
inline constexpr std::uint16_t kIxfr = 251;
inline constexpr std::uint16_t kAxfr = 252;
inline constexpr std::uint16_t kMailb = 253;
inline constexpr std::uint16_t kMaila = 254;
inline constexpr std::uint16_t kAny = 255;
}  // namespace type

inline constexpr std::uint16_t kClassIn = 1;

// What the OPT record of a query says.
struct Edns {
  std::uint16_t payload_bytes_max = 0;  // as sent; the responder applies its own bounds
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  ByteView
      cookie;  // option 10 as sent: empty (none), 8 bytes (client part), or 16 to 40 (client and server part)
};

// A query that could be read, or as much of it as an error response needs. Views point into the datagram.
struct Query {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false;
  Rcode verdict =
      Rcode::noerror;  // formerr: broken; notimp: another opcode; noerror: the fields below are set
  Name qname;
  std::uint16_t qtype = 0;
  std::uint16_t qclass = 0;
  ByteView question;         // as sent, to be echoed byte for byte; empty: none, or it could not be read
  std::optional<Edns> edns;  // also set beside formerr when an OPT was read before the error
};

// nullopt: no answer may be given, because it is shorter than a header or is itself a response.
// Exactly one question (or none beside a cookie: RFC 7873 §5.4), no answer records, no authority records
// (one, in an IXFR), one OPT at most and nothing else in the additional section, nothing behind the last
// record: all else is formerr.
[[nodiscard]] std::optional<Query> read_query(ByteView datagram);

// Writes one response. Records that do not fit are left out whole and reported, so that the caller decides
// between fewer records and TC. All owner names are the question's name or end in the zone, which ends the
// question's name: two pointers compress everything.
class ResponseWriter {
 public:
  enum class Section { answer, authority, additional };

  // `limit` bytes at most (never more than out.size()); `opt_bytes` of them are kept for write_opt(). The
  // question is echoed as sent; when it does not fit (or was not readable) the response has none.
  ResponseWriter(std::span<std::byte> out, std::size_t limit, std::size_t opt_bytes, const Query& query);

  // For an authoritative response: `zone` ends the question's name and may be pointed at.
  void set_zone(const Name& zone);

  // Owner: the question's name.
  [[nodiscard]] bool add_address(Section section, std::uint32_t ttl, const IpAddress& address);
  // Owner: any name under the zone.
  [[nodiscard]] bool add_address(Section section, const Name& owner, std::uint32_t ttl,
                                 const IpAddress& address);
  [[nodiscard]] bool add_ns(Section section, std::uint32_t ttl, const Name& name_server);  // owner: the zone
  struct Soa {
    Name mname, rname;
    std::uint32_t serial, refresh, retry, expire, minimum;
  };
  [[nodiscard]] bool add_soa(Section section, std::uint32_t ttl, const Soa& soa);  // owner: the zone
  [[nodiscard]] bool add_hinfo(std::uint32_t ttl, std::string_view cpu);  // owner: the question's name

  // Takes all records back: what remains for TC, or for an error.
  void clear_records();

  struct Flags {
    Rcode rcode = Rcode::noerror;
    bool authoritative = false;
    bool truncated = false;
  };
  // Ends the response: OPT if the query had one (with `cookie` as option 10 unless empty), then the header.
  // The size of the response; at least 12.
  std::size_t finish(const Flags& flags, std::uint16_t own_payload_max, ByteView cookie);

  static std::size_t opt_bytes(const Query& query, std::size_t cookie_bytes);

 private:
  void put_name(const Name& name);
  template <class PutOwner, class PutData>
  bool add(Section section, std::uint16_t type, std::uint32_t ttl, PutOwner put_owner, PutData put_data);
  void put_pointer(std::size_t offset);

  const Query& query_;
  std::span<std::byte> out_;
  ByteWriter writer_;  // without the room kept for OPT
  const Name* zone_ = nullptr;
  std::size_t zone_offset_ = 0;
  std::size_t records_at_ = 0;
  std::uint16_t counts_[3] = {};
};

}  // namespace reef::dnsd
