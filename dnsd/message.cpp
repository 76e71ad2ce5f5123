#include "dnsd/message.h"

#include <algorithm>

#include "base/check.h"

namespace reef::dnsd {
namespace {

constexpr std::uint16_t kQr = 0x8000, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100;
constexpr std::uint16_t kOptionCookie = 10;
constexpr std::size_t kOptFixedBytes = 11;  // root, type, class, TTL, RDLENGTH
constexpr std::uint32_t kDnssecOk = 0x8000;

// The options of an OPT record (RFC 6891 §6.1.2). Unknown ones are passed over.
bool read_options(ByteView rdata, Edns& edns) {
  ByteReader reader(rdata);
  while (reader.remaining() > 0) {
    const std::uint16_t code = reader.u16();
    const ByteView value = reader.bytes(reader.u16());
    if (!reader.ok()) return false;
    if (code != kOptionCookie) continue;
    // RFC 7873 §5.2.2: any other length is FORMERR. A second cookie is passed over.
    if (value.size() != 8 && (value.size() < 16 || value.size() > 40)) return false;
    if (edns.cookie.empty()) edns.cookie = value;
  }
  return reader.ok();
}

bool read_opt(ByteReader& reader, Query& query) {
  if (reader.u8() != 0 || reader.u16() != type::kOpt || !reader.ok()) return false;
  Edns edns;
  edns.payload_bytes_max = reader.u16();
  const std::uint32_t flags = reader.u32();
  edns.version = static_cast<std::uint8_t>(flags >> 16);
  edns.dnssec_ok = (flags & kDnssecOk) != 0;
  const ByteView rdata = reader.bytes(reader.u16());
  if (!reader.ok()) return false;
  const bool good = read_options(rdata, edns);
  query.edns = edns;
  return good;
}

// The SOA that an IXFR carries in its authority section (RFC 1995 §3); its content does not matter, for the
// answer is a refusal. Its owner may be compressed.
bool skip_record(ByteReader& reader) {
  while (true) {
    const std::uint8_t length = reader.u8();
    if (!reader.ok()) return false;
    if (length == 0) break;
    if (length >= 0xc0) {
      reader.u8();
      break;
    }
    if (length > Name::kLabelBytesMax) return false;
    reader.bytes(length);
  }
  reader.bytes(8);
  reader.bytes(reader.u16());
  return reader.ok();
}

bool read_sections(ByteView datagram, ByteReader& reader, Query& query) {
  const std::uint16_t questions = reader.u16();
  const std::uint16_t answers = reader.u16();
  const std::uint16_t authorities = reader.u16();
  const std::uint16_t additionals = reader.u16();
  if (questions == 0) {  // RFC 7873 §5.4: a client may ask for a cookie alone
    return answers == 0 && authorities == 0 && additionals == 1 && read_opt(reader, query) &&
           !query.edns->cookie.empty() && reader.at_end();
  }
  if (questions != 1) return false;
  const auto qname = Name::read(reader);
  if (!qname) return false;
  query.qtype = reader.u16();
  query.qclass = reader.u16();
  if (!reader.ok()) return false;
  query.qname = *qname;
  query.question = datagram.subspan(kHeaderBytes, reader.offset() - kHeaderBytes);
  if (query.qtype == 0 || query.qtype == type::kOpt) return false;
  if (answers != 0 || authorities > (query.qtype == type::kIxfr ? 1 : 0) || additionals > 1) return false;
  if (authorities == 1 && !skip_record(reader)) return false;
  if (additionals == 1 && !read_opt(reader, query)) return false;
  return reader.at_end();
}

}  // namespace

std::optional<Query> read_query(ByteView datagram) {
  if (datagram.size() < kHeaderBytes) return std::nullopt;
  ByteReader reader(datagram);
  Query query;
  query.id = reader.u16();
  const std::uint16_t flags = reader.u16();
  if ((flags & kQr) != 0) return std::nullopt;
  query.opcode = static_cast<std::uint8_t>(flags >> 11 & 0xf);
  query.recursion_desired = (flags & kRd) != 0;
  if (query.opcode != 0) {
    query.verdict = Rcode::notimp;
  } else if (!read_sections(datagram, reader, query)) {
    query.verdict = Rcode::formerr;
  }
  return query;
}

ResponseWriter::ResponseWriter(std::span<std::byte> out, std::size_t limit, std::size_t opt_bytes,
                               const Query& query)
    : query_(query),
      out_(out.first(std::min(limit, out.size()))),
      writer_(out_.first(out_.size() - opt_bytes)) {
  static constexpr std::byte kNoHeaderYet[kHeaderBytes] = {};
  writer_.bytes(kNoHeaderYet);
  BASE_CHECK(writer_.ok());
  if (writer_.room() >= query.question.size()) writer_.bytes(query.question);
  records_at_ = writer_.size();
}

void ResponseWriter::set_zone(const Name& zone) {
  zone_ = &zone;
  zone_offset_ = kHeaderBytes + query_.qname.size() - zone.size();
}

void ResponseWriter::put_pointer(std::size_t offset) {
  writer_.u16(static_cast<std::uint16_t>(0xc000 | offset));
}

void ResponseWriter::put_name(const Name& name) {
  if (zone_ != nullptr && name.is_under(*zone_)) {
    writer_.bytes(name.labels_before(*zone_));
    put_pointer(zone_offset_);
  } else {
    writer_.bytes(name.wire());
  }
}

template <class PutOwner, class PutData>
bool ResponseWriter::add(Section section, std::uint16_t type, std::uint32_t ttl, PutOwner put_owner,
                         PutData put_data) {
  if (!writer_.ok()) return false;
  const std::size_t begin = writer_.size();
  put_owner();
  writer_.u16(type);
  writer_.u16(kClassIn);
  writer_.u32(ttl);
  const std::size_t length_at = writer_.size();
  writer_.u16(0);
  put_data();
  if (!writer_.ok()) {
    writer_.rewind(begin);
    return false;
  }
  ByteWriter(out_.subspan(length_at, 2)).u16(static_cast<std::uint16_t>(writer_.size() - length_at - 2));
  ++counts_[static_cast<int>(section)];
  return true;
}

bool ResponseWriter::add_address(Section section, std::uint32_t ttl, const IpAddress& address) {
  return add(
      section, address.is_v4() ? type::kA : type::kAaaa, ttl, [this] { put_pointer(kHeaderBytes); },
      [this, &address] {
        writer_.bytes(std::as_bytes(std::span(address.bytes()).subspan(address.is_v4() ? 12 : 0)));
      });
}

bool ResponseWriter::add_address(Section section, const Name& owner, std::uint32_t ttl,
                                 const IpAddress& address) {
  return add(
      section, address.is_v4() ? type::kA : type::kAaaa, ttl, [this, &owner] { put_name(owner); },
      [this, &address] {
        writer_.bytes(std::as_bytes(std::span(address.bytes()).subspan(address.is_v4() ? 12 : 0)));
      });
}

bool ResponseWriter::add_ns(Section section, std::uint32_t ttl, const Name& name_server) {
  return add(
      section, type::kNs, ttl, [this] { put_pointer(zone_offset_); },
      [this, &name_server] { put_name(name_server); });
}

bool ResponseWriter::add_soa(Section section, std::uint32_t ttl, const Soa& soa) {
  return add(
      section, type::kSoa, ttl, [this] { put_pointer(zone_offset_); },
      [this, &soa] {
        put_name(soa.mname);
        put_name(soa.rname);
        for (const std::uint32_t value : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) {
          writer_.u32(value);
        }
      });
}

bool ResponseWriter::add_hinfo(std::uint32_t ttl, std::string_view cpu) {
  return add(
      Section::answer, type::kHinfo, ttl, [this] { put_pointer(kHeaderBytes); },
      [this, cpu] {
        writer_.u8(static_cast<std::uint8_t>(cpu.size()));
        writer_.bytes(as_bytes(cpu));
        writer_.u8(0);
      });
}

void ResponseWriter::clear_records() {
  writer_.rewind(records_at_);
  for (std::uint16_t& count : counts_) count = 0;
}

std::size_t ResponseWriter::opt_bytes(const Query& query, std::size_t cookie_bytes) {
  if (!query.edns) return 0;
  return kOptFixedBytes + (cookie_bytes > 0 ? 4 + cookie_bytes : 0);
}

std::size_t ResponseWriter::finish(const Flags& flags, std::uint16_t own_payload_max, ByteView cookie) {
  const auto rcode = static_cast<std::uint16_t>(flags.rcode);
  ByteWriter tail(out_.subspan(writer_.size()));
  if (query_.edns) {
    tail.u8(0);
    tail.u16(type::kOpt);
    tail.u16(own_payload_max);
    // Extended RCODE, version 0, and DO as it came (RFC 6891 §6.1.3, RFC 3225 §3).
    tail.u32(std::uint32_t{rcode} >> 4 << 24 | (query_.edns->dnssec_ok ? kDnssecOk : 0));
    tail.u16(static_cast<std::uint16_t>(cookie.empty() ? 0 : 4 + cookie.size()));
    if (!cookie.empty()) {
      tail.u16(kOptionCookie);
      tail.u16(static_cast<std::uint16_t>(cookie.size()));
      tail.bytes(cookie);
    }
    BASE_CHECK(tail.ok());
  }
  ByteWriter header(out_.first(kHeaderBytes));
  header.u16(query_.id);
  header.u16(static_cast<std::uint16_t>(kQr | query_.opcode << 11 | (flags.authoritative ? kAa : 0) |
                                        (flags.truncated ? kTc : 0) | (query_.recursion_desired ? kRd : 0) |
                                        (rcode & 0xf)));
  header.u16(records_at_ > kHeaderBytes ? 1 : 0);
  header.u16(counts_[0]);
  header.u16(counts_[1]);
  header.u16(static_cast<std::uint16_t>(counts_[2] + (query_.edns ? 1 : 0)));
  return writer_.size() + tail.size();
}

}  // namespace reef::dnsd
