#include "node/record_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "node/dns_text.h"

namespace reef::node {
namespace {

// One line of text is one record: what a parameter says cannot become another field or line.
bool is_one_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool is_same(const dnsd::Record& a, const dnsd::Record& b) {
  return a.owner.equals(b.owner) && a.type == b.type && a.rdata == b.rdata;
}

}  // namespace

Result<RecordBook::Shared> RecordBook::make(const std::vector<dnsd::Record>& set) const {
  std::vector<dnsd::Record> all = fixed_;
  all.insert(all.end(), set.begin(), set.end());
  return dnsd::Records::make(zone_, all);
}

Result<RecordBook::Shared> RecordBook::set(std::string_view name, std::string_view type,
                                           std::string_view value, std::optional<std::uint32_t> ttl) {
  if (!is_one_word(name))
    return fail(invalid(fmt::format("name: found \"{}\"; allowed: a domain name", name)));
  if (!is_one_word(type)) {
    return fail(invalid(fmt::format("type: found \"{}\"; allowed: TXT, CAA, MX, A, AAAA or CNAME", type)));
  }
  const std::string line = fmt::format("{} {} {} {}", name, ttl.value_or(default_ttl_), type, value);
  auto record = dnsd::Record::parse(line, default_ttl_);
  if (!record) return fail(record.error());
  std::vector<dnsd::Record> set = set_;
  std::vector<std::string> lines = lines_;
  const auto known = std::find_if(set.begin(), set.end(), [&](const auto& r) { return is_same(r, *record); });
  if (known != set.end()) {
    lines[static_cast<std::size_t>(known - set.begin())] = line;
    *known = std::move(*record);
  } else {
    if (set.size() >= set_max_)
      return fail(invalid(fmt::format("there are {} records already; remove some first", set_max_)));
    set.push_back(std::move(*record));
    lines.push_back(line);
  }
  auto all = make(set);
  if (!all) return fail(all.error());
  set_ = std::move(set);
  lines_ = std::move(lines);
  return all;
}

Result<RecordBook::Shared> RecordBook::remove(std::string_view name, std::string_view type,
                                              std::string_view value) {
  const auto owner = dnsd::Name::parse(name);
  if (!owner) return fail(owner.error());
  std::optional<std::uint16_t> number;
  if (!type.empty()) {
    number = parse_dns_type(type);
    if (!number) return fail(invalid(fmt::format("type: found \"{}\"; allowed: a record type", type)));
  }
  std::optional<dnsd::Record> wanted;
  if (!value.empty()) {
    if (!number) return fail(invalid("value: of which type? allowed: with type"));
    auto record =
        dnsd::Record::parse(fmt::format("{} {} {} {}", name, default_ttl_, type, value), default_ttl_);
    if (!record) return fail(record.error());
    wanted = std::move(*record);
  }
  std::vector<dnsd::Record> set;
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < set_.size(); ++i) {
    const bool is_meant = set_[i].owner.equals(*owner) && (!number || set_[i].type == *number) &&
                          (!wanted || is_same(set_[i], *wanted));
    if (is_meant) continue;
    set.push_back(set_[i]);
    lines.push_back(lines_[i]);
  }
  auto all = make(set);
  if (!all) return fail(all.error());
  set_ = std::move(set);
  lines_ = std::move(lines);
  return all;
}

}  // namespace reef::node
