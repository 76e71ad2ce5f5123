// Builds queries and reads responses, for the tests and the fuzzer. Shares no code with the server's own
// codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace reef::dnsd::test {

using Raw = std::vector<std::uint8_t>;

inline void put16(Raw& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline Raw name_bytes(const std::string& dotted) {
  Raw out;
  std::size_t at = 0;
  while (at < dotted.size()) {
    const std::size_t dot = std::min(dotted.find('.', at), dotted.size());
    out.push_back(static_cast<std::uint8_t>(dot - at));
    out.insert(out.end(), dotted.begin() + static_cast<std::ptrdiff_t>(at),
               dotted.begin() + static_cast<std::ptrdiff_t>(dot));
    at = dot + 1;
  }
  out.push_back(0);
  return out;
}

struct QuerySpec {
  std::string name = "www.x.com.reef.example";
  unsigned qtype = 1;
  unsigned qclass = 1;
  unsigned flags = 0x0100;  // RD, as stub resolvers send it
  unsigned id = 0x1234;
  int payload = -1;  // EDNS0 UDP size; -1: no OPT
  unsigned version = 0;
  bool dnssec_ok = false;
  Raw options{};  // of the OPT record, ready made
};

inline Raw opt_record(const QuerySpec& spec) {
  Raw out = {0};
  put16(out, 41);
  put16(out, static_cast<unsigned>(spec.payload));
  out.push_back(0);
  out.push_back(static_cast<std::uint8_t>(spec.version));
  put16(out, spec.dnssec_ok ? 0x8000 : 0);
  put16(out, static_cast<unsigned>(spec.options.size()));
  out.insert(out.end(), spec.options.begin(), spec.options.end());
  return out;
}

inline Raw make_query(const QuerySpec& spec) {
  Raw out;
  put16(out, spec.id);
  put16(out, spec.flags);
  put16(out, 1);
  put16(out, 0);
  put16(out, 0);
  put16(out, spec.payload >= 0 ? 1 : 0);
  const Raw name = name_bytes(spec.name);
  out.insert(out.end(), name.begin(), name.end());
  put16(out, spec.qtype);
  put16(out, spec.qclass);
  if (spec.payload >= 0) {
    const Raw opt = opt_record(spec);
    out.insert(out.end(), opt.begin(), opt.end());
  }
  return out;
}

inline Raw cookie_option(const Raw& cookie) {
  Raw out;
  put16(out, 10);
  put16(out, static_cast<unsigned>(cookie.size()));
  out.insert(out.end(), cookie.begin(), cookie.end());
  return out;
}

struct Record {
  std::string owner;  // lower case, "www.x.com."
  unsigned type = 0, rrclass = 0;
  std::uint32_t ttl = 0;
  Raw rdata;
  std::string target;  // NS, CNAME, DNAME: the name; SOA: MNAME RNAME serial refresh retry expire minimum
};

struct Response {
  unsigned id = 0, flags = 0;
  Raw question;  // raw
  unsigned questions = 0;
  std::vector<Record> answer, authority, additional;  // without the OPT
  std::optional<Record> opt;

  unsigned rcode() const { return (flags & 0xf) | (opt ? opt->ttl >> 24 << 4 : 0); }
  bool aa() const { return (flags & 0x0400) != 0; }
  bool tc() const { return (flags & 0x0200) != 0; }
};

// Strict: nullopt for anything malformed, also for a pointer that does not point backwards, and bytes left
// over.
class ResponseReader {
 public:
  explicit ResponseReader(const Raw& raw) : raw_(raw) {}

  std::optional<Response> read() {
    Response out;
    out.id = u16();
    out.flags = u16();
    out.questions = u16();
    const unsigned answers = u16(), authorities = u16(), additionals = u16();
    const std::size_t question_at = at_;
    for (unsigned i = 0; i < out.questions && ok_; ++i) {
      name();
      u16();
      u16();
    }
    if (!ok_) return std::nullopt;
    out.question.assign(raw_.begin() + static_cast<std::ptrdiff_t>(question_at),
                        raw_.begin() + static_cast<std::ptrdiff_t>(at_));
    for (unsigned i = 0; i < answers && ok_; ++i) out.answer.push_back(record());
    for (unsigned i = 0; i < authorities && ok_; ++i) out.authority.push_back(record());
    for (unsigned i = 0; i < additionals && ok_; ++i) {
      Record r = record();
      if (r.type != 41) {
        out.additional.push_back(r);
      } else if (out.opt || r.owner != ".") {
        return std::nullopt;
      } else {
        out.opt = r;
      }
    }
    if (!ok_ || at_ != raw_.size()) return std::nullopt;
    return out;
  }

 private:
  unsigned u8() {
    if (at_ >= raw_.size()) {
      ok_ = false;
      return 0;
    }
    return raw_[at_++];
  }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }

  std::string name() {
    std::string out;
    std::optional<std::size_t> resume;
    std::size_t floor = at_;
    std::size_t wire = 1;
    while (ok_) {
      const unsigned length = u8();
      if (length == 0) break;
      if (length >= 0xc0) {
        const std::size_t target = (length & 0x3f) << 8 | u8();
        if (!resume) resume = at_;
        if (target >= floor || target < 12) ok_ = false;
        floor = target;
        at_ = target;
        continue;
      }
      wire += length + 1;
      if (length > 63 || wire > 255) ok_ = false;
      for (unsigned i = 0; i < length && ok_; ++i)
        out += static_cast<char>(std::tolower(static_cast<int>(u8())));
      out += '.';
    }
    if (resume) at_ = *resume;
    return out.empty() ? "." : out;
  }

  Record record() {
    Record r;
    r.owner = name();
    r.type = u16();
    r.rrclass = u16();
    r.ttl = u32();
    const std::size_t length = u16();
    const std::size_t begin = at_;
    if (!ok_ || length > raw_.size() - at_) {
      ok_ = false;
      return r;
    }
    r.rdata.assign(raw_.begin() + static_cast<std::ptrdiff_t>(at_),
                   raw_.begin() + static_cast<std::ptrdiff_t>(at_ + length));
    if (r.type == 2 || r.type == 5 || r.type == 39) {
      r.target = name();
    } else if (r.type == 6) {
      r.target = name();
      r.target += " " + name();
      for (int i = 0; i < 5; ++i) r.target += " " + std::to_string(u32());
    } else {
      at_ += length;
    }
    if (at_ != begin + length) ok_ = false;
    return r;
  }

  const Raw& raw_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

inline std::optional<Response> read_response(const Raw& raw) { return ResponseReader(raw).read(); }

}  // namespace reef::dnsd::test
