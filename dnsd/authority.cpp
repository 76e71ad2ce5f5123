#include "dnsd/authority.h"

#include <algorithm>

#include "base/check.h"

namespace reef::dnsd {
namespace {

using Section = ResponseWriter::Section;

// Where the cuts stand in "http.l2.l1.l0.<Z>", by level.
constexpr std::array<std::size_t, dsht::kLevels> kCutInHttp = {11, 8, 5};
constexpr std::size_t kOuterPlace = 2;
constexpr std::size_t kApexInHttp = 14;
constexpr std::size_t kRecordFixedBytes = 12;  // a pointer, type, class, TTL, RDLENGTH

std::uint32_t seconds(std::chrono::seconds ttl) { return static_cast<std::uint32_t>(ttl.count()); }

bool wants_address(const Query& query) { return query.qtype == type::kA || query.qtype == type::kAaaa; }

}  // namespace

bool is_public(const IpAddress& address, const std::vector<IpPrefix>& also) {
  return address.is_global_unicast() || std::any_of(also.begin(), also.end(), [&](const IpPrefix& prefix) {
           return prefix.contains(address);
         });
}

struct Authority::Reply {
  const Query& query;
  const Given& given;
  ResponseWriter& writer;
  Told told{};
  std::array<std::size_t, dsht::kLevels> cut_at{};  // where a cut's name stands in the message; 0: nowhere
  Name target{};                                    // of the CNAME, where there is one

