#include "stored.h"

#include <algorithm>

namespace reef::proxy::model {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 31;  // RFC 9111 §1.2.2
constexpr std::int64_t kDay = 86400;

bool is_one_of(const std::string& text, const std::vector<std::string>& list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool all_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<std::int64_t> number(const std::string& text) {
  if (!all_digits(text)) return std::nullopt;
  const std::size_t from = std::min(text.find_first_not_of('0'), text.size());
  if (text.size() - from > 10) return kMost;
  const std::int64_t value = from == text.size() ? 0 : std::stoll(text.substr(from));
  return std::min(kMost, value);
}

struct Directive {
  std::string name;
  std::optional<std::string> value;
};

// RFC 9111 §5.2: token [ "=" ( token / quoted-string ) ].
Directive directive(const std::string& member) {
  const std::size_t equals = member.find('=');
  if (equals == std::string::npos) return {lower(member), std::nullopt};
  std::string value = member.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return {lower(member.substr(0, equals)), value};
}

// The first of several counts, and what is no number is 0 (§4.2.1).
void set(std::optional<std::int64_t>& slot, const Directive& directive) {
  if (!slot) slot = number(directive.value.value_or("")).value_or(0);
}

// With field names only those are meant; what is no list of names, or another one beside it, means all
// (§5.2.2.4).
void set(bool& all, std::vector<std::string>& some, const Directive& directive) {
  std::vector<std::string> names;
  if (directive.value) names = members(lower(*directive.value));
  const bool tokens = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name.find_first_of(" \t\";=") == std::string::npos;
  });
  if (names.empty() || !tokens || (!some.empty() && some != names)) {
    all = true;
  } else {
    some = names;
  }
}

void add(Says& says, const Directive& d) {
  says.repeated =
      says.repeated || (d.name == "max-age" && says.max_age) || (d.name == "s-maxage" && says.s_maxage);
  if (d.name == "max-age") set(says.max_age, d);
  if (d.name == "s-maxage") set(says.s_maxage, d);
  if (d.name == "stale-while-revalidate") set(says.while_revalidate, d);
  if (d.name == "stale-if-error") set(says.if_error, d);
  if (d.name == "no-cache") set(says.no_cache, says.no_cache_fields, d);
  if (d.name == "private") set(says.is_private, says.private_fields, d);
  if (d.name == "no-store") says.no_store = true;
  if (d.name == "public") says.is_public = true;
  if (d.name == "must-revalidate") says.must_revalidate = true;
  if (d.name == "proxy-revalidate") says.proxy_revalidate = true;
  if (d.name == "must-understand") says.must_understand = true;
  if (d.name == "immutable") says.immutable = true;
}

// RFC 9213 §2.1, of the dictionaries that the histories have: keys with nothing, an integer, a token or a
// string.
std::optional<Says> targeted(const std::string& line) {
  Says says;
  says.targeted = true;
  if (line.ends_with(',')) return std::nullopt;
  for (const std::string& member : members(line)) {
    const std::string key = member.substr(0, member.find('='));
    if (key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-.*") != std::string::npos)
      return std::nullopt;
    const Directive d = directive(member);
    const bool lifetime = is_one_of(key, {"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"});
    if (lifetime && (!d.value || !all_digits(member.substr(key.size() + 1)))) return std::nullopt;
    const bool on_or_off = is_one_of(
        key, {"no-store", "public", "must-revalidate", "proxy-revalidate", "must-understand", "immutable"});
    if (on_or_off && d.value) return std::nullopt;
    add(says, d);
  }
  return says;
}

bool is_hop_by_hop(const std::string& name) {
  return is_one_of(lower(name),
                   {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer",
                    "transfer-encoding", "upgrade", "proxy-authentication-info", "proxy-authorization"});
}

bool is_heuristically_cacheable(int status) {  // RFC 9110 §15.1
  const int statuses[] = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501};
  return std::find(std::begin(statuses), std::end(statuses), status) != std::end(statuses);
}

}  // namespace

