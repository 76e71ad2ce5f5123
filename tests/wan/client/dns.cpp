#include "tests/wan/client/dns.h"

#include <string>

namespace reef::wan {
namespace {

constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kClassIn = 1;

// Moves past a name; pointers (RFC 1035 §4.1.4) end it and need not be followed.
void skip_name(ByteReader& reader) {
  while (reader.ok()) {
    const std::uint8_t length = reader.u8();
    if (length >= 0xc0) {
      reader.u8();
      return;
    }
    if (length == 0) return;
    reader.bytes(length);
  }
}

}  // namespace

Result<Bytes> encode_query(std::uint16_t id, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return fail(invalid("name to resolve: 1..253 bytes are allowed"));
  Bytes out(12 + name.size() + 2 + 4);
  ByteWriter writer(out);
  for (std::uint16_t word :
       {id, std::uint16_t{0x0100}, std::uint16_t{1}, std::uint16_t{0}, std::uint16_t{0}, std::uint16_t{0}}) {
    writer.u16(word);
  }
  while (!name.empty()) {
    const auto end = std::min(name.find('.'), name.size());
    if (end == 0 || end > 63) return fail(invalid("name to resolve: labels of 1..63 bytes are allowed"));
    writer.u8(static_cast<std::uint8_t>(end));
    writer.bytes(as_bytes(name.substr(0, end)));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  writer.u8(0);
  writer.u16(kTypeA);
  writer.u16(kClassIn);
  return out;
}

Result<std::vector<IpAddress>> decode_answer(std::uint16_t id, ByteView message) {
  ByteReader reader(message);
  const std::uint16_t got_id = reader.u16();
  const std::uint16_t flags = reader.u16();
  const std::uint16_t questions = reader.u16();
  const std::uint16_t answers = reader.u16();
  reader.u32();  // authority and additional records
  if (!reader.ok() || got_id != id || (flags & 0x8000) == 0) return fail(invalid("dns: not an answer"));
  if (flags & 0x0200) return fail(invalid("dns: truncated"));
  if (flags & 0x000f) return fail(invalid("dns: rcode " + std::to_string(flags & 0x000f)));
  for (std::uint16_t i = 0; i < questions && reader.ok(); ++i) {
    skip_name(reader);
    reader.u32();
  }
  std::vector<IpAddress> out;
  for (std::uint16_t i = 0; i < answers && reader.ok(); ++i) {
    skip_name(reader);
    const std::uint16_t type = reader.u16();
    reader.u16();
    reader.u32();
    ByteReader data(reader.bytes(reader.u16()));
    if (type == kTypeA && data.remaining() == 4) out.push_back(IpAddress::v4(data.u32()));
  }
  if (!reader.ok()) return fail(invalid("dns: malformed"));
  if (out.empty()) return fail(invalid("dns: no address"));
  return out;
}

}  // namespace reef::wan
