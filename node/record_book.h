// The DNS records that the operator gave: those of the configuration, and those set at run time for as long
// as the process lives (an ACME client's DNS-01 challenges, RFC 8555 §8.4). Belongs to the control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dnsd/records.h"
#include "dnsd/zone.h"

namespace reef::node {

class RecordBook {
 public:
  using Shared = std::shared_ptr<const dnsd::Records>;

  // `fixed` cannot be taken back; `set_max` bounds the others; `default_ttl` in seconds.
  RecordBook(dnsd::Zone zone, std::vector<dnsd::Record> fixed, std::size_t set_max, std::uint32_t default_ttl)
      : zone_(std::move(zone)), fixed_(std::move(fixed)), set_max_(set_max), default_ttl_(default_ttl) {}

  // Each gives all records there are then, or what was wrong; then nothing has changed. A record that is
  // there already is not added twice.
  Result<Shared> set(std::string_view name, std::string_view type, std::string_view value,
                     std::optional<std::uint32_t> ttl);
  // Takes back what was set under the name: of that type, with that value; empty: of all. Not an error when
  // there was nothing.
  Result<Shared> remove(std::string_view name, std::string_view type, std::string_view value);

  // "NAME TTL TYPE VALUE" of each that was set, in order of setting.
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  Result<Shared> make(const std::vector<dnsd::Record>& set) const;

  const dnsd::Zone zone_;
  const std::vector<dnsd::Record> fixed_;
  const std::size_t set_max_;
  const std::uint32_t default_ttl_;
  std::vector<dnsd::Record> set_;
  std::vector<std::string> lines_;  // of set_, one each
};

}  // namespace reef::node
