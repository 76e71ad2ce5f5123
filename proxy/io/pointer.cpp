#include "proxy/io/pointer.h"

#include <array>

namespace reef::proxy {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

Bytes encode_pointer(const Endpoint& proxy) {
  std::array<std::byte, 20> buffer;
  ByteWriter out(buffer);
  out.u8(kVersion);
  if (proxy.address.is_v4()) {
    out.u8(4);
    out.u32(proxy.address.v4_host_order());
  } else {
    out.u8(16);
    out.bytes(std::as_bytes(std::span(proxy.address.bytes())));
  }
  out.u16(proxy.port);
  return {out.written().begin(), out.written().end()};
}

std::optional<Endpoint> decode_pointer(ByteView bytes) {
  ByteReader in(bytes);
  if (in.u8() != kVersion) return std::nullopt;
  Endpoint out;
  switch (in.u8()) {
    case 4:
      out.address = IpAddress::v4(in.u32());
      break;
    case 16: {
      std::array<std::uint8_t, 16> raw{};
      in.copy_to(std::as_writable_bytes(std::span(raw)));
      out.address = IpAddress::v6(raw);
      // IPv4 has one spelling only.
      if (out.address.is_v4()) return std::nullopt;
      break;
    }
    default:
      return std::nullopt;
  }
  out.port = in.u16();
  if (!in.at_end() || out.port == 0 || out.address.is_unspecified()) return std::nullopt;
  return out;
}

}  // namespace reef::proxy