  void need(bool added) { told.fits = told.fits && added; }
};

Authority::Authority(Zone zone, AuthorityOptions options, Random random)
    : zone_(std::move(zone)), options_(std::move(options)), random_(random) {
  BASE_CHECK(options_.addresses_max >= 1 && options_.addresses_max <= Picked::kMax);
  BASE_CHECK(options_.servers_max >= 1 && options_.servers_max <= 10);
}

Authority::Told Authority::answer(const Query& query, const Given& given, ResponseWriter& writer) {
  Reply reply{.query = query, .given = given, .writer = writer};
  const Zone::Located at = zone_.locate(query.qname);
  if (at.place == Place::outside) {
    reply.told.flags.rcode = Rcode::refused;
    return reply.told;
  }
  reply.told.flags.authoritative = true;
  writer.anchor(*at.apex, writer.offset_in_question(*at.apex));
  if (zone_.options().levels) {
    for (dsht::Level level = 0; level < dsht::kLevels; ++level) {
      const Name& cut = zone_.cut(level);
      if (!query.qname.is_under(cut)) break;
      reply.cut_at[level] = writer.offset_in_question(cut);
      writer.anchor(cut, reply.cut_at[level]);
    }
  }
  if (!answer_static(reply, query.qname, ResponseWriter::question())) answer_at(reply, at);
  return reply.told;
}

void Authority::answer_at(Reply& reply, const Zone::Located& at) {
  const bool any = reply.query.qtype == type::kAny;
  if (at.place == Place::missing) return deny(reply, *at.encloser, Rcode::nxdomain);
  if (at.place == Place::redirected) return answer_redirected(reply);
  if (at.place == Place::cut || at.place == Place::cut_probe) return answer_cut(reply, at);
  if (at.place == Place::cut_server) return answer_cut_server(reply, at);
  if (any) {  // RFC 8482 §4.2: one made-up HINFO
    return reply.need(reply.writer.add_hinfo(seconds(zone_.options().authority_ttl), "RFC8482"));
  }
  switch (at.place) {
    case Place::apex:
      return answer_apex(reply, *at.apex);
    case Place::name_server:
      return add_name_server(reply, at.name_server);
    case Place::near_server:
      return add_near_server(reply, at.name_server);
    case Place::suffix:
      if (reply.query.qtype == type::kDname && zone_.redirect() == Redirect::dname) {
        return reply.need(reply.writer.add_raw(Section::answer, ResponseWriter::question(), type::kDname,
                                               seconds(zone_.options().authority_ttl), zone_.http().wire()));
      }
      return answer_proxied(reply, ResponseWriter::question());
    case Place::proxied:
      return answer_proxied(reply, ResponseWriter::question());
    default:
      return deny(reply, *at.encloser);
  }
}

// Records given by hand. True: they were the answer. Other types of such a name are denied, unless it has
// records of the server's own too.
bool Authority::answer_static(Reply& reply, const Name& owner, const NameRef& ref) {
  const Records::Node* node = reply.given.records.find(owner);
  if (node == nullptr || reply.query.qtype == type::kAny) return false;
  const Records::Set* set = node->of(reply.query.qtype);
  if (set == nullptr) set = node->of(type::kCname);
  if (set != nullptr) {
    for (const Bytes& rdata : set->rdatas) {
      reply.need(reply.writer.add_raw(Section::answer, ref, set->type, set->ttl, rdata));
    }
    return true;
  }
  const Place place = zone_.locate(owner).place;
  const bool ours_too = place == Place::apex || place == Place::suffix || place == Place::proxied;
  if (ours_too || (node->sets.empty() && place != Place::missing)) return false;
  deny(reply, *zone_.locate(owner).encloser);
  return true;
}

void Authority::answer_apex(Reply& reply, const Name& apex) {
  const ZoneOptions& options = zone_.options();
  switch (reply.query.qtype) {
    case type::kSoa:
      return add_soa(reply, Section::answer, apex, options.authority_ttl);
    case type::kNs:
      return add_apex_servers(reply, apex);
    case type::kDname:
      if (zone_.redirect() != Redirect::dname || !apex.equals(options.suffix)) break;
      return reply.need(reply.writer.add_raw(Section::answer, ResponseWriter::question(), type::kDname,
                                             seconds(options.authority_ttl), zone_.http().wire()));
    default:  // the landing page
      if (apex.equals(zone_.apex())) return answer_proxied(reply, ResponseWriter::question());
  }
  deny(reply, apex);
}

// The way to the name below http.l2.l1.l0.<Z>, and what is there, if that is the best that this client can
// have. A resolver far from us had better ask there itself: it may know servers that are near it, and would
// keep the addresses that we give. (One that is asked to recurse speaks to a stub, which cannot follow.)
void Authority::answer_redirected(Reply& reply) {
  const ZoneOptions& options = zone_.options();
  const std::uint32_t ttl = seconds(options.authority_ttl);
  const Query& query = reply.query;
  ResponseWriter& writer = reply.writer;
  const ByteView labels = query.qname.labels_before(options.suffix);
  const auto target = Name::join(labels, zone_.http());
  if (zone_.redirect() == Redirect::dname) {
    reply.need(writer.add_raw(Section::answer, ResponseWriter::at(writer.offset_in_question(options.suffix)),
                              type::kDname, ttl, zone_.http().wire()));
    if (!target) {
      reply.told.flags.rcode = Rcode::yxdomain;
      return;
    }
  } else if (!target) {  // the longest names have no room for more: they keep their addresses themselves
    return answer_proxied(reply, ResponseWriter::question());
  }
  reply.target = *target;
  const std::size_t target_at = writer.add_target(Section::answer, ResponseWriter::question(), type::kCname,
                                                  ttl, writer.name_below(labels, zone_.http()));
  reply.need(target_at != 0);
  if (target_at == 0 || query.qtype == type::kCname || query.qtype == type::kAny) return;
  for (dsht::Level level = 0; level < dsht::kLevels; ++level) {
    reply.cut_at[level] = target_at + labels.size() + kCutInHttp[level];
    writer.anchor(zone_.cut(level), reply.cut_at[level]);
  }
  if (zone_.redirect() == Redirect::dname) {  // the question has no name of the nodes' zone to point to
    writer.anchor(zone_.nodes_apex(), target_at + labels.size() + kApexInHttp);
  }
  const Sight& client = reply.given.client;
  const bool well_known = client.nearby != nullptr || client.level == dsht::kLevels - 1;
  if (!well_known && !query.recursion_desired) return;
  const NameRef owner = ResponseWriter::at(target_at);
  if (!answer_static(reply, reply.target, owner)) answer_proxied(reply, owner);
}

void Authority::answer_proxied(Reply& reply, const NameRef& owner) {
  const Query& query = reply.query;
  const bool below_cuts = reply.cut_at[dsht::kLevels - 1] != 0;
  if (wants_address(query)) {
    add_addresses(reply, owner, query.qtype == type::kA);
  } else if (query.qtype == type::kHttps && zone_.options().https_port != 0) {
    add_https(reply, owner);
  } else {
    return deny(reply, below_cuts ? zone_.cut(dsht::kLevels - 1) : *zone_.locate(query.qname).apex);
  }
  if (below_cuts) add_cut_servers(reply, highest_cut(reply.given.resolver), Section::authority, Glue::wanted);
}

// A resolver that looks for delegations is told of a cut that is near it, and nothing of others: it goes on
// and is answered here. (We have the whole tree, and can do both.)
void Authority::answer_cut(Reply& reply, const Zone::Located& at) {
  const std::uint16_t qtype = reply.query.qtype;
  const bool itself = at.place == Place::cut;
  if (itself && qtype == type::kSoa) {
    return add_soa(reply, Section::answer, zone_.cut(at.level), zone_.options().authority_ttl);
  }
  if (qtype == type::kDs) return deny(reply, *at.encloser);
  reply.told.by_resolver = true;
  if (at.level > highest_cut(reply.given.resolver)) return hide_cut(reply, *at.encloser);
  if (itself && qtype == type::kNs && reply.query.recursion_desired) {
    if (add_cut_servers(reply, at.level, Section::answer, Glue::wanted) == 0) hide_cut(reply, *at.encloser);
    return;
  }
  if (add_cut_servers(reply, at.level, Section::authority, Glue::needed) == 0) {
    return hide_cut(reply, *at.encloser);
  }
  reply.told.flags.authoritative = false;
}

// The name says the address; whether somebody answers there is for the asker to see. Not for addresses that
// mean something else to everybody, or a name of ours could lead a browser to a machine in its own house.
void Authority::answer_cut_server(Reply& reply, const Zone::Located& at) {
  if (!is_public(*at.address, options_.also_public)) return deny(reply, *at.encloser, Rcode::nxdomain);
  if (reply.query.qtype == type::kAny) {
    return reply.need(reply.writer.add_hinfo(seconds(zone_.options().authority_ttl), "RFC8482"));
  }
  if (!wants_address(reply.query) || at.address->is_v4() != (reply.query.qtype == type::kA)) {
    return deny(reply, *at.encloser);
  }
  reply.need(reply.writer.add_address(Section::answer, ResponseWriter::question(),
                                      seconds(zone_.options().cut_ttl), *at.address));
}

// Those near the client first, as far as they are known; then our own cluster of its level; and where that
// leaves it with one alone, anybody.
Picked Authority::pick_proxies(const Reply& reply, bool v4, bool& near) {
  constexpr std::size_t kEnough = 2;
  const auto& [level, nearby] = reply.given.client;
  const std::size_t most = options_.addresses_max, enough = std::min(kEnough, most);
  Picked out;
  if (nearby != nullptr) {
    for (const IpAddress& address : nearby->proxies) {
      if (out.size() == most) break;
      if (address.is_v4() == v4) out.add(address);
    }
    out.shuffle(0, random_);
  }
  near = level == dsht::kLevels - 1 || out.size() > 0;
  for (int l = level; l >= 0 && out.size() < enough; --l) {
    const std::size_t from = out.size();
    const bool first = from == 0;
    reply.given.view.pool(Service::proxy, static_cast<dsht::Level>(l), v4)
        .draw(first ? most : enough, random_, out);
  }
  return out;
}

void Authority::add_addresses(Reply& reply, const NameRef& owner, bool v4) {
  bool near = false;
  const Picked picked = pick_proxies(reply, v4, near);
  reply.told.by_client = true;
  if (picked.size() == 0) {
    const bool below_cuts = reply.cut_at[dsht::kLevels - 1] != 0;
    return deny(reply, below_cuts ? zone_.cut(dsht::kLevels - 1) : *zone_.locate(reply.query.qname).apex);
  }
  const ZoneOptions& options = zone_.options();
  const std::uint32_t ttl = seconds(near ? options.near_address_ttl : options.address_ttl);
  std::size_t added = 0;  // as many as fit, since any of them will do; none at all is TC
  for (const IpAddress& address : picked) {
    added += reply.writer.add_address(Section::answer, owner, ttl, address) ? 1 : 0;
  }
  reply.need(added > 0);
}

void Authority::add_https(Reply& reply, const NameRef& owner) {
  bool near = false;
  const Picked v4 = pick_proxies(reply, true, near), v6 = pick_proxies(reply, false, near);
  reply.told.by_client = true;
  const ZoneOptions& options = zone_.options();
  reply.need(reply.writer.add_https(owner, seconds(near ? options.near_address_ttl : options.address_ttl),
                                    options.https_port, {v4.begin(), v4.end()}, {v6.begin(), v6.end()}));
}

// The whole set, then as much glue as fits: glue may be left out without TC where the names can be asked
// themselves (RFC 9471 is about referrals, and this is an answer).
void Authority::add_apex_servers(Reply& reply, const Name& apex) {
  const ZoneOptions& options = zone_.options();
  const auto& names = zone_.servers_of(apex);
  std::array<std::size_t, 13> at{};
  for (std::size_t i = 0; i < names.size(); ++i) {
    at[i] = reply.writer.add_target(Section::answer, ResponseWriter::question(), type::kNs,
                                    seconds(options.authority_ttl), reply.writer.name(names[i]));
    reply.need(at[i] != 0);
  }
  if (!reply.told.fits || !names.front().is_under(apex)) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (const bool v4 : {true, false}) {
      const auto& live = reply.given.view.pool(Service::dns, 0, v4).addresses();
      if (live.empty()) continue;
      (void)reply.writer.add_address(Section::additional, ResponseWriter::at(at[i]),
                                     seconds(options.address_ttl), live[i % live.size()]);
    }
  }
}

