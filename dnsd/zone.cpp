#include "dnsd/zone.h"

namespace reef::dnsd {
namespace {

constexpr int kNameServersMax = 13;                  // as many as the root has; all fit into 512 bytes
constexpr std::chrono::seconds kTtlMax{0x7fffffff};  // RFC 2181 §8

Result<Name> below(const char* label, const Name& zone) {
  const std::string zone_text = zone.text();
  return Name::parse(zone_text == "." ? label : std::string(label) + "." + zone_text);
}

}  // namespace

Result<Zone> Zone::make(ZoneOptions options) {
  if (!options.suffix.is_under(options.zone)) {
    return fail(
        invalid("the suffix " + options.suffix.text() + " is not in the zone " + options.zone.text()));
  }
  if (options.name_servers < 1 || options.name_servers > kNameServersMax) {
    return fail(invalid("a zone has 1 to 13 name servers, not " + std::to_string(options.name_servers)));
  }
  for (const auto time : {options.address_ttl, options.authority_ttl, options.negative_ttl, options.refresh,
                          options.retry, options.expire}) {
    if (time < time.zero() || time > kTtlMax) return fail(invalid("a TTL is 0 to 2147483647 s"));
  }
  Zone zone;
  for (int i = 1; i <= options.name_servers; ++i) {
    auto name = below(("ns" + std::to_string(i)).c_str(), options.zone);
    if (!name) return fail(name.error());
    zone.name_servers_.push_back(*name);
  }
  if (!options.mname) options.mname = zone.name_servers_.front();
  if (!options.rname) {
    auto rname = below("hostmaster", options.zone);
    if (!rname) return fail(rname.error());
    options.rname = *rname;
  }
  zone.options_ = std::move(options);
  return zone;
}

Zone::Located Zone::locate(const Name& qname) const {
  if (!qname.is_under(options_.zone)) return {Place::outside};
  if (qname.size() == options_.zone.size()) return {Place::apex};
  for (std::size_t i = 0; i < name_servers_.size(); ++i) {
    if (qname.equals(name_servers_[i])) return {Place::name_server, i};
  }
  if (qname.is_under(options_.suffix)) return {Place::coralized};
  if (options_.suffix.is_under(qname)) return {Place::empty_non_terminal};
  return {Place::missing};
}

}  // namespace reef::dnsd
