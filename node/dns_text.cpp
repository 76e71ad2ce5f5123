#include "node/dns_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/crypto.h"
#include "base/ip.h"

namespace reef::node {
namespace {

constexpr int kPointersMax = 64;  // of one name: more go in circles
constexpr std::size_t kQuestionTail = 4;

struct TypeName {
  std::uint16_t number;
  std::string_view name;
};
constexpr TypeName kTypes[] = {{1, "A"},      {2, "NS"},     {5, "CNAME"}, {6, "SOA"},
                               {13, "HINFO"}, {15, "MX"},    {16, "TXT"},  {28, "AAAA"},
                               {39, "DNAME"}, {65, "HTTPS"}, {257, "CAA"}};
constexpr std::uint16_t kOpt = 41;
constexpr std::array<std::string_view, 7> kRcodes = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                     "NOTIMP",  "REFUSED", "YXDOMAIN"};

std::string type_name(std::uint16_t number) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [number](const TypeName& t) { return t.number == number; });
  return found == std::end(kTypes) ? fmt::format("TYPE{}", number) : std::string(found->name);
}

class Reader {
 public:
  explicit Reader(ByteView message) : message_(message) {}

  std::uint16_t u16() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(u16()) << 16 | u16(); }
  ByteView bytes(std::size_t count) {
    if (!ok_ || count > message_.size() - at_) {
      ok_ = false;
      return {};
    }
    at_ += count;
    return message_.subspan(at_ - count, count);
  }
  // Compressed or not (RFC 1035 §4.1.4).
  std::string name() {
    std::string out;
    std::size_t back = 0;  // where it goes on after the first pointer
    for (int pointers = 0; ok_;) {
      const std::size_t length = byte();
      if (length >= 0xc0) {
        const std::size_t to = (length & 0x3f) << 8 | byte();
        if (++pointers > kPointersMax || to >= message_.size()) ok_ = false;
        if (back == 0) back = at_;
        at_ = to;
      } else if (length == 0) {
        break;
      } else {
        for (const std::byte b : bytes(length)) {
          const auto c = static_cast<char>(b);
          const bool is_plain = c > ' ' && c <= '~' && c != '.' && c != '\\';
          out += is_plain ? std::string(1, c) : fmt::format("\\{:03}", std::to_integer<unsigned>(b));
        }
        out += '.';
      }
    }
    if (back != 0) at_ = back;
    return out.empty() ? "." : out;
  }

  [[nodiscard]] std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = at; }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  unsigned byte() {
    const ByteView one = bytes(1);
    return one.empty() ? 0 : std::to_integer<unsigned>(one[0]);
  }
  ByteView message_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::string unknown(ByteView data) { return fmt::format("\\# {} {}", data.size(), to_hex(data)); }

std::string quoted(ByteView strings) {
  std::string out;
  while (!strings.empty()) {
    const std::size_t length = std::min(std::to_integer<std::size_t>(strings[0]), strings.size() - 1);
    if (!out.empty()) out += ' ';
    out += '"';
    for (const char c : as_text(strings.subspan(1, length))) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
    strings = strings.subspan(1 + length);
  }
  return out;
}

std::string data_text(Reader& in, std::uint16_t type, std::size_t length) {
  switch (type) {
    case 1:
    case 28: {
      const ByteView raw = in.bytes(length);
      if (type == 1 && length == 4) {
        ByteReader reader(raw);
        return to_string(IpAddress::v4(reader.u32()));
      }
      std::array<std::uint8_t, 16> bytes{};
      if (length != bytes.size() || raw.size() != length) return unknown(raw);
      std::transform(raw.begin(), raw.end(), bytes.begin(),
                     [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
      return to_string(IpAddress::v6(bytes));
    }
    case 2:
    case 5:
    case 39:
      return in.name();
    case 6: {
      const std::string mname = in.name(), rname = in.name();
      const std::uint32_t serial = in.u32(), refresh = in.u32(), retry = in.u32(), expire = in.u32(),
                          minimum = in.u32();
      return fmt::format("{} {} {} {} {} {} {}", mname, rname, serial, refresh, retry, expire, minimum);
    }
    case 15: {
      const std::uint16_t preference = in.u16();
      return fmt::format("{} {}", preference, in.name());
    }
    case 13:
    case 16:
      return quoted(in.bytes(length));
    default:
      return unknown(in.bytes(length));
  }
}

}  // namespace

std::optional<DnsResponseText> read_dns_response(ByteView message) {
  Reader in(message);
  in.u16();
  const std::uint16_t flags = in.u16();
  const std::uint16_t questions = in.u16();
  const std::array<std::uint16_t, 3> counts = {in.u16(), in.u16(), in.u16()};
  constexpr std::array<const char*, 3> kSections = {"answer", "authority", "additional"};
  if (!in.ok() || (flags & 0x8000) == 0) return std::nullopt;
  DnsResponseText out;
  const std::size_t rcode = flags & 0xf;
  out.rcode = rcode < kRcodes.size() ? std::string(kRcodes[rcode]) : fmt::format("RCODE{}", rcode);
  out.authoritative = (flags & 0x0400) != 0;
  for (std::uint16_t i = 0; i < questions && in.ok(); ++i) {
    in.name();
    in.bytes(kQuestionTail);
  }
  for (std::size_t section = 0; section < counts.size(); ++section) {
    for (std::uint16_t i = 0; i < counts[section] && in.ok(); ++i) {
      DnsRecordText record;
      record.section = kSections[section];
      record.name = in.name();
      const std::uint16_t type = in.u16();
      in.u16();
      record.ttl = in.u32();
      const std::size_t length = in.u16();
      const std::size_t end = in.at() + length;
      record.type = type_name(type);
      record.data = data_text(in, type, length);
      if (!in.ok() || end > message.size()) return std::nullopt;
      in.go_to(end);
      if (type != kOpt) out.records.push_back(std::move(record));
    }
  }
  return in.ok() ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::uint16_t> parse_dns_type(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  for (const TypeName& type : kTypes) {
    if (type.name == upper) return type.number;
  }
  if (!upper.starts_with("TYPE")) return std::nullopt;
  std::uint16_t number = 0;
  const char* end = upper.data() + upper.size();
  const auto [at, error] = std::from_chars(upper.data() + 4, end, number);
  return error == std::errc{} && at == end ? std::optional(number) : std::nullopt;
}

}  // namespace reef::node
