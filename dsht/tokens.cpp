#include "dsht/tokens.h"

namespace reef::dsht {

std::uint64_t TokenMint::of_period(std::int64_t period, const IpAddress& address) const {
  std::array<std::byte, 1 + 8 + 16> input{};
  ByteWriter writer(input);
  writer.u8('t');
  writer.u64(static_cast<std::uint64_t>(period));
  writer.bytes(std::as_bytes(std::span(address.bytes())));
  return siphash(secret_, writer.written());
}

std::uint64_t TokenMint::mint(TimePoint now, const IpAddress& address) const {
  return of_period(now.time_since_epoch() / kPeriod, address);
}

bool TokenMint::is_valid(TimePoint now, const IpAddress& address, std::uint64_t token) const {
  const std::int64_t period = now.time_since_epoch() / kPeriod;
  return token == of_period(period, address) || token == of_period(period - 1, address);
}

}  // namespace reef::dsht
