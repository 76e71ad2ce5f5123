#include "dnsd/records.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/ip.h"
#include "dnsd/message.h"
#include "dnsd/zone.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kStringBytesMax = 255;  // RFC 1035 §3.3
constexpr std::size_t kRdataBytesMax = 2048;  // an answer must fit into a message of 4 KiB
constexpr std::uint32_t kTtlMax = 0x7fffffff;

struct Token {
  std::string text;
  bool quoted = false;
};

// Words, and strings in quotes. nullopt: a quote is left open, or something stands right behind one.
std::optional<std::vector<Token>> split(std::string_view text) {
  std::vector<Token> out;
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    if (at == text.size()) return out;
    Token token;
    if (text[at] != '"') {
      while (at < text.size() && text[at] != ' ' && text[at] != '\t') token.text += text[at++];
    } else {
      token.quoted = true;
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && ++at == text.size()) return std::nullopt;
        token.text += text[at];
      }
      if (at == text.size()) return std::nullopt;
      if (++at < text.size() && text[at] != ' ' && text[at] != '\t') return std::nullopt;
    }
    out.push_back(std::move(token));
  }
}

std::optional<std::uint32_t> number(const std::string& text, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max)
    return std::nullopt;
  return value;
}

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

std::optional<Bytes> address_rdata(std::span<const Token> value, bool v4) {
  if (value.size() != 1) return std::nullopt;
  const auto address = IpAddress::parse(value[0].text);
  if (!address || address->is_v4() != v4) return std::nullopt;
  Bytes out;
  append(out, std::as_bytes(std::span(address->bytes())).subspan(v4 ? 12 : 0));
  return out;
}

std::optional<Bytes> txt_rdata(std::span<const Token> value) {
  Bytes out;
  for (const Token& token : value) {
    ByteView rest = as_bytes(token.text);
    do {  // a longer one becomes several
      const ByteView part = rest.first(std::min(rest.size(), kStringBytesMax));
      out.push_back(static_cast<std::byte>(part.size()));
      append(out, part);
      rest = rest.subspan(part.size());
    } while (!rest.empty());
  }
  if (out.empty()) return std::nullopt;
  return out;
}

std::optional<Bytes> cname_rdata(std::span<const Token> value) {
  if (value.size() != 1) return std::nullopt;
  const auto target = Name::parse(value[0].text);
  if (!target) return std::nullopt;
  return Bytes(target->wire().begin(), target->wire().end());
}

std::optional<Bytes> mx_rdata(std::span<const Token> value) {
  if (value.size() != 2) return std::nullopt;
  const auto preference = number(value[0].text, 0xffff);
  const auto exchange = Name::parse(value[1].text);
  if (!preference || !exchange) return std::nullopt;
  Bytes out = {static_cast<std::byte>(*preference >> 8), static_cast<std::byte>(*preference)};
  append(out, exchange->wire());
  return out;
}

// RFC 8659 §4.1: flags, tag, value.
std::optional<Bytes> caa_rdata(std::span<const Token> value) {
  if (value.size() != 3) return std::nullopt;
  const auto flags = number(value[0].text, 255);
  const std::string& tag = value[1].text;
  const auto is_tag_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (!flags || tag.empty() || tag.size() > 15 || !std::all_of(tag.begin(), tag.end(), is_tag_character)) {
    return std::nullopt;
  }
  Bytes out = {static_cast<std::byte>(*flags), static_cast<std::byte>(tag.size())};
  append(out, as_bytes(tag));
  append(out, as_bytes(value[2].text));
  return out;
}

std::optional<Bytes> rdata_of(std::uint16_t type, std::span<const Token> value) {
  switch (type) {
    case type::kA:
      return address_rdata(value, true);
    case type::kAaaa:
      return address_rdata(value, false);
    case type::kTxt:
      return txt_rdata(value);
    case type::kCname:
      return cname_rdata(value);
    case type::kMx:
      return mx_rdata(value);
    case type::kCaa:
      return caa_rdata(value);
    default:
      return std::nullopt;
  }
}

std::uint16_t type_of(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  constexpr std::pair<std::string_view, std::uint16_t> kTypes[] = {
      {"A", type::kA},         {"AAAA", type::kAaaa}, {"TXT", type::kTxt},
      {"CNAME", type::kCname}, {"MX", type::kMx},     {"CAA", type::kCaa}};
  for (const auto& [name, type] : kTypes) {
    if (name == text) return type;
  }
  return 0;
}

std::string key_of(const Name& name) { return std::string(as_text(name.lower().wire())); }