Says response_says(const Fields& fields) {
  if (const std::string line = joined(fields, "CDN-Cache-Control"); !line.empty()) {
    if (const auto says = targeted(line)) return *says;
  }
  Says says;
  for (const std::string& member : members(joined(fields, "Cache-Control"))) add(says, directive(member));
  return says;
}

Asks request_asks(const Fields& fields) {
  Asks asks;
  if (!has(fields, "Cache-Control")) {
    asks.no_cache = is_one_of("no-cache", members(lower(joined(fields, "Pragma"))));
    return asks;
  }
  for (const std::string& member : members(joined(fields, "Cache-Control"))) {
    const Directive d = directive(member);
    if (d.name == "no-cache") asks.no_cache = true;
    if (d.name == "no-store") asks.no_store = true;
    if (d.name == "only-if-cached") asks.only_if_cached = true;
    if (d.name == "max-age") set(asks.max_age, d);
    if (d.name == "min-fresh") set(asks.min_fresh, d);
    if (d.name == "max-stale" && d.value) set(asks.max_stale, d);
    if (d.name == "max-stale" && !d.value) asks.any_stale = true;
  }
  return asks;
}

std::int64_t Stored::date() const {
  return date_seconds(first(response.fields, "Date")).value_or(response_time / 1000);
}

// §4.2.3. The apparent age is counted in whole seconds, as Date is (docs/caching.md).
std::int64_t Stored::age(std::int64_t now) const {
  const std::int64_t apparent = std::max<std::int64_t>(0, response_time / 1000 - date()) * 1000;
  const std::vector<std::string> values = members(age_field);
  const std::int64_t value = values.empty() ? 0 : number(values.front()).value_or(0);
  const std::int64_t corrected = value * 1000 + response_time - request_time;
  return std::max(apparent, corrected) + std::max<std::int64_t>(0, now - response_time);
}

// §4.2.1; an Expires that is no date is past (§5.3).
std::optional<std::int64_t> Stored::explicit_lifetime() const {
  const Says author = says();
  if (author.s_maxage) return author.s_maxage;
  if (author.max_age) return author.max_age;
  if (author.targeted || !has(response.fields, "Expires")) return std::nullopt;
  const auto expires = date_seconds(first(response.fields, "Expires"));
  return expires ? std::max<std::int64_t>(0, *expires - date()) : 0;
}

std::int64_t Stored::lifetime() const {
  std::int64_t seconds = 0;
  if (const auto given = explicit_lifetime()) {
    seconds = mode == Mode::choosy && says().repeated ? 0 : *given;
  } else {
    // §4.2.2: a tenth of the time since the last change. The bounds are this cache's.
    if (const auto modified = date_seconds(first(response.fields, "Last-Modified")))
      seconds = std::max<std::int64_t>(0, date() - *modified) / 10;
    if (mode == Mode::coralized) {
      seconds = std::clamp<std::int64_t>(seconds, 5 * 60, 12 * 3600);
    } else {
      seconds = std::clamp<std::int64_t>(seconds, mode == Mode::choosy ? 30 : 0, kDay);
    }
  }
  if (mode == Mode::coralized) {
    if (response.status >= 400) seconds = std::min<std::int64_t>(seconds, 60);
    if (response.status == 301 || response.status == 308 || until_close)
      seconds = std::min<std::int64_t>(seconds, 300);
  }
  return std::min(seconds * 1000, lifetime_max.value_or(seconds * 1000));
}

// §4.2.4, RFC 5861 §4: never where the author forbids it; as long as he said; else a day, but not beside
// s-maxage (§5.2.2.10) and not of an error.
std::int64_t Stored::error_window(bool answered) const {
  const Says author = says();
  if (author.no_cache || author.must_revalidate || author.proxy_revalidate) return 0;
  if (mode == Mode::choosy && author.s_maxage) return 0;
  if (author.if_error) return *author.if_error * 1000;
  if (author.s_maxage || response.status >= 400) return 0;
  if (mode == Mode::choosy) return 40'000;
  return answered && mode == Mode::site ? 0 : kDay * 1000;
}

std::int64_t Stored::revalidate_window() const {
  const Says author = says();
  if (author.no_cache || author.must_revalidate || author.proxy_revalidate) return 0;
  if (mode == Mode::choosy && author.s_maxage) return 0;
  return author.while_revalidate.value_or(0) * 1000;
}

