#include "config/site_schema.h"

#include <utility>

#include "config/setting_of.h"
#include "config/values.h"

namespace reef::config {
namespace {

using std::chrono::hours;

constexpr char kBehindSite = ';';  // neither is part of a value: field names are tokens
constexpr char kBetweenElements = ':';

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == separator) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// A field name (RFC 9110 §5.1).
struct FieldNameType {
  using Value = std::string;
  [[nodiscard]] std::string allowed() const { return "the name of a field, such as CDN-Cache-Control"; }
  [[nodiscard]] std::optional<std::string> parse(std::string_view text) const {
    constexpr std::string_view kToken =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (text.empty() || text.size() > 64 || text.find_first_not_of(kToken) != std::string_view::npos)
      return std::nullopt;
    return std::string(text);
  }
  [[nodiscard]] std::string format(const std::string& value) const { return value; }
};

// "" is "not given".
struct OptionalSecondsType {
  using Value = std::optional<Seconds>;
  SecondsType one;
  [[nodiscard]] std::string allowed() const { return one.allowed() + ", or nothing"; }
  [[nodiscard]] std::optional<Value> parse(std::string_view text) const {
    if (text.empty()) return Value{};
    const auto value = one.parse(text);
    if (!value) return std::nullopt;
    return Value{*value};
  }
  [[nodiscard]] std::string format(const Value& value) const { return value ? one.format(*value) : ""; }
};

#define REEF_RULE(name) REEF_FIELD(sites.front().rules.name)

std::vector<Setting> build() {
  std::vector<Setting> out;
  const SecondsType up_to_a_year{Seconds(0), hours(24 * 365)};
  out.push_back(scalar("site.default_lifetime", up_to_a_year, REEF_RULE(default_lifetime),
                       "The least lifetime of a response that says nothing about its freshness. 0: none."));
  out.push_back(scalar("site.heuristic_percent", IntegerType{0, 100}, REEF_RULE(heuristic_percent),
                       "Its lifetime otherwise: that share of the time since Last-Modified."));
  out.push_back(scalar("site.heuristic_lifetime_max", up_to_a_year, REEF_RULE(heuristic_lifetime_max),
                       "The longest such lifetime."));
  out.push_back(scalar("site.repeated_lifetime", ChoiceType{{"first", "stale"}}, REEF_RULE(repeated_lifetime),
                       "Of a lifetime that a response gives twice the first counts, or it is stale."));
  out.push_back(
      scalar("site.set_cookie", ChoiceType{{"replay", "strip", "refuse"}}, REEF_RULE(set_cookie),
             "A response that sets cookies: stored with them under an explicit lifetime only, stored "
             "without them, or not stored."));
  out.push_back(scalar("site.newer_ends_stored", BooleanType{}, REEF_RULE(newer_ends_stored),
                       "A newer response that may not be stored ends what was stored before it."));
  out.push_back(scalar("site.request_directives", BooleanType{}, REEF_RULE(request_directives),
                       "Clients may ask for a validation or take what is stale (Cache-Control in a request). "
                       "false: they may not, against cache busting."));
  out.push_back(
      scalar("site.stale_if_error", OptionalSecondsType{up_to_a_year}, REEF_RULE(stale_if_error),
             "How long a stale response stands in for an origin that is silent, where it does not say "
             "itself. Nothing: as proxy.cache.stale_if_error."));
  out.push_back(scalar("site.stale_if_5xx", BooleanType{}, REEF_RULE(stale_if_5xx),
                       "It does for one that answers 500, 502, 503 or 504 too."));
  out.push_back(scalar("site.stale_beside_s_maxage", BooleanType{}, REEF_RULE(stale_beside_s_maxage),
                       "stale-while-revalidate and stale-if-error count beside s-maxage too, which strictly "
                       "read forbids stale responses."));
  out.push_back(
      scalar("site.range_on_miss", ChoiceType{{"whole", "pass"}}, REEF_RULE(range_on_miss),
             "A range of what is not stored: the whole is fetched and stored, or the range is passed to the "
             "origin and nothing is stored."));
  out.push_back(scalar("site.variants_max", IntegerType{1, 1024}, REEF_RULE(variants_max),
                       "Variants of a URL (Vary) that are kept; the one fetched longest ago goes first."));
  out.push_back(scalar("site.vary_names_max", IntegerType{1, 32}, REEF_RULE(vary_names_max),
                       "Names in Vary; a response with more is not stored."));
  out.push_back(
      list("site.targeted_fields", FieldNameType{}, REEF_RULE(targeted_fields),
           "Targeted fields in place of Cache-Control (RFC 9213); the first that is usable decides."));
  return out;
}

#undef REEF_RULE

Settings with_one(const Site& site) {
  Settings out;
  out.sites.push_back(site);
  return out;
}

// Takes NAME=VALUE; false: no such name, or not its value.
bool assign(Site& site, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return false;
  const Setting* setting = find_site_key("site." + text.substr(0, equals));
  if (setting == nullptr) return false;
  const std::string value = text.substr(equals + 1);
  std::vector<std::string> texts = {value};
  if (setting->is_list) texts = value.empty() ? std::vector<std::string>{} : split(value, kBetweenElements);
  Settings one = with_one(site);
  if (setting->assign(one, texts)) return false;
  site = std::move(one.sites.front());
  return true;
}

// Calls use(setting, texts) for what is not the default.
template <class Use>
void for_changed(const Site& site, Use use) {
  const Settings one = with_one(site);
  const Settings plain = with_one(Site());
  for (const Setting& setting : site_schema()) {
    if (const auto texts = setting.texts(one); texts != setting.texts(plain)) use(setting, texts);
  }
}

std::string with_rules(const Site& site) {
  std::string out = SiteType{}.format(site);
  for_changed(site, [&out](const Setting& setting, const std::vector<std::string>& texts) {
    out += kBehindSite + setting.name() + "=";
    for (std::size_t i = 0; i < texts.size(); ++i)
      out += (i > 0 ? std::string(1, kBetweenElements) : "") + texts[i];
  });
  return out;
}

std::optional<Site> parse_site(const std::string& text) {
  const std::vector<std::string> parts = split(text, kBehindSite);
  auto site = SiteType{}.parse(parts.front());
  for (std::size_t i = 1; site && i < parts.size(); ++i) {
    if (!assign(*site, parts[i])) return std::nullopt;
  }
  return site;
}

}  // namespace