// Live name servers by their place: we ourselves first, since whoever reads this has reached us.
void Authority::add_name_server(Reply& reply, std::size_t index) {
  if (!wants_address(reply.query)) return deny(reply, zone_.nodes_apex());
  const auto& live = reply.given.view.pool(Service::dns, 0, reply.query.qtype == type::kA).addresses();
  if (live.empty()) return deny(reply, zone_.nodes_apex());
  reply.need(reply.writer.add_address(Section::answer, ResponseWriter::question(),
                                      seconds(zone_.options().address_ttl), live[index % live.size()]));
}

// The suffix's zone has its name servers here, without glue at its parent, so that every resolver finds near
// ones by the cuts, and others when these are gone.
void Authority::add_near_server(Reply& reply, std::size_t index) {
  const Name& encloser = zone_.cut(dsht::kLevels - 1);
  if (!wants_address(reply.query)) return deny(reply, encloser);
  reply.told.by_resolver = true;
  const bool v4 = reply.query.qtype == type::kA;
  const Picked picked = pick_servers(reply, highest_cut(reply.given.resolver), false);
  std::array<const IpAddress*, Picked::kMax> of_family;
  std::size_t count = 0;
  for (const IpAddress& address : picked) {
    if (address.is_v4() == v4) of_family[count++] = &address;
  }
  if (count == 0) return deny(reply, encloser);
  reply.need(reply.writer.add_address(Section::answer, ResponseWriter::question(),
                                      seconds(zone_.options().address_ttl), *of_family[index % count]));
}