// Where the record is kept, or why it cannot be.
Result<Name> place(const Zone& zone, const Record& record) {
  const auto refuse = [&](const char* why) {
    return fail(invalid("a record at " + record.owner.text() + ": " + why));
  };
  const auto at = zone.locate(record.owner);
  switch (at.place) {
    case Place::outside:
      return refuse("the name is not in a zone of this server");
    case Place::name_server:
    case Place::cut:
    case Place::cut_probe:
    case Place::cut_server:
    case Place::near_server:
      return refuse("the server makes this name itself");
    case Place::apex:
    case Place::suffix:
      if (record.type == type::kCname)
        return refuse("there are other records, so no CNAME (RFC 1034 section 3.6.2)");
      return record.owner;
    case Place::redirected:
      if (zone.redirect() == Redirect::dname) {
        const auto target = Name::join(record.owner.labels_before(zone.options().suffix), zone.http());
        if (!target) return refuse("the name that it leads to would be too long");
        return *target;
      }
      return record.owner;
    default:
      return record.owner;
  }
}

}  // namespace

Result<Record> Record::parse(std::string_view text, std::uint32_t default_ttl) {
  const auto bad = [text](std::string_view why) {
    return fail(invalid("'" + std::string(text) + "' is not a record: " + std::string(why)));
  };
  const auto tokens = split(text);
  if (!tokens) return bad("a quote is left open");
  std::span<const Token> rest = *tokens;
  if (rest.size() < 3) return bad("it is NAME [TTL] TYPE VALUE");
  const auto owner = Name::parse(rest[0].text);
  if (!owner) return fail(owner.error());
  Record out;
  out.owner = *owner;
  out.ttl = default_ttl;
  rest = rest.subspan(1);
  if (const auto ttl = number(rest[0].text, kTtlMax)) {
    out.ttl = *ttl;
    rest = rest.subspan(1);
  }
  out.type = rest.empty() ? 0 : type_of(rest[0].text);
  if (out.type == 0) return bad("its type is A, AAAA, TXT, CNAME, MX or CAA");
  auto rdata = rdata_of(out.type, rest.subspan(1));
  if (!rdata) return bad("its value does not suit its type");
  if (rdata->size() > kRdataBytesMax) return bad("its value is longer than 2048 bytes");
  out.rdata = std::move(*rdata);
  return out;
}

const Records::Set* Records::Node::of(std::uint16_t type) const {
  const auto found =
      std::find_if(sets.begin(), sets.end(), [type](const Set& set) { return set.type == type; });
  return found == sets.end() ? nullptr : &*found;
}

Result<std::shared_ptr<const Records>> Records::make(const Zone& zone, std::span<const Record> records) {
  auto out = std::make_shared<Records>();
  for (const Record& record : records) {
    const auto owner = place(zone, record);
    if (!owner) return fail(owner.error());
    Node& node = out->nodes_[key_of(*owner)];
    auto set =
        std::find_if(node.sets.begin(), node.sets.end(), [&](const Set& s) { return s.type == record.type; });
    if (set == node.sets.end()) set = node.sets.insert(set, Set{record.type, record.ttl, {}});
    set->ttl = std::min(set->ttl, record.ttl);
    if (std::find(set->rdatas.begin(), set->rdatas.end(), record.rdata) == set->rdatas.end()) {
      set->rdatas.push_back(record.rdata);
    }
    const bool has_cname = node.of(type::kCname) != nullptr;
    if (has_cname && (node.sets.size() > 1 || set->rdatas.size() > 1)) {
      return fail(invalid("beside the CNAME of " + owner->text() + " there can be no other record"));
    }
    std::size_t bytes = 0;
    for (const Bytes& rdata : set->rdatas) bytes += rdata.size();
    if (bytes > kRdataBytesMax) {
      return fail(invalid("the records of one type at " + owner->text() + " are longer than 2048 bytes"));
    }
    // The names between it and the zone exist.
    const Name& apex = *zone.locate(*owner).apex;
    for (ByteView labels = owner->labels_before(apex); !labels.empty();) {
      labels = labels.subspan(1 + std::to_integer<std::size_t>(labels[0]));
      if (!labels.empty()) out->nodes_.try_emplace(key_of(*Name::join(labels, apex)));
    }
  }
  return std::shared_ptr<const Records>(std::move(out));
}

const Records::Node* Records::find(const Name& name) const {
  if (nodes_.empty()) return nullptr;
  const Name lower = name.lower();
  const auto found = nodes_.find(as_text(lower.wire()));
  return found == nodes_.end() ? nullptr : &found->second;
}

}  // namespace reef::dnsd
