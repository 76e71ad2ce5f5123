// Write tokens: proof that a requester receives what is sent to the address it claims (BEP 5). A token is a
// MAC over the requester's address and the current period of five minutes; it holds for that period and the
// next. Nothing is kept per requester.
#pragma once

#include <cstdint>

#include "base/ip.h"
#include "base/siphash.h"
#include "base/time.h"

namespace reef::dsht {

class TokenMint {
 public:
  static constexpr Duration kPeriod = std::chrono::minutes(5);

  explicit TokenMint(const SipKey& secret) : secret_(secret) {}

  [[nodiscard]] std::uint64_t mint(TimePoint now, const IpAddress& address) const;
  [[nodiscard]] bool is_valid(TimePoint now, const IpAddress& address, std::uint64_t token) const;

 private:
  [[nodiscard]] std::uint64_t of_period(std::int64_t period, const IpAddress& address) const;
  SipKey secret_;
};

}  // namespace reef::dsht