dsht::Level Authority::highest_cut(const Sight& resolver) {
  const bool knows_servers = resolver.nearby != nullptr && !resolver.nearby->servers.empty();
  return knows_servers ? dsht::kLevels - 1 : resolver.level;
}

// Those near the resolver, as far as they are known; of an outer cut's servers half are from everywhere in
// that cluster. `outer` are one of each cluster further out, so that a resolver whose near servers are all
// gone has somebody left to ask; third in the order, since no more than three may fit.
Picked Authority::pick_servers(const Reply& reply, dsht::Level level, bool outer) {
  const auto& [resolver_level, nearby] = reply.given.resolver;
  const View& view = reply.given.view;
  const std::size_t most = options_.servers_max;
  Picked near;
  if (nearby != nullptr) {
    for (const IpAddress& address : nearby->servers) {
      if (near.size() == most) break;
      near.add(address);
    }
  }
  for (const bool v4 : {true, false}) {  // of IPv6 half as many on top
    const std::size_t more = v4 ? 0 : most / 2;
    const std::size_t near_ones = level == dsht::kLevels - 1 ? most : (most + 1) / 2;
    if (resolver_level > level)
      view.pool(Service::dns, resolver_level, v4).draw(near_ones + more, random_, near);
    if (resolver_level >= level) view.pool(Service::dns, level, v4).draw(most + more, random_, near);
  }
  if (!outer) return near;
  Picked out;
  std::size_t taken = 0;
  for (const IpAddress* one = near.begin(); one != near.end() && out.size() < kOuterPlace; ++one) {
    out.add(*one);
    ++taken;
  }
  if (resolver_level < level) {  // those near it were hints: of the others we know only ourselves
    for (const IpAddress& own : view.own()) out.add(own);
  }
  for (int l = level - 1; l >= 0; --l) {
    const auto& inner = view.pool(Service::dns, static_cast<dsht::Level>(l + 1), true);
    const auto& pool = view.pool(Service::dns, static_cast<dsht::Level>(l), true);
    if (pool.addresses().size() > inner.addresses().size()) pool.draw_beyond(inner, random_, out);
  }
  for (const IpAddress* one = near.begin() + taken; one != near.end() && out.size() < most + 2; ++one)
    out.add(*one);
  return out;
}