const std::vector<Setting>& site_schema() {
  static const std::vector<Setting> settings = build();
  return settings;
}

const Setting* find_site_key(std::string_view key) {
  for (const Setting& setting : site_schema()) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

std::string site_lines(const Site& site) {
  std::string out;
  const Settings one = with_one(site);
  for_changed(site, [&](const Setting& setting, const std::vector<std::string>&) {
    out += setting.name() + " = " + toml_value(setting, one) + "\n";
  });
  return out;
}

Setting site_setting() {
  Setting out =
      named("site",
            "Sites answered for under their own names, all methods passed to their origins. In the file "
            "also with settings of their own.",
            SiteType{}.allowed());
  out.flag = "--site";
  out.metavar = "HOST=ORIGIN_URL";
  out.is_list = true;
  out.assign = [](Settings& to, std::span<const std::string> texts) -> std::optional<std::size_t> {
    std::vector<Site> sites;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto site = parse_site(texts[i]);
      if (!site) return i;
      sites.push_back(std::move(*site));
    }
    to.sites = std::move(sites);
    return std::nullopt;
  };
  out.texts = [](const Settings& from) {
    std::vector<std::string> texts;
    for (const Site& site : from.sites) texts.push_back(with_rules(site));
    return texts;
  };
  return out;
}

}  // namespace reef::config
