#include "dnsd/message.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace reef::dnsd {
namespace {

constexpr std::uint16_t kQr = 0x8000, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100;
constexpr std::uint16_t kOptionSubnet = 8, kOptionCookie = 10;
constexpr std::size_t kSubnetFixedBytes = 4;  // family and the two lengths
constexpr std::size_t kOptFixedBytes = 11;    // root, type, class, TTL, RDLENGTH
constexpr std::uint32_t kDnssecOk = 0x8000;

std::size_t address_bytes(int bits) { return (static_cast<std::size_t>(bits) + 7) / 8; }

// RFC 7871 §6: of the address just as many bytes as the prefix needs, bits beyond it zero, no scope in a
// query. Anything else is FORMERR.
std::optional<ClientSubnet> read_subnet(ByteView value) {
  ByteReader reader(value);
  ClientSubnet out;
  out.family = reader.u16();
  out.source_bits = reader.u8();
  const std::uint8_t scope = reader.u8();
  const int bits_max = out.family == 1 ? 32 : out.family == 2 ? 128 : 0;
  if (!reader.ok() || out.family > 2 || scope != 0 || out.source_bits > bits_max) return std::nullopt;
  const ByteView bytes = reader.bytes(address_bytes(out.source_bits));
  if (!reader.at_end()) return std::nullopt;
  if (bytes.empty()) return out;
  std::array<std::uint8_t, 16> full{};
  std::memcpy(full.data(), bytes.data(), bytes.size());
  if (out.source_bits % 8 != 0 && (full[bytes.size() - 1] & (0xff >> out.source_bits % 8)) != 0) {
    return std::nullopt;
  }
  out.address = out.family == 1 ? IpAddress::v4(full[0], full[1], full[2], full[3]) : IpAddress::v6(full);
  // A mapped address would be taken for IPv4, with a prefix longer than those have.
  if (out.family == 2 && out.address.is_v4()) return std::nullopt;
  return out;
}

// The options of an OPT record (RFC 6891 §6.1.2). Unknown ones are passed over.
bool read_options(ByteView rdata, Edns& edns) {
  ByteReader reader(rdata);
  while (reader.remaining() > 0) {
    const std::uint16_t code = reader.u16();
    const ByteView value = reader.bytes(reader.u16());
    if (!reader.ok()) return false;
    if (code == kOptionSubnet) {
      if (edns.subnet) return false;
      edns.subnet = read_subnet(value);
      if (!edns.subnet) return false;
    } else if (code == kOptionCookie) {
      // RFC 7873 §5.2.2: any other length is FORMERR. A second cookie is passed over.
      if (value.size() != 8 && (value.size() < 16 || value.size() > 40)) return false;
      if (edns.cookie.empty()) edns.cookie = value;
    }
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

void ResponseWriter::anchor(const Name& name, std::size_t offset) {
  BASE_CHECK(anchor_count_ < kAnchorsMax);
  anchors_[anchor_count_++] = {&name, static_cast<std::uint16_t>(offset)};
}

NameRef ResponseWriter::name_below(ByteView labels, const Name& name) const {
  const Anchor* longest = nullptr;
  for (const Anchor& anchor : std::span(anchors_).first(anchor_count_)) {
    if (longest != nullptr && anchor.name->size() <= longest->name->size()) continue;
    if (name.is_under(*anchor.name)) longest = &anchor;
  }
  if (longest == nullptr) return {labels, name.wire().first(name.size() - 1), 0};
  return {labels, name.labels_before(*longest->name), longest->offset};
}

void ResponseWriter::put(const NameRef& name) {
  writer_.bytes(name.head);
  writer_.bytes(name.tail);
  if (name.pointer != 0) {
    writer_.u16(static_cast<std::uint16_t>(0xc000 | name.pointer));
  } else {
    writer_.u8(0);
  }
}

template <class PutData>
bool ResponseWriter::add(Section section, const NameRef& owner, std::uint16_t type, std::uint32_t ttl,
                         PutData put_data) {
  if (!writer_.ok()) return false;
  const std::size_t begin = writer_.size();
  put(owner);
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

bool ResponseWriter::add_address(Section section, const NameRef& owner, std::uint32_t ttl,
                                 const IpAddress& address) {
  return add(section, owner, address.is_v4() ? type::kA : type::kAaaa, ttl, [this, &address] {
    writer_.bytes(std::as_bytes(std::span(address.bytes()).subspan(address.is_v4() ? 12 : 0)));
  });
}

std::size_t ResponseWriter::add_target(Section section, const NameRef& owner, std::uint16_t type,
                                       std::uint32_t ttl, const NameRef& target) {
  std::size_t offset = 0;
  const bool added = add(section, owner, type, ttl, [this, &target, &offset] {
    offset = writer_.size();
    put(target);
  });
  return added ? offset : 0;
}

bool ResponseWriter::add_soa(Section section, const NameRef& owner, std::uint32_t ttl, const Soa& soa) {
  return add(section, owner, type::kSoa, ttl, [this, &soa] {
    put(soa.mname);
    put(soa.rname);
    for (const std::uint32_t value : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) {
      writer_.u32(value);
    }
  });
}

bool ResponseWriter::add_hinfo(std::uint32_t ttl, std::string_view cpu) {
  return add(Section::answer, question(), type::kHinfo, ttl, [this, cpu] {
    writer_.u8(static_cast<std::uint8_t>(cpu.size()));
    writer_.bytes(as_bytes(cpu));
    writer_.u8(0);
  });
}

bool ResponseWriter::add_raw(Section section, const NameRef& owner, std::uint16_t type, std::uint32_t ttl,
                             ByteView rdata) {
  return add(section, owner, type, ttl, [this, rdata] { writer_.bytes(rdata); });
}

bool ResponseWriter::add_https(const NameRef& owner, std::uint32_t ttl, std::uint16_t port,
                               std::span<const IpAddress> v4, std::span<const IpAddress> v6) {
  // SvcParamKeys in ascending order (RFC 9460 §2.2): port 3, ipv4hint 4, ipv6hint 6.
  const auto with_hints = [&](bool hints) {
    return add(Section::answer, owner, type::kHttps, ttl, [&] {
      writer_.u16(1);
      writer_.u8(0);
      writer_.u16(3);
      writer_.u16(2);
      writer_.u16(port);
      if (!hints) return;
      for (const auto& [key, list] : {std::pair(4, v4), std::pair(6, v6)}) {
        if (list.empty()) continue;
        writer_.u16(static_cast<std::uint16_t>(key));
        writer_.u16(static_cast<std::uint16_t>(list.size() * (key == 4 ? 4 : 16)));
        for (const IpAddress& address : list) {
          writer_.bytes(std::as_bytes(std::span(address.bytes()).subspan(key == 4 ? 12 : 0)));
        }
      }
    });
  };
  return with_hints(true) || with_hints(false);
}

void ResponseWriter::rewind(const Mark& mark) {
  writer_.rewind(mark.size);
  std::copy(std::begin(mark.counts), std::end(mark.counts), counts_);
}

void ResponseWriter::clear_records() {
  writer_.rewind(records_at_);
  for (std::uint16_t& count : counts_) count = 0;
}

std::size_t ResponseWriter::opt_bytes(const Query& query, std::size_t cookie_bytes, bool subnet) {
  if (!query.edns) return 0;
  std::size_t bytes = kOptFixedBytes + (cookie_bytes > 0 ? 4 + cookie_bytes : 0);
  if (subnet) bytes += 4 + kSubnetFixedBytes + address_bytes(query.edns->subnet->source_bits);
  return bytes;
}

std::size_t ResponseWriter::finish(const Flags& flags, const Opt& opt) {
  const auto rcode = static_cast<std::uint16_t>(flags.rcode);
  ByteWriter tail(out_.subspan(writer_.size()));
  if (query_.edns) {
    tail.u8(0);
    tail.u16(type::kOpt);
    tail.u16(opt.own_payload_max);
    // Extended RCODE, version 0, and DO as it came (RFC 6891 §6.1.3, RFC 3225 §3).
    tail.u32(std::uint32_t{rcode} >> 4 << 24 | (query_.edns->dnssec_ok ? kDnssecOk : 0));
    tail.u16(static_cast<std::uint16_t>(opt_bytes(query_, opt.cookie.size(), opt.scope_bits.has_value()) -
                                        kOptFixedBytes));
    if (opt.scope_bits) {
      const ClientSubnet& subnet = *query_.edns->subnet;
      const std::size_t bytes = address_bytes(subnet.source_bits);
      tail.u16(kOptionSubnet);
      tail.u16(static_cast<std::uint16_t>(kSubnetFixedBytes + bytes));
      tail.u16(subnet.family);
      tail.u8(static_cast<std::uint8_t>(subnet.source_bits));
      tail.u8(static_cast<std::uint8_t>(*opt.scope_bits));
      tail.bytes(
          std::as_bytes(std::span(subnet.address.bytes())).subspan(subnet.family == 1 ? 12 : 0).first(bytes));
    }
    if (!opt.cookie.empty()) {
      tail.u16(kOptionCookie);
      tail.u16(static_cast<std::uint16_t>(opt.cookie.size()));
      tail.bytes(opt.cookie);
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