// As many as fit together with their addresses, for a cut's servers have their names below the cut. The
// number added.
std::size_t Authority::add_cut_servers(Reply& reply, dsht::Level level, Section section, Glue glue) {
  const ZoneOptions& options = zone_.options();
  // Resolvers that look for delegations by A, as unbound does, choose among all servers that are not much
  // slower than the best, so that one further out would get its share of all queries: these learn near ones
  // only, and for as short a time as addresses. Those that look by NS, as bind9 and knot-resolver do, prefer
  // the fastest: these keep one further out at hand, and the set for long.
  const bool blind = level == dsht::kLevels - 1 && reply.query.qtype != type::kNs && glue == Glue::needed;
  const std::uint32_t ttl = seconds(blind ? options.near_address_ttl : options.cut_ttl);
  const Picked picked = pick_servers(reply, level, !blind);
  const std::size_t cut_at = reply.cut_at[level];
  struct Chosen {
    const IpAddress* address;
    std::size_t name_at;
  };
  std::array<Chosen, Picked::kMax> chosen;
  std::size_t count = 0, room = reply.writer.room();
  for (const IpAddress& address : picked) {
    const std::size_t label_bytes = address.is_v4() ? 11 : 35;
    const std::size_t bytes = 2 * kRecordFixedBytes + label_bytes + 2 + (address.is_v4() ? 4 : 16);
    if (bytes > room) continue;
    room -= bytes;
    chosen[count++] = {&address, 0};
  }
  if (count == 0 || (glue == Glue::wanted && count < std::min<std::size_t>(2, picked.size()))) {
    if (glue == Glue::needed && picked.size() > 0) {
      reply.told.fits = false;
      return 1;
    }
    return 0;
  }
  for (Chosen& one : std::span(chosen).first(count)) {
    const ServerLabel label(*one.address);
    one.name_at = reply.writer.add_target(section, ResponseWriter::at(cut_at), type::kNs, ttl,
                                          {label.wire(), {}, static_cast<std::uint16_t>(cut_at)});
    BASE_CHECK(one.name_at != 0);
  }
  for (const Chosen& one : std::span(chosen).first(count)) {
    BASE_CHECK(
        reply.writer.add_address(Section::additional, ResponseWriter::at(one.name_at), ttl, *one.address));
  }
  return count;
}

void Authority::add_soa(Reply& reply, Section section, const Name& owner, std::chrono::seconds ttl) {
  const ZoneOptions& options = zone_.options();
  const ResponseWriter& writer = reply.writer;
  reply.need(
      reply.writer.add_soa(section, writer.name(owner), seconds(ttl),
                           {writer.name(zone_.mname()), writer.name(zone_.rname()), reply.given.view.serial(),
                            seconds(options.refresh), seconds(options.retry), seconds(options.expire),
                            seconds(options.negative_ttl)}));
}

// For this client the cut is an empty name, for as long as it takes to find out more about it.
void Authority::hide_cut(Reply& reply, const Name& encloser) {
  const ZoneOptions& options = zone_.options();
  add_soa(reply, Section::authority, encloser, std::min(options.cut_negative_ttl, options.negative_ttl));
}

// NODATA or NXDOMAIN: the SOA in the authority section, its TTL the one of the denial (RFC 2308 §3). Its
// owner is the deepest zone that encloses the name, so that it is in the bailiwick of whichever of our cuts
// the resolver believes to be asking.
void Authority::deny(Reply& reply, const Name& encloser, Rcode rcode) {
  const ZoneOptions& options = zone_.options();
  reply.told.flags.rcode = rcode;
  add_soa(reply, Section::authority, encloser, std::min(options.negative_ttl, options.authority_ttl));
}

}  // namespace reef::dnsd
