#include "node/verdict_store.h"

#include <algorithm>
#include <array>

namespace reef::node {
namespace {

using std::chrono::milliseconds;

constexpr std::uint8_t kFormat = 2;
constexpr std::size_t kKeyBytes = 17;
constexpr std::size_t kRecordBytesMax = 8192;
constexpr std::size_t kRoutesMax = 64, kNearMax = 32;
constexpr std::size_t kNameBytesMax = 64;  // an IPv6 prefix has 43
constexpr std::size_t kExpiredPerCall = 64;

void put_address(ByteWriter& out, const IpAddress& address) {
  out.bytes(std::as_bytes(std::span(address.bytes())));
}

IpAddress get_address(ByteReader& in) {
  std::array<std::uint8_t, 16> bytes{};
  in.copy_to(std::as_writable_bytes(std::span(bytes)));
  return IpAddress::v6(bytes);
}

void put_duration(ByteWriter& out, std::optional<Duration> duration) {
  out.u8(duration ? 1 : 0);
  out.u64(duration ? static_cast<std::uint64_t>(duration->count()) : 0);
}

std::optional<Duration> get_duration(ByteReader& in) {
  const bool is_known = in.u8() != 0;
  const Duration out(static_cast<Duration::rep>(in.u64()));
  return is_known ? std::optional(out) : std::nullopt;
}

Bytes key_of(const IpPrefix& client) {
  Bytes key(kKeyBytes);
  ByteWriter out(key);
  put_address(out, client.address);
  out.u8(static_cast<std::uint8_t>(client.bits));
  return key;
}

std::optional<IpPrefix> prefix_of(ByteView key) {
  ByteReader in(key);
  const IpAddress address = get_address(in);
  const int bits = in.u8();
  if (!in.at_end() || bits > (address.is_v4() ? 32 : 128)) return std::nullopt;
  const IpPrefix out = IpPrefix::around(address, bits);
  return out.address == address ? std::optional(out) : std::nullopt;
}

}  // namespace

Bytes encode(const StoredVerdict& verdict) {
  Bytes record(kRecordBytesMax);
  ByteWriter out(record);
  const Finding& finding = verdict.finding;
  out.u8(kFormat);
  out.u8(finding.level);
  out.u8(static_cast<std::uint8_t>(finding.source));
  put_duration(out, finding.rtt);
  put_address(out, verdict.target);
  out.u64(static_cast<std::uint64_t>(verdict.measured.time_since_epoch().count()));
  out.u8(finding.route ? 1 : 0);
  const std::size_t routes = finding.route ? std::min(finding.route->size(), kRoutesMax) : 0;
  out.u8(static_cast<std::uint8_t>(routes));
  for (std::size_t i = 0; i < routes; ++i) {
    const dsht::RouteName& name = (*finding.route)[i];
    out.u8(static_cast<std::uint8_t>(name.rank));
    out.u64(static_cast<std::uint64_t>(name.beyond.count()));
    out.u8(static_cast<std::uint8_t>(name.name.size()));
    out.bytes(as_bytes(name.name));
  }
  const std::size_t near = std::min(finding.near.size(), kNearMax);
  out.u8(static_cast<std::uint8_t>(near));
  for (std::size_t i = 0; i < near; ++i) {
    const dsht::Contact& contact = finding.near[i].contact;
    out.u8(static_cast<std::uint8_t>(finding.near[i].rank));
    put_duration(out, finding.near[i].away);
    out.bytes(std::as_bytes(std::span(contact.id.bytes)));
    put_address(out, contact.rpc.address);
    out.u16(contact.rpc.port);
    out.u16(contact.http_port);
    out.u16(contact.dns_port);
    out.u8(contact.services);
  }
  record.resize(out.size());
  return out.ok() ? record : Bytes{};
}

std::optional<StoredVerdict> decode_verdict(ByteView bytes) {
  ByteReader in(bytes);
  StoredVerdict out;
  Finding& finding = out.finding;
  if (in.u8() != kFormat) return std::nullopt;
  finding.level = in.u8();
  const std::uint8_t source = in.u8();
  finding.rtt = get_duration(in);
  out.target = get_address(in);
  out.measured = WallTime(milliseconds(static_cast<milliseconds::rep>(in.u64())));
  const bool has_route = in.u8() != 0;
  if (has_route) finding.route.emplace();
  const std::size_t routes = in.u8();
  for (std::size_t i = 0; i < routes && in.ok(); ++i) {
    const int rank = in.u8();
    const Duration beyond(static_cast<Duration::rep>(in.u64()));
    const std::size_t length = in.u8();
    if (!has_route || routes > kRoutesMax || length > kNameBytesMax) return std::nullopt;
    finding.route->push_back({std::string(as_text(in.bytes(length))), rank, beyond});
  }
  const std::size_t near = in.u8();
  for (std::size_t i = 0; i < near && in.ok(); ++i) {
    NearNode node;
    node.rank = in.u8();
    node.away = get_duration(in);
    dsht::Contact& contact = node.contact;
    in.copy_to(std::as_writable_bytes(std::span(contact.id.bytes)));
    contact.rpc.address = get_address(in);
    contact.rpc.port = in.u16();
    contact.http_port = in.u16();
    contact.dns_port = in.u16();
    contact.services = in.u8();
    finding.near.push_back(std::move(node));
  }
  const bool is_sane = finding.level < dsht::kLevels && near <= kNearMax &&
                       source <= static_cast<std::uint8_t>(FindingSource::rtt) &&
                       (!finding.rtt || *finding.rtt >= Duration::zero());
  if (!in.at_end() || !is_sane) return std::nullopt;
  finding.source = static_cast<FindingSource>(source);
  return out;
}

bool VerdictStore::holds(WallTime now, const StoredVerdict& verdict) const {
  const Duration ttl =
      verdict.finding.source == FindingSource::none ? options_.failed_ttl : options_.measured_ttl;
  return verdict.measured <= now && now - verdict.measured < ttl;
}

const StoredVerdict* VerdictStore::find(WallTime now, const IpPrefix& client) {
  const auto found = by_prefix_.find(client);
  if (found == by_prefix_.end()) return nullptr;
  if (!holds(now, found->second->verdict)) {
    erase(found->second);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->verdict;
}

void VerdictStore::put(const IpPrefix& client, StoredVerdict verdict) {
  const auto found = by_prefix_.find(client);
  if (found != by_prefix_.end()) {
    Entry& entry = *found->second;
    entries_.splice(entries_.begin(), entries_, found->second);
    if (entry.verdict == verdict) return;
    entry.verdict = std::move(verdict);
    if (!entry.is_dirty) dirty_.push_back(client);
    entry.is_dirty = true;
    return;
  }
  while (!entries_.empty() && entries_.size() >= options_.verdicts_max) erase(std::prev(entries_.end()));
  entries_.push_front({client, std::move(verdict), true});
  by_prefix_.emplace(client, entries_.begin());
  dirty_.push_back(client);
}

void VerdictStore::erase(Entries::iterator at) {
  if (!at->is_dirty) dirty_.push_back(at->client);
  by_prefix_.erase(at->client);
  entries_.erase(at);
}

void VerdictStore::expire(WallTime now) {
  for (std::size_t i = 0; i < kExpiredPerCall && !entries_.empty(); ++i) {
    const auto last = std::prev(entries_.end());
    if (holds(now, last->verdict)) return;
    erase(last);
  }
}

std::vector<VerdictStore::Change> VerdictStore::take_changes(std::size_t count) {
  std::vector<Change> out;
  while (!dirty_.empty() && out.size() < count) {
    const IpPrefix client = dirty_.back();
    dirty_.pop_back();
    const auto found = by_prefix_.find(client);
    if (found == by_prefix_.end()) {
      out.push_back({key_of(client), {}});
    } else if (found->second->is_dirty) {
      found->second->is_dirty = false;
      out.push_back({key_of(client), encode(found->second->verdict)});
    }
  }
  return out;
}

bool VerdictStore::restore(WallTime now, ByteView key, ByteView value) {
  const auto client = prefix_of(key);
  auto verdict = decode_verdict(value);
  if (!client || !verdict) return false;
  if (!holds(now, *verdict) || by_prefix_.contains(*client) || entries_.size() >= options_.verdicts_max) {
    if (!by_prefix_.contains(*client)) dirty_.push_back(*client);  // to be removed
    return true;
  }
  entries_.push_back({*client, std::move(*verdict), false});
  by_prefix_.emplace(*client, std::prev(entries_.end()));
  return true;
}

}  // namespace reef::node