bool Stored::may_cover(std::int64_t now, bool answered) const {
  if (says().no_cache) return false;
  if (ttl(now) > 0) return true;
  const std::int64_t window = error_window(answered);
  return window > 0 && -ttl(now) <= window;
}

Fields end_to_end(const Fields& fields) {
  const std::vector<std::string> named = members(lower(joined(fields, "Connection")));
  Fields out;
  for (const auto& field : fields) {
    const std::string name = lower(field.first);
    if (is_hop_by_hop(name) || is_one_of(name, named)) continue;
    if (name == "age" || name == "content-length") continue;
    out.push_back(field);
  }
  return out;
}

Fields forwarded(const Fields& fields, std::int64_t received, Mode mode) {
  Fields out = end_to_end(fields);
  if (!has(out, "Date")) out.emplace_back("Date", date_text(received / 1000));
  if (mode != Mode::coralized) return out;
  // Many sites share a name there.
  std::erase_if(out, [](const auto& field) {
    return is_one_of(lower(field.first), {"set-cookie", "clear-site-data", "x-content-type-options"});
  });
  out.emplace_back("X-Content-Type-Options", "nosniff");
  return out;
}

Fields kept(const Fields& all, const Says& says, Mode mode) {
  Fields out = all;
  std::erase_if(out, [&](const auto& field) {
    const std::string name = lower(field.first);
    return is_one_of(name, says.no_cache_fields) || is_one_of(name, says.private_fields) ||
           (mode != Mode::site && name == "set-cookie");
  });
  return out;
}

// `fields`: all those that came, also such as may not be kept.
bool may_store(const Request& request, const Stored& stored, const Fields& fields) {
  const bool site = stored.mode != Mode::coralized;
  const int status = stored.response.status;
  const Says says = response_says(fields);
  if (request.method != "GET" || status < 200 || status == 206 || status == 304) return false;
  if (!site && !(status == 200 || status == 301 || status == 308 || status == 404 || status == 410))
    return false;
  if (stored.mode == Mode::site && request_asks(request.fields).no_store) return false;
  const bool understood = status != 299;  // of those that the histories have
  if (says.must_understand ? !understood : says.no_store) return false;
  if (says.is_private || (!site && !says.private_fields.empty())) return false;
  const std::vector<std::string> names = members(joined(fields, "Vary"));
  if (is_one_of("*", names)) return false;
  if (site && has(request.fields, "Authorization") && !says.is_public && !says.must_revalidate &&
      !says.s_maxage)
    return false;  // §3.5
  const bool is_given = stored.explicit_lifetime().has_value();
  const bool withheld =
      is_one_of("set-cookie", says.no_cache_fields) || is_one_of("set-cookie", says.private_fields);
  // A cookie goes to others only where the author said for how long (docs/caching.md; §7.3 leaves it open).
  const bool may_set = stored.mode == Mode::choosy || (site && is_given);
  if (has(fields, "Set-Cookie") && !withheld && !may_set) return false;
  if (!is_given && !is_heuristically_cacheable(status) && !says.is_public && !says.no_cache) return false;
  // What could never be used again without being fetched anew.
  const bool usable = !says.no_cache && stored.lifetime() > stored.age(stored.response_time);
  const bool validator = !first(fields, "ETag").empty() || has(fields, "Last-Modified");
  return usable || validator || stored.revalidate_window() > 0 || stored.error_window(false) > 0;
}

std::optional<Stored> to_store(const Request& request, const OriginExchange& exchange, Mode mode) {
  Stored stored;
  stored.mode = mode;
  stored.response = exchange.response;
  stored.request_time = exchange.asked;
  stored.response_time = exchange.answered;
  stored.age_field = joined(exchange.response.fields, "Age");
  stored.until_close = exchange.until_close;
  if (!may_store(request, stored, exchange.response.fields)) return std::nullopt;
  const Fields all = forwarded(exchange.response.fields, exchange.answered, mode);
  stored.response.fields = kept(all, response_says(exchange.response.fields), mode);
  return stored;
}

}  // namespace reef::proxy::model
