// The DNS wire format as an authoritative server needs it: a strict reader for queries, a bounded writer for
// responses (RFC 1035 §4, EDNS0 by RFC 6891, cookies by
// RFC 7873, client subnets by RFC 7871). Pure.
#pragma once

#include <array>
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
  yxdomain = 6,  // a DNAME's substitution would be too long (RFC 6672 §2.2)
  badvers = 16,
};

// RR types and QTYPEs that the server treats by themselves. Any other number is a type that no name has (RFC
// 3597).
namespace type {
inline constexpr std::uint16_t kA = 1;
inline constexpr std::uint16_t kNs = 2;
inline constexpr std::uint16_t kCname = 5;
inline constexpr std::uint16_t kSoa = 6;
inline constexpr std::uint16_t kHinfo = 13;
inline constexpr std::uint16_t kMx = 15;
inline constexpr std::uint16_t kTxt = 16;
inline constexpr std::uint16_t kAaaa = 28;
inline constexpr std::uint16_t kDname = 39;
inline constexpr std::uint16_t kOpt = 41;
inline constexpr std::uint16_t kDs = 43;
inline constexpr std::uint16_t kHttps = 65;
inline constexpr std::uint16_t kTkey = 249;
inline constexpr std::uint16_t kTsig = 250;
inline constexpr std::uint16_t kIxfr = 251;
inline constexpr std::uint16_t kAxfr = 252;
inline constexpr std::uint16_t kMailb = 253;
inline constexpr std::uint16_t kMaila = 254;
inline constexpr std::uint16_t kAny = 255;
inline constexpr std::uint16_t kCaa = 257;
}  // namespace type

inline constexpr std::uint16_t kClassIn = 1;

// The client's network as its resolver says it (RFC 7871 §6).
struct ClientSubnet {
  std::uint16_t family = 0;  // 1: IPv4, 2: IPv6; 0 only with source_bits 0
  int source_bits = 0;       // 0: the client wants its address kept out of it
  IpAddress address;         // bits beyond source_bits are zero; unspecified where source_bits is 0
};

// What the OPT record of a query says.
struct Edns {
  std::uint16_t payload_bytes_max = 0;  // as sent; the responder applies its own bounds
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  ByteView
      cookie;  // option 10 as sent: empty (none), 8 bytes (client part), or 16 to 40 (client and server part)
  std::optional<ClientSubnet> subnet;  // option 8
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

// A name in a response: two runs of labels, then a pointer to where the rest stands already, or the root.
struct NameRef {
  ByteView head, tail;
  std::uint16_t pointer = 0;  // an offset from the header's begin; 0: the name ends here
};

// Writes one response. Records that do not fit are left out whole and reported, so that the caller decides
// between fewer records and TC. Names are compressed against the anchors: names whose place in the message is
// known.
class ResponseWriter {
 public:
  enum class Section { answer, authority, additional };

  // `limit` bytes at most (never more than out.size()); `opt_bytes` of them are kept for the OPT record. The
  // question is echoed as sent; when it does not fit (or was not readable) the response has none.
  ResponseWriter(std::span<std::byte> out, std::size_t limit, std::size_t opt_bytes, const Query& query);

  // From now on `name` may be pointed at, at `offset`. It must outlive the writer. At most kAnchorsMax.
  static constexpr std::size_t kAnchorsMax = 8;
  void anchor(const Name& name, std::size_t offset);
  // The place of the question's last labels, where they are `name`.
  [[nodiscard]] std::size_t offset_in_question(const Name& name) const {
    return kHeaderBytes + query_.qname.size() - name.size();
  }

  // The question's name; a name by its place; any name, pointing to the longest anchor that ends it; and
  // labels before a name.
  static NameRef question() { return {{}, {}, kHeaderBytes}; }
  static NameRef at(std::size_t offset) { return {{}, {}, static_cast<std::uint16_t>(offset)}; }
  [[nodiscard]] NameRef name(const Name& name) const { return name_below({}, name); }
  [[nodiscard]] NameRef name_below(ByteView labels, const Name& name) const;

  [[nodiscard]] bool add_address(Section section, const NameRef& owner, std::uint32_t ttl,
                                 const IpAddress& address);
  // NS or CNAME. The offset of the target, for anchors and pointers; 0: it did not fit.
  [[nodiscard]] std::size_t add_target(Section section, const NameRef& owner, std::uint16_t type,
                                       std::uint32_t ttl, const NameRef& target);
  struct Soa {
    NameRef mname, rname;
    std::uint32_t serial, refresh, retry, expire, minimum;
  };
  [[nodiscard]] bool add_soa(Section section, const NameRef& owner, std::uint32_t ttl, const Soa& soa);
  [[nodiscard]] bool add_hinfo(std::uint32_t ttl, std::string_view cpu);  // owner: the question's name
  // With RDATA as it is: names in it stand in full.
  [[nodiscard]] bool add_raw(Section section, const NameRef& owner, std::uint16_t type, std::uint32_t ttl,
                             ByteView rdata);
  // "1 . port=N ipv4hint=… ipv6hint=…" (RFC 9460 §9, §7.3); without the hints that do not fit.
  [[nodiscard]] bool add_https(const NameRef& owner, std::uint32_t ttl, std::uint16_t port,
                               std::span<const IpAddress> v4, std::span<const IpAddress> v6);

  [[nodiscard]] std::size_t room() const { return writer_.room(); }

  // What has been written so far, to take back what comes after it.
  struct Mark {
    std::size_t size;
    std::uint16_t counts[3];
  };
  [[nodiscard]] Mark mark() const { return {writer_.size(), {counts_[0], counts_[1], counts_[2]}}; }
  void rewind(const Mark& mark);
  // Takes all records back: what remains for TC, or for an error.
  void clear_records();

  struct Flags {
    Rcode rcode = Rcode::noerror;
    bool authoritative = false;
    bool truncated = false;
  };
  // What the OPT record of the response says, if the query had one.
  struct Opt {
    std::uint16_t own_payload_max = 0;
    ByteView cookie;                // option 10 unless empty
    std::optional<int> scope_bits;  // option 8 with the query's prefix, unless nullopt
  };
  // Ends the response: OPT, then the header. The size of the response; at least 12.
  std::size_t finish(const Flags& flags, const Opt& opt);

  // What the OPT record of the response to `query` takes.
  static std::size_t opt_bytes(const Query& query, std::size_t cookie_bytes, bool subnet);

 private:
  void put(const NameRef& name);
  template <class PutData>
  bool add(Section section, const NameRef& owner, std::uint16_t type, std::uint32_t ttl, PutData put_data);

  struct Anchor {
    const Name* name;
    std::uint16_t offset;
  };
  const Query& query_;
  std::span<std::byte> out_;
  ByteWriter writer_;  // without the room kept for OPT
  std::array<Anchor, kAnchorsMax> anchors_;
  std::size_t anchor_count_ = 0;
  std::size_t records_at_ = 0;
  std::uint16_t counts_[3] = {};
};

}  // namespace reef::dnsd
