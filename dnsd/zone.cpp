#include "dnsd/zone.h"

namespace reef::dnsd {
namespace {

constexpr int kNameServersMax = 13;                  // as many as the root has; all fit into 512 bytes
constexpr std::chrono::seconds kTtlMax{0x7fffffff};  // RFC 2181 §8

Result<Name> below(const std::string& label, const Name& zone) {
  const std::string zone_text = zone.text();
  return Name::parse(zone_text == "." ? label : label + "." + zone_text);
}

int hex_value(std::byte b) {
  const auto c = std::to_integer<unsigned char>(b);
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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
  for (const auto time :
       {options.address_ttl, options.near_address_ttl, options.authority_ttl, options.cut_ttl,
        options.cut_negative_ttl, options.negative_ttl, options.refresh, options.retry, options.expire}) {
    if (time < time.zero() || time > kTtlMax) return fail(invalid("a TTL is 0 to 2147483647 s"));
  }
  if (!options.nodes_zone) options.nodes_zone = options.zone;
  Zone zone;
  zone.options_ = std::move(options);
  if (auto made = zone.make_names(); !made) return fail(made.error());
  if (auto chosen = zone.choose_redirect(); !chosen) return fail(chosen.error());
  return zone;
}

Result<> Zone::make_names() {
  const Name& nodes = nodes_apex();
  for (int i = 1; i <= options_.name_servers; ++i) {
    auto name = below("ns" + std::to_string(i), nodes);
    if (!name) return fail(name.error());
    name_servers_.push_back(*name);
  }
  if (!options_.mname) options_.mname = name_servers_.front();
  if (!options_.rname) {
    auto rname = below("hostmaster", nodes);
    if (!rname) return fail(rname.error());
    options_.rname = *rname;
  }
  http_ = options_.suffix;
  if (!options_.levels) return {};
  const Name* above = &nodes;
  for (dsht::Level level = 0; level < dsht::kLevels; ++level) {
    auto cut = below("l" + std::to_string(level), *above);
    if (!cut) return fail(cut.error());
    cuts_[level] = *cut;
    above = &cuts_[level];
  }
  auto http = below("http", *above);
  if (!http) return fail(http.error());
  http_ = *http;
  for (int i = 1; i <= options_.name_servers; ++i) {
    auto name = below("ns" + std::to_string(i), *above);
    if (!name) return fail(name.error());
    near_servers_.push_back(*name);
  }
  return {};
}

Result<> Zone::choose_redirect() {
  const Name &zone = apex(), &nodes = nodes_apex(), &suffix = options_.suffix;
  if (!zone.equals(nodes) && (zone.is_under(nodes) || nodes.is_under(zone))) {
    return fail(invalid("of the zone " + zone.text() + " and the nodes' zone " + nodes.text() +
                        " none may be below the other"));
  }
  for (const Name& server : name_servers_) {
    if (suffix.is_under(server)) {
      return fail(invalid("the suffix " + suffix.text() + " is the name of a name server"));
    }
  }
  if (!options_.levels || suffix.equals(http_)) return {};
  if (suffix.is_under(cuts_[0])) {
    return fail(invalid("the suffix " + suffix.text() + " is among the names of nodes, " + cuts_[0].text()));
  }
  redirect_ = suffix.equals(nodes) ? Redirect::cname : Redirect::dname;
  return {};
}

const std::vector<Name>& Zone::servers_of(const Name& apex) const {
  const bool elsewhere = options_.levels && !apex.equals(nodes_apex());
  return elsewhere ? near_servers_ : name_servers_;
}

Zone::Located Zone::locate(const Name& qname) const {
  if (options_.levels && qname.is_under(http_)) {
    return {.place = Place::proxied, .apex = &nodes_apex(), .encloser = &cuts_.back()};
  }
  Located out;
  if (qname.is_under(apex())) {
    out.apex = out.encloser = &apex();
  } else if (qname.is_under(nodes_apex())) {
    out.apex = out.encloser = &nodes_apex();
  } else {
    return out;
  }
  if (options_.levels && qname.is_under(cuts_[0])) return locate_below_cuts(qname);
  if (qname.size() == out.apex->size()) {
    out.place = Place::apex;
    return out;
  }
  for (std::size_t i = 0; i < name_servers_.size(); ++i) {
    if (qname.equals(name_servers_[i])) {
      out.place = Place::name_server;
      out.name_server = i;
      return out;
    }
  }
  if (qname.is_under(options_.suffix)) {
    const bool itself = qname.size() == options_.suffix.size();
    out.place = redirect_ == Redirect::none ? Place::proxied : itself ? Place::suffix : Place::redirected;
  } else if (options_.suffix.is_under(qname)) {
    out.place = Place::empty_non_terminal;
  } else {
    out.place = Place::missing;
  }
  return out;
}

Zone::Located Zone::locate_below_cuts(const Name& qname) const {
  dsht::Level level = dsht::kLevels - 1;
  while (!qname.is_under(cuts_[level])) --level;
  Located out{.place = Place::missing, .apex = &nodes_apex(), .encloser = &cuts_[level], .level = level};
  const ByteView labels = qname.labels_before(cuts_[level]);
  if (labels.empty()) {
    out.place = Place::cut;
    out.encloser = level == 0 ? &nodes_apex() : &cuts_[level - 1];
  } else if (labels.size() == 1 + std::to_integer<std::size_t>(labels[0])) {
    const ByteView label = labels.subspan(1);
    if (label.size() == 1 && label[0] == std::byte{'_'}) {
      out.place = Place::cut_probe;
      out.encloser = level == 0 ? &nodes_apex() : &cuts_[level - 1];
    } else if ((out.address = ServerLabel::parse(label))) {
      out.place = Place::cut_server;
    }
    for (std::size_t i = 0; i < near_servers_.size() && out.place == Place::missing; ++i) {
      if (!qname.equals(near_servers_[i])) continue;
      out.place = Place::near_server;
      out.name_server = i;
    }
  }
  return out;
}

ServerLabel::ServerLabel(const IpAddress& address) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto bytes = std::span(address.bytes()).subspan(address.is_v4() ? 12 : 0);
  bytes_[1] = std::byte{'n'};
  bytes_[2] = std::byte{'-'};
  size_ = 3;
  for (const std::uint8_t byte : bytes) {
    bytes_[size_++] = static_cast<std::byte>(kDigits[byte >> 4]);
    bytes_[size_++] = static_cast<std::byte>(kDigits[byte & 0xf]);
  }
  bytes_[0] = static_cast<std::byte>(size_ - 1);
}

std::optional<IpAddress> ServerLabel::parse(ByteView label) {
  if ((label.size() != 10 && label.size() != 34) || (label[0] | std::byte{0x20}) != std::byte{'n'} ||
      label[1] != std::byte{'-'}) {
    return std::nullopt;
  }
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t count = (label.size() - 2) / 2;
  for (std::size_t i = 0; i < count; ++i) {
    const int high = hex_value(label[2 + 2 * i]), low = hex_value(label[3 + 2 * i]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (count == 4) return IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
  const IpAddress address = IpAddress::v6(bytes);
  if (address.is_v4()) return std::nullopt;  // mapped: has its own form
  return address;
}

}  // namespace reef::dnsd
