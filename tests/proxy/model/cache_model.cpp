#include "cache_model.h"

#include <algorithm>
#include <stdexcept>

#include "answers.h"

namespace reef::proxy::model {
namespace {

using End = OriginExchange::End;

struct Difference : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw Difference(otherwise);
}

std::string number(std::int64_t value) { return std::to_string(value); }

bool is_readable(const Request& request) { return request.method == "GET" || request.method == "HEAD"; }

bool is_lost(End end) { return end == End::closed || end == End::garbage || end == End::silent; }

bool is_failure(int status) { return status == 500 || status == 502 || status == 503 || status == 504; }

const std::vector<std::string> kConditions = {"if-none-match", "if-modified-since", "if-range", "range"};

bool is_condition(const std::string& name) {
  return std::find(kConditions.begin(), kConditions.end(), lower(name)) != kConditions.end();
}

bool is_validator(const std::string& name) {
  return lower(name) == "if-none-match" || lower(name) == "if-modified-since";
}

// Ours, or made anew for each message.
bool is_made_here(const std::string& name) {
  const std::string text = lower(name);
  return text == "via" || text == "cache-status" || text == "age" || text == "content-length" ||
         text == "connection" || text == "transfer-encoding" || text == "keep-alive";
}

Fields without(Fields fields, bool (*is_out)(const std::string&)) {
  std::erase_if(fields, [&](const auto& field) { return is_out(field.first); });
  return fields;
}

std::string sorted_text(Fields fields) {
  for (auto& field : fields) field.first = lower(field.first);
  std::stable_sort(fields.begin(), fields.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out;
  for (const auto& [name, value] : fields) out += "      " + name + ": " + value + "\n";
  return out;
}

std::vector<std::string> vary_of(const Fields& fields) {
  std::vector<std::string> names = members(lower(joined(fields, "Vary")));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void require_fields(const Fields& wanted, const Fields& seen, const std::string& of) {
  const std::string a = sorted_text(wanted), b = sorted_text(seen);
  require(a == b, "the fields of " + of + " are\n" + b + "    and should be\n" + a);
}

}  // namespace

std::optional<std::string> CacheModel::judge(const Request& request, const Observed& seen) {
  try {
    judge_all(request, seen);
  } catch (const Difference& difference) {
    return difference.what();
  }
  return std::nullopt;
}

// --- the decision (RFC 9111 §4)

void CacheModel::judge_all(const Request& request, const Observed& seen) {
  const Asks asks = request_asks(request.fields);
  const bool site = mode_ != Mode::coralized;
  if (!is_readable(request)) {
    if (!site) return judge_refused(seen, 405);
    return judge_alone(request, seen, nullptr);
  }
  // §4.3.2: not a cache's to judge.
  if (site && (has(request.fields, "If-Match") || has(request.fields, "If-Unmodified-Since"))) {
    if (asks.only_if_cached) return judge_refused(seen, 504);
    return judge_alone(request, seen, nullptr);
  }
  Stored* stored = select(request);
  // The same answer for everybody: no client decides for others what is stored (docs/caching.md).
  const bool own_fetch = request.method == "HEAD" || (mode_ == Mode::site && asks.no_store) ||
                         (site && has(request.fields, "Authorization")) ||
                         (mode_ == Mode::choosy && stored == nullptr && has(request.fields, "Range"));
  const auto ask_origin = [&](Stored* compared) {
    if (asks.only_if_cached) return judge_refused(seen, 504);
    if (own_fetch) return judge_alone(request, seen, compared);
    judge_shared(request, seen, 0, &seen.answer);
  };
  if (stored == nullptr) return ask_origin(nullptr);

  const Says says = stored->says();
  const std::int64_t age = stored->age(seen.asked), ttl = stored->ttl(seen.asked);
  if (mode_ == Mode::site && asks.no_store) return ask_origin(stored);
  if (says.no_cache) return ask_origin(stored);
  // §5.2.1; under the suffix only of what is 10 s old.
  if (mode_ == Mode::site || (mode_ == Mode::coralized && age >= 10'000)) {
    const bool reload = asks.max_age && *asks.max_age == 0;
    const bool immutable = says.immutable && ttl > 0;  // RFC 8246 §2
    if (asks.no_cache) return ask_origin(stored);
    if (reload && !immutable) return ask_origin(stored);
    if (asks.max_age && !reload && age > *asks.max_age * 1000) return ask_origin(stored);
    if (asks.min_fresh && ttl < *asks.min_fresh * 1000) return ask_origin(stored);
  }
  const auto from_store = [&](const char* outcome) {
    check_from_store(request, *stored, seen.asked, seen.answer);
    saw(outcome);
  };
  if (ttl > 0) {
    require(seen.exchanges.empty(), "the origin was asked for what is fresh");
    return from_store("fresh");
  }
  if (says.must_revalidate || says.proxy_revalidate) return ask_origin(stored);
  if (const std::int64_t window = stored->revalidate_window(); window > 0 && -ttl <= window) {
    from_store("stale while revalidate");
    // RFC 5861 §3: validated behind. Who wants no word with the origin need not cause one.
    if (seen.exchanges.empty() && asks.only_if_cached) return;
    Request behind = request;
    behind.method = "GET";
    return judge_shared(behind, seen, 0, nullptr);
  }
  const bool takes_stale = asks.any_stale || (asks.max_stale && -ttl <= *asks.max_stale * 1000);
  if (takes_stale && !says.s_maxage && mode_ != Mode::choosy) {
    require(seen.exchanges.empty(), "the origin was asked though the client takes what is stale");
    return from_store("max-stale");
  }
  ask_origin(stored);
}

void CacheModel::judge_refused(const Observed& seen, int status) {
  require(seen.exchanges.empty(), "the origin was asked, " + number(status) + " is due");
  require(seen.answer.status == status,
          "answered " + number(seen.answer.status) + ", due is " + number(status));
  saw(number(status) + " of its own");
}

// --- asking the origin

// The request as it is, its answer for this client alone.
void CacheModel::judge_alone(const Request& request, const Observed& seen, Stored* compared) {
  require(
      seen.exchanges.size() == 1,
      "asked the origin " + number(static_cast<std::int64_t>(seen.exchanges.size())) + " times, once is due");
  const OriginExchange& exchange = seen.exchanges.front();
  check_asked(request, exchange, Conditions::all, nullptr);
  saw("passed");
  const bool is_safe = is_readable(request);
  if (is_lost(exchange.end)) return check_failed(exchange, seen.answer);
  const Response& response = exchange.response;
  if (!is_safe && response.status >= 200 && response.status < 400) invalidate(request, response);
  // §4.3.5.
  if (request.method == "HEAD" && compared != nullptr && response.status == 200) {
    const auto differs = [&](const char* name, const std::string& stored) {
      return has(response.fields, name) && first(response.fields, name) != stored;
    };
    if (differs("ETag", first(compared->response.fields, "ETag")) ||
        differs("Last-Modified", first(compared->response.fields, "Last-Modified")) ||
        differs("Content-Length", number(static_cast<std::int64_t>(compared->response.body.size())))) {
      compared->lifetime_max = std::min(compared->lifetime(), compared->age(exchange.answered));
      saw("contradicted by HEAD");
    }
  }
  judge_fetched(request, seen, exchange, &seen.answer);
}

// For everybody: with our validators where something is stored. `answer`: null where no client waits for it.
void CacheModel::judge_shared(const Request& request, const Observed& seen, std::size_t next,
                              const Response* answer) {
  const bool again = next > 0;  // a 304 about something else came first
  Stored* stored = select(request);
  require(seen.exchanges.size() > next, "the origin was not asked" + std::string(again ? " again" : ""));
  const OriginExchange& exchange = seen.exchanges[next];
  const bool forwards_validators = stored == nullptr && mode_ != Mode::coralized;
  check_asked(request, exchange, forwards_validators ? Conditions::validators : Conditions::none,
              again ? nullptr : stored);
  const bool not_modified = exchange.end == End::answered && exchange.response.status == 304;
  if (not_modified && stored != nullptr && !again) {
    if (is_about(exchange.response, stored->response)) {
      require(seen.exchanges.size() == 1, "asked again behind a 304");
      return judge_not_modified(request, seen, exchange, answer);
    }
    saw("304 about something else");
    return judge_shared(request, seen, 1, answer);
  }
  require(seen.exchanges.size() == next + 1, "the origin was asked once too often");
  if (is_lost(exchange.end)) return judge_failure(request, seen, answer, false);
  const bool conditional = forwards_validators &&
                           (has(request.fields, "If-None-Match") || has(request.fields, "If-Modified-Since"));
  if (not_modified && !conditional) return judge_failure(request, seen, answer, false);
  if (is_failure(exchange.response.status) && stored != nullptr &&
      stored->may_cover(exchange.answered, true)) {
    return judge_failure(request, seen, answer, true);
  }
  // §3, §4.3.3: the newer answer takes its place, or ends it; a failure does neither.
  const int status = exchange.response.status;
  const bool ends = status < 500 && status != 429 && mode_ != Mode::choosy;
  auto fresh = not_modified ? std::nullopt : to_store(request, exchange, mode_);
  if (exchange.end == End::truncated) {
    if (!fresh && ends) drop(request);
  } else if (fresh) {
    put(request, std::move(*fresh));
    saw("stored");
  } else if (!not_modified && ends) {
    drop(request);
  }
  judge_fetched(request, seen, exchange, answer);
}

void CacheModel::judge_fetched(const Request& request, const Observed&, const OriginExchange& exchange,
                               const Response* answer) {
  if (answer == nullptr) return;
  if (exchange.end == End::truncated) {
    require(!(answer->whole && answer->status == exchange.response.status && request.method == "GET" &&
              !has(request.fields, "Range") && !has(request.fields, "If-None-Match") &&
              !has(request.fields, "If-Modified-Since")),
            "a body that broke off looks whole");
    saw("broken off");
    return;
  }
  Stored as_received;
  as_received.mode = mode_;
  as_received.response = exchange.response;
  as_received.request_time = exchange.asked;
  as_received.response_time = exchange.answered;
  as_received.age_field = joined(exchange.response.fields, "Age");
  Whole whole;
  whole.status = exchange.response.status;
  whole.fields = forwarded(exchange.response.fields, exchange.answered, mode_);
  whole.body = exchange.response.body;
  whole.with_age = has(exchange.response.fields, "Age");
  whole.age = as_received.age(exchange.answered);
  whole.received = exchange.answered;
  // The origin had the conditions and judged them; parts of a length that is not known need not be told (RFC
  // 9110 §14.2).
  const bool length_known = !exchange.until_close && has(exchange.response.fields, "Content-Length");
  whole.may_be_whole = mode_ != Mode::coralized || request.method != "GET" || !length_known;
  check_answer(request, whole, *answer);
}

// §4.3.4, §3.2.
void CacheModel::judge_not_modified(const Request& request, const Observed& seen,
                                    const OriginExchange& exchange, const Response* answer) {
  Stored updated = *select(request);
  const Fields news = forwarded(exchange.response.fields, exchange.answered, mode_);
  Fields all;
  for (const auto& field : updated.response.fields) {
    if (!has(news, field.first)) all.push_back(field);
  }
  all.insert(all.end(), news.begin(), news.end());
  const Says says = response_says(all);
  updated.request_time = exchange.asked;
  updated.response_time = exchange.answered;
  updated.age_field = joined(exchange.response.fields, "Age");
  updated.until_close = false;
  updated.lifetime_max.reset();
  updated.response.fields = kept(all, says, mode_);
  Request get = request;
  get.method = "GET";
  // One that now varies by other fields than it was stored by is fetched anew (docs/caching.md).
  const bool keeps = may_store(get, updated, updated.response.fields) &&
                     vary_of(updated.response.fields) == urls_[request.path].vary;
  saw(keeps ? "validated" : "validated, and no longer stored");
  if (answer != nullptr) check_from_store(request, updated, exchange.answered, *answer);
  static_cast<void>(seen);
  if (keeps) {
    put(request, std::move(updated));
  } else {
    drop(request);
  }
}

// §4.2.4, RFC 5861 §4. `answered`: with 500, 502, 503 or 504.
void CacheModel::judge_failure(const Request& request, const Observed& seen, const Response* answer,
                               bool answered) {
  if (answer == nullptr) return;
  const OriginExchange& exchange = seen.exchanges.back();
  const Stored* stored = select(request);
  if (stored != nullptr && stored->may_cover(exchange.answered, answered)) {
    saw("stale for an error");
    return check_from_store(request, *stored, exchange.answered, *answer);
  }
  check_failed(exchange, *answer);
}

// RFC 9110 §15.6.3, §15.6.5.
void CacheModel::check_failed(const OriginExchange& exchange, const Response& answer) {
  const int due = exchange.end == End::silent ? 504 : 502;
  saw("failed with " + number(due));
  require(answer.status == due, "the origin failed and nothing may cover for it: answered " +
                                    number(answer.status) + ", due is " + number(due));
}

// §4.3.1: the request goes on with all its end-to-end fields; of conditions those that are due.
void CacheModel::check_asked(const Request& request, const OriginExchange& exchange, Conditions conditions,
                             const Stored* validated) const {
  require(exchange.request.method == request.method && exchange.request.path == request.path,
          "asked the origin for " + exchange.request.method + " " + exchange.request.path);
  Fields wanted;
  for (const auto& field : end_to_end(request.fields)) {
    const std::string name = lower(field.first);
    if (is_condition(name)) {
      if (conditions == Conditions::all || (conditions == Conditions::validators && is_validator(name)))
        wanted.push_back(field);
      continue;
    }
    // Under the suffix nothing else of a client's reaches an origin.
    if (mode_ == Mode::coralized && name != "accept-language" && name != "accept") continue;
    wanted.push_back(field);
  }
  if (validated != nullptr) {
    const Fields& fields = validated->response.fields;
    if (!first(fields, "ETag").empty()) wanted.emplace_back("If-None-Match", first(fields, "ETag"));
    if (has(fields, "Last-Modified"))
      wanted.emplace_back("If-Modified-Since", first(fields, "Last-Modified"));
  }
  const auto is_ours = [](const std::string& name) {
    const std::string text = lower(name);
    return is_made_here(name) || text == "host" || text == "cdn-loop" || text == "user-agent" ||
           text == "accept-encoding";
  };
  require_fields(without(wanted, is_ours), without(exchange.request.fields, is_ours), "our request");
}

// --- answers

void CacheModel::check_from_store(const Request& request, const Stored& stored, std::int64_t now,
                                  const Response& answer) {
  Whole whole;
  whole.status = stored.response.status;
  whole.fields = stored.response.fields;
  whole.body = stored.response.body;
  whole.with_age = true;
  whole.age = stored.age(now);
  whole.received = stored.response_time;
  check_answer(request, whole, answer);
}

void CacheModel::check_answer(const Request& request, const Whole& whole, const Response& answer) {
  require(answer.status != 0, "there was no answer");
  require(answer.whole, "the answer broke off");
  const Selected selected{whole.status, whole.fields, whole.body, whole.received};
  Due due = evaluate(request, selected);
  if (whole.may_be_whole && answer.status == whole.status) due = {whole.status, whole.body, ""};
  require(answer.status == due.status,
          "answered " + number(answer.status) + ", due is " + number(due.status));
  if (due.status != whole.status) saw("client's " + number(due.status));
  const bool bodyless = request.method == "HEAD" || due.status == 304 || due.status == 204;
  if (due.status != 416) {
    const std::string body = bodyless ? "" : due.body;
    require(answer.body == body, "the body is \"" + answer.body + "\", due is \"" + body + "\"");
  }
  require(first(answer.fields, "Content-Range") ==
              (due.content_range.empty() ? first(whole.fields, "Content-Range") : due.content_range),
          "Content-Range is " + first(answer.fields, "Content-Range"));
  if (due.status != 416 && whole.with_age) {
    const std::string age = number(whole.age / 1000);
    require(joined(answer.fields, "Age") == age,
            "Age is \"" + joined(answer.fields, "Age") + "\", due is " + age);
  } else if (due.status != 416) {
    require(!has(answer.fields, "Age"), "an Age though there was none");
  }
  Fields seen = without(answer.fields, is_made_here);
  std::erase_if(seen, [&](const auto& field) {
    return !due.content_range.empty() && lower(field.first) == "content-range";
  });
  if (due.status == 416) return;
  if (due.status == 304 && whole.status != 304) {
    // RFC 9110 §15.4.5: these if they are there, and nothing that is not.
    for (const char* name : {"ETag", "Date", "Vary", "Cache-Control", "Expires", "Content-Location"}) {
      require(joined(seen, name) == joined(whole.fields, name),
              std::string(name) + " of the 304 is \"" + joined(seen, name) + "\"");
    }
    return;
  }
  require_fields(whole.fields, seen, "the answer");
}

// --- what is stored

// §4.4.
void CacheModel::invalidate(const Request& request, const Response& response) {
  saw("invalidated");
  urls_.erase(request.path);
  for (const char* name : {"Location", "Content-Location"}) {
    std::string value = first(response.fields, name);
    if (value.empty()) continue;
    for (const std::string& own : own_names_) {
      if (value.starts_with(own + "/")) value = value.substr(own.size());
    }
    if (value.find("://") != std::string::npos) continue;  // another site's
    if (!value.starts_with('/')) value = "/" + value;      // all paths here are of one segment
    urls_.erase(value);
  }
}

// What the request has in the fields of Vary, normalized (§4.1): lines joined, no blanks around commas; of
// languages neither case nor order matter.
std::string CacheModel::variant(const Url& url, const Request& request) const {
  std::string out;
  for (const std::string& name : url.vary) {
    // A field that reaches no origin changes no answer.
    const bool counts = mode_ != Mode::coralized || name == "accept-language";
    if (!counts || !has(request.fields, name)) {
      out += "-\n";
      continue;
    }
    std::vector<std::string> values = members(joined(request.fields, name));
    if (name == "accept-language") {
      for (std::string& value : values) value = lower(value);
      std::sort(values.begin(), values.end());
    }
    out += "=";
    for (const std::string& value : values) out += value + ",";
    out += "\n";
  }
  return out;
}

Stored* CacheModel::select(const Request& request) {
  const auto url = urls_.find(request.path);
  if (url == urls_.end()) return nullptr;
  const auto found = url->second.variants.find(variant(url->second, request));
  return found == url->second.variants.end() ? nullptr : &found->second;
}

// The Vary of the most recent response decides: what was told apart by other fields is out of reach.
void CacheModel::put(const Request& request, Stored stored) {
  const std::vector<std::string> vary = vary_of(stored.response.fields);
  Url& url = urls_[request.path];
  if (url.vary != vary) url = {vary, {}};
  url.variants.insert_or_assign(variant(url, request), std::move(stored));
}

void CacheModel::drop(const Request& request) {
  const auto url = urls_.find(request.path);
  if (url != urls_.end()) url->second.variants.erase(variant(url->second, request));
}

}  // namespace reef::proxy::model
