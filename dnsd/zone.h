// Which names exist in the zone, and what kind each is. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dnsd/name.h"

namespace reef::dnsd {

struct ZoneOptions {
  Name zone;
  Name suffix;                // the zone itself, or a name below it: every name under it exists
  std::optional<Name> mname;  // default: ns1.<zone>
  std::optional<Name> rname;  // default: hostmaster.<zone>
  int name_servers = 4;       // ns1.<zone> … nsN.<zone>, 1 to 13; what the registrar's delegation names
  std::chrono::seconds address_ttl{60};      // A and AAAA: how long a dead node stays in caches
  std::chrono::seconds authority_ttl{3600};  // NS and SOA
  std::chrono::seconds negative_ttl{60};     // NODATA and NXDOMAIN: SOA MINIMUM (RFC 2308 §4)
  std::chrono::seconds refresh{3600}, retry{600}, expire{86400};  // SOA, for whoever transfers by other means
};

enum class Place {
  outside,             // not in the zone: REFUSED
  apex,                // SOA, NS, and the landing page's addresses
  name_server,         // ns1 … nsN
  coralized,           // the suffix or below it
  empty_non_terminal,  // exists because a name below it does (RFC 8020, RFC 4592 §2.2.2)
  missing,             // NXDOMAIN
};

class Zone {
 public:
  // The suffix must be under the zone, and the counts and times in range.
  static Result<Zone> make(ZoneOptions options);

  struct Located {
    Place place;
    std::size_t name_server = 0;  // 0-based, where place is name_server
  };
  [[nodiscard]] Located locate(const Name& qname) const;

  [[nodiscard]] const ZoneOptions& options() const { return options_; }
  [[nodiscard]] const Name& apex() const { return options_.zone; }
  [[nodiscard]] const std::vector<Name>& name_servers() const { return name_servers_; }
  [[nodiscard]] const Name& mname() const { return *options_.mname; }
  [[nodiscard]] const Name& rname() const { return *options_.rname; }

 private:
  Zone() = default;
  ZoneOptions options_;
  std::vector<Name> name_servers_;
};

}  // namespace reef::dnsd
