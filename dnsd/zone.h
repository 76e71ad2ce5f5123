// Which names exist in the zones, and what kind each is. Pure.
//
// Names of nodes are cuts by level, l0.<Z>, l1.l0.<Z>, l2.l1.l0.<Z>, where Z is the nodes' zone; proxies are
// found at http.l2.l1.l0.<Z> and at every name below it. Names below the suffix lead there, by a DNAME where
// one may stand (RFC 6672), else by a CNAME at each name.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "dnsd/name.h"
#include "dsht/contact.h"

namespace reef::dnsd {

struct ZoneOptions {
  Name zone;
  Name suffix;                     // the zone itself, or a name below it: every name under it exists
  std::optional<Name> nodes_zone;  // Z: another zone, neither above nor below `zone`; nullopt: the same one
  bool levels = true;              // false: no cuts; the suffix's names have their addresses themselves
  std::optional<Name> mname;       // default: ns1.<Z>
  std::optional<Name> rname;       // default: hostmaster.<Z>
  int name_servers = 4;            // ns1.<Z> … nsN.<Z>, 1 to 13; what the registrar's delegation names
  std::uint16_t https_port = 0;    // where all proxies take HTTPS, for HTTPS records; 0: none are given
  std::chrono::seconds address_ttl{60};       // A and AAAA: how long a dead node stays in caches
  std::chrono::seconds near_address_ttl{30};  // the same, of proxies near the client
  std::chrono::seconds authority_ttl{3600};   // SOA, NS of the apexes, DNAME and CNAME
  std::chrono::seconds cut_ttl{3600};         // NS of the cuts and their addresses
  std::chrono::seconds cut_negative_ttl{15};  // that a cut is no place for a resolver (negative_ttl at most)
  std::chrono::seconds negative_ttl{60};      // NODATA and NXDOMAIN: SOA MINIMUM (RFC 2308 §4)
  std::chrono::seconds refresh{3600}, retry{600}, expire{86400};  // SOA, for whoever transfers by other means
};

enum class Place : std::uint8_t {
  outside,      // in no zone of ours: REFUSED
  apex,         // of the zone or the nodes' zone: SOA, NS; of the zone also the landing page's addresses
  name_server,  // ns1 … nsN
  suffix,       // the suffix where it is no apex: the landing page
  redirected,   // below the suffix, and led to the name below http.l2.l1.l0.<Z>
  proxied,      // has the proxies' addresses
  cut,          // l0.<Z> and the two below it
  cut_probe,    // _.<cut>: what bind9 asks to find a delegation
  cut_server,   // n-<address>.<cut>
  near_server,  // ns1 … nsN below the deepest cut: the name servers of the suffix's zone
  empty_non_terminal,  // exists because a name below it does (RFC 8020, RFC 4592 §2.2.2)
  missing,             // NXDOMAIN
};

enum class Redirect : std::uint8_t { none, cname, dname };

class Zone {
 public:
  // The suffix must be under the zone, the names not in each other's way, and the counts and times in range.
  static Result<Zone> make(ZoneOptions options);

  struct Located {
    Place place = Place::outside;
    const Name* apex = nullptr;  // of the zone that it is in; nullptr: outside
    const Name* encloser =
        nullptr;                  // the deepest apex or cut strictly above a cut, else at or above the name
    std::size_t name_server = 0;  // 0-based, where place is name_server or near_server
    dsht::Level level = 0;        // of the cut, in cut, cut_probe and cut_server
    std::optional<IpAddress> address{};  // that a cut_server's name says
  };
  // Lives as long as the zone.
  [[nodiscard]] Located locate(const Name& qname) const;

  [[nodiscard]] const ZoneOptions& options() const { return options_; }
  [[nodiscard]] const Name& apex() const { return options_.zone; }
  [[nodiscard]] const Name& nodes_apex() const { return *options_.nodes_zone; }
  [[nodiscard]] Redirect redirect() const { return redirect_; }
  [[nodiscard]] const Name& cut(dsht::Level level) const { return cuts_[level]; }
  [[nodiscard]] const Name& http() const { return http_; }  // where names below the suffix lead
  [[nodiscard]] const std::vector<Name>& name_servers() const { return name_servers_; }
  // Of one of the two apexes. With two zones the suffix's has its servers below the deepest cut of the other.
  [[nodiscard]] const std::vector<Name>& servers_of(const Name& apex) const;
  [[nodiscard]] const Name& mname() const { return *options_.mname; }
  [[nodiscard]] const Name& rname() const { return *options_.rname; }

 private:
  Zone() = default;
  Result<> make_names();
  Result<> choose_redirect();
  [[nodiscard]] Located locate_below_cuts(const Name& qname) const;

  ZoneOptions options_;
  Redirect redirect_ = Redirect::none;
  std::vector<Name> name_servers_, near_servers_;
  std::array<Name, dsht::kLevels> cuts_;
  Name http_;  // without levels: the suffix
};

// The label of a name server at that address: "n-c0000201", or 32 hex digits for IPv6. Its wire form with the
// length byte.
class ServerLabel {
 public:
  explicit ServerLabel(const IpAddress& address);
  [[nodiscard]] ByteView wire() const { return ByteView(bytes_).first(size_); }
  // nullopt: `label` (without the length byte) is none. Hex digits of either case.
  static std::optional<IpAddress> parse(ByteView label);

 private:
  std::array<std::byte, 1 + 2 + 32> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace reef::dnsd
