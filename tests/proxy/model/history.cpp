#include "history.h"

#include <algorithm>
#include <random>

#include "answers.h"

namespace reef::proxy::model {
namespace {

constexpr std::int64_t kLongAgo = 1'799'000'000;

// Draws; without std's distributions, which differ from one library to the next.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool percent(std::size_t chance) { return below(100) < chance; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

const std::vector<std::string> kPaths = {"/a", "/b", "/a?q=1"};
const std::vector<std::string> kEtags = {"\"v1\"", "\"v1\"", "\"v2\"", "W/\"v1\"", "W/\"v2\"", "odd"};

std::string cache_control(Dice& dice) {
  static const std::vector<std::string> kSaid = {"max-age=60",
                                                 "max-age=60",
                                                 "max-age=5",
                                                 "max-age=0",
                                                 "s-maxage=30",
                                                 "s-maxage=0",
                                                 "no-store",
                                                 "no-cache",
                                                 "private",
                                                 "public",
                                                 "must-revalidate",
                                                 "proxy-revalidate",
                                                 "must-understand",
                                                 "immutable",
                                                 "max-age=x",
                                                 "max-age=\"20\"",
                                                 "max-age=-1",
                                                 "max-age = 60",
                                                 "MAX-AGE=10",
                                                 "max-age=99999999999999999999",
                                                 "no-cache=\"X-A\"",
                                                 "private=\"X-A\"",
                                                 "no-cache=\"X-A, Set-Cookie\"",
                                                 "unknown=\"max-age=9, no-store\"",
                                                 "stale-while-revalidate=20",
                                                 "stale-while-revalidate=20",
                                                 "stale-if-error=30",
                                                 "stale-if-error=0",
                                                 "stale-if-error=30"};
  static const std::vector<std::string> kUsual = {"max-age=60",
                                                  "max-age=20",
                                                  "max-age=10, stale-while-revalidate=20",
                                                  "max-age=30, stale-if-error=60",
                                                  "max-age=300",
                                                  "s-maxage=30, max-age=0",
                                                  "max-age=15, must-revalidate"};
  if (dice.percent(50)) return dice.of(kUsual);
  std::string out = dice.of(kSaid);
  if (dice.percent(60)) out += (dice.percent(50) ? ", " : " ,,") + dice.of(kSaid);
  if (dice.percent(30)) out += "," + dice.of(kSaid);
  return out;
}

std::string targeted(Dice& dice) {
  static const std::vector<std::string> kSaid = {
      "max-age=40",  "no-store",   "max-age=\"40\"",
      "max-age=1.5", "Max-Age=40", "max-age=0, must-revalidate",
      "private",     "no-cache",   "max-age=40, x=tok, y=\"a, b\"",
      "max-age=40,", "public",     "max-age=10, stale-if-error=60"};
  return dice.of(kSaid);
}

std::int64_t some_time(Dice& dice) {
  static const std::vector<std::int64_t> kSpans = {
      1,      400,    1'000,   4'600,   4'600,     9'998,      11'000,     12'000,     19'999,
      20'000, 29'998, 9'999,   10'000,  15'000,    25'000,     31'000,     59'999,     60'000,
      61'000, 85'000, 300'000, 301'000, 3'600'000, 43'200'000, 86'460'000, 100'000'000};
  return dice.of(kSpans);
}

Resource some_resource(Dice& dice, const History& history, int number) {
  using End = OriginExchange::End;
  const Mode mode = history.mode;
  Resource out;
  if (dice.percent(12)) out.end = dice.of<End>({End::closed, End::closed, End::garbage, End::truncated});
  if (history.has_silence && dice.percent(12)) out.end = End::silent;
  static const std::vector<int> kStatuses = {203, 204, 299, 301, 302, 404, 404, 410,
                                             429, 500, 502, 503, 503, 504, 206};
  if (dice.percent(25)) out.status = dice.of(kStatuses);
  out.version = "version " + std::to_string(number);
  if (dice.percent(65)) out.etag = dice.of(kEtags);
  if (dice.percent(45)) out.modified = kLongAgo + static_cast<std::int64_t>(dice.below(3)) * 300'000;
  out.answers_conditions = dice.percent(85);
  out.brief_304 = dice.percent(30);
  if (dice.percent(25))
    out.date = dice.of<Resource::Date>({Resource::Date::absent, Resource::Date::past, Resource::Date::past,
                                        Resource::Date::future, Resource::Date::invalid});
  if (dice.percent(25))
    out.expires = dice.of<Resource::Expires>({Resource::Expires::later, Resource::Expires::later,
                                              Resource::Expires::past, Resource::Expires::same,
                                              Resource::Expires::invalid});
  if (dice.percent(15))
    out.framing = dice.percent(70) ? Resource::Framing::chunked : Resource::Framing::close;
  if (dice.percent(15)) out.delay = dice.of<std::int64_t>({1, 700, 2'000, 30'000});
  Fields& fields = out.fields;
  fields.emplace_back("X-Number", std::to_string(number));
  if (dice.percent(70)) fields.emplace_back("Cache-Control", cache_control(dice));
  if (dice.percent(8)) fields.emplace_back("cache-control", cache_control(dice));
  if (dice.percent(8)) fields.emplace_back("CDN-Cache-Control", targeted(dice));
  if (dice.percent(10))
    fields.emplace_back("Age", dice.of<std::string>({"0", "5", "59", "100000", "x", "7, 8"}));
  if (dice.percent(20))
    fields.emplace_back("Vary", dice.of<std::string>({"X-Kind", "Accept-Language", "X-Kind, Accept-Language",
                                                      "Accept-Language,X-Kind", "x-kind", "*", "X-Kind, *"}));
  if (dice.percent(8)) fields.emplace_back("Set-Cookie", "id=" + std::to_string(number));
  if (dice.percent(15)) fields.emplace_back("X-A", std::to_string(number));
  if (dice.percent(5)) {
    fields.emplace_back("Connection", "X-Hop");
    fields.emplace_back("X-Hop", "1");
  }
  if (mode != Mode::coralized && dice.percent(10))
    fields.emplace_back(
        dice.of<std::string>({"Location", "Content-Location"}),
        dice.of<std::string>({"/b", "a", "http://www.small.org/a", "http://www.other.org/a"}));
  return out;
}

Request some_request(Dice& dice, Mode mode) {
  static const std::vector<std::string> kAsked = {"no-cache",
                                                  "no-cache",
                                                  "no-store",
                                                  "max-age=0",
                                                  "max-age=10",
                                                  "max-age=30",
                                                  "min-fresh=20",
                                                  "max-stale",
                                                  "max-stale=20",
                                                  "only-if-cached",
                                                  "only-if-cached",
                                                  "only-if-cached, max-stale",
                                                  "max-age=0, max-stale",
                                                  "unknown"};
  Request out;
  out.path = dice.percent(60) ? kPaths.front() : dice.of(kPaths);
  if (dice.percent(12)) out.method = "HEAD";
  const std::size_t other = mode == Mode::coralized ? 1 : 4;
  if (dice.percent(other)) out.method = dice.of<std::string>({"POST", "DELETE", "PUT", "FROB"});
  Fields& fields = out.fields;
  if (dice.percent(30)) fields.emplace_back("Cache-Control", dice.of(kAsked));
  if (dice.percent(4)) fields.emplace_back("Pragma", "no-cache");
  if (dice.percent(25)) fields.emplace_back("X-Kind", dice.of<std::string>({"1", "2", "1,2", "1 , 2"}));
  if (dice.percent(25))
    fields.emplace_back("Accept-Language", dice.of<std::string>({"en", "EN", "de,en", "en, de"}));
  if (dice.percent(5)) fields.emplace_back("Authorization", "Basic eDp5");
  if (dice.percent(5)) fields.emplace_back("Cookie", "id=1");
  if (dice.percent(8))
    fields.emplace_back("If-None-Match", dice.of(kEtags) + (dice.percent(20) ? ", \"v2\"" : ""));
  if (dice.percent(2)) fields.emplace_back("If-None-Match", "*");
  if (dice.percent(8))
    fields.emplace_back("If-Modified-Since",
                        date_text(kLongAgo + static_cast<std::int64_t>(dice.below(3)) * 300'000));
  if (dice.percent(10)) {
    fields.emplace_back("Range", dice.of<std::string>({"bytes=0-3", "bytes=2-", "bytes=-4", "bytes=500-",
                                                       "bytes=5-2", "lines=1-2", "bytes=0-999", "bytes=-0"}));
    if (dice.percent(40))
      fields.emplace_back("If-Range", dice.percent(70) ? dice.of(kEtags) : date_text(kLongAgo));
  }
  if (dice.percent(2))
    fields.emplace_back(dice.percent(50) ? "If-Match" : "If-Unmodified-Since",
                        dice.percent(50) ? "\"v1\"" : date_text(kLongAgo));
  return out;
}

std::string shown(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += " | " + name + ": " + value;
  return out;
}

}  // namespace

History random_history(std::uint64_t seed, std::size_t steps) {
  Dice dice(seed * 0x9e3779b97f4a7c15ull + 1);
  History out;
  out.seed = seed;
  out.mode = dice.of<Mode>(
      {Mode::site, Mode::site, Mode::site, Mode::site, Mode::choosy, Mode::coralized, Mode::coralized});
  out.has_silence = dice.percent(1);
  int number = 0;
  const auto change = [&](const std::string& path) {
    Step step;
    step.kind = Step::Kind::change;
    step.path = path;
    step.resource = some_resource(dice, out, ++number);
    out.steps.push_back(std::move(step));
  };
  for (const std::string& path : kPaths) change(path);
  while (out.steps.size() < steps) {
    const std::size_t roll = dice.below(100);
    Step step;
    if (roll < 22) {
      step.wait = some_time(dice);
      out.steps.push_back(std::move(step));
    } else if (roll < 34) {
      change(dice.percent(60) ? kPaths.front() : dice.of(kPaths));
    } else {
      step.kind = Step::Kind::ask;
      step.request = some_request(dice, out.mode);
      out.steps.push_back(std::move(step));
    }
  }
  return out;
}

std::string to_text(const Step& step) {
  if (step.kind == Step::Kind::wait) return "wait " + std::to_string(step.wait) + " ms";
  if (step.kind == Step::Kind::ask)
    return "ask " + step.request.method + " " + step.request.path + shown(step.request.fields);
  const Resource& r = step.resource;
  const char* ends[] = {"", " and closes without a byte", " and sends what is no HTTP", " and breaks off",
                        " and stays silent"};
  const char* dates[] = {"now", "none", "30 s ago", "in 30 s", "invalid"};
  const char* expires[] = {"none", "Date + 60 s", "Date - 10 s", "Date", "0"};
  const char* framings[] = {"length", "chunked", "close"};
  std::string out =
      "origin " + step.path + " answers " + std::to_string(r.status) + ends[static_cast<int>(r.end)];
  out += ", " + r.version + ", ETag " + (r.etag.empty() ? "none" : r.etag) + ", Last-Modified " +
         (r.modified == 0 ? "none" : date_text(r.modified));
  out += std::string(", Date ") + dates[static_cast<int>(r.date)] + ", Expires " +
         expires[static_cast<int>(r.expires)] + ", framed by " + framings[static_cast<int>(r.framing)];
  if (!r.answers_conditions) out += ", no 304";
  if (r.brief_304) out += ", a 304 with Date only";
  if (r.delay > 0) out += ", after " + std::to_string(r.delay) + " ms";
  return out + shown(r.fields);
}

std::string to_text(const History& history) {
  std::string out = "seed " + std::to_string(history.seed) +
                    (history.mode == Mode::site     ? ", a site of its own name\n"
                     : history.mode == Mode::choosy ? ", a site with settings of its own\n"
                                                    : ", under the suffix\n");
  for (const Step& step : history.steps) out += "  " + to_text(step) + "\n";
  return out;
}

Response answer_of(const Resource& resource, const Request& request, std::int64_t now) {
  Response out;
  out.status = resource.status;
  out.whole = true;
  Fields& fields = out.fields;
  const std::int64_t seconds = now / 1000;
  std::int64_t date = seconds;
  if (resource.date == Resource::Date::past) date -= 30;
  if (resource.date == Resource::Date::future) date += 30;
  const bool bad_date = resource.date == Resource::Date::invalid;
  if (resource.date != Resource::Date::absent)
    fields.emplace_back("Date", bad_date ? "today" : date_text(date));
  if (!resource.etag.empty()) fields.emplace_back("ETag", resource.etag);
  if (resource.modified != 0) fields.emplace_back("Last-Modified", date_text(resource.modified));
  if (resource.expires != Resource::Expires::absent) {
    const std::int64_t offset = resource.expires == Resource::Expires::later  ? 60
                                : resource.expires == Resource::Expires::past ? -10
                                                                              : 0;
    fields.emplace_back("Expires",
                        resource.expires == Resource::Expires::invalid ? "0" : date_text(date + offset));
  }
  fields.insert(fields.end(), resource.fields.begin(), resource.fields.end());
  // A body of this very resource and of what the request chose of it.
  out.body = request.path + " in " + resource.version + " for " + joined(request.fields, "X-Kind") + "/" +
             joined(request.fields, "Accept-Language");
  const bool readable = request.method == "GET" || request.method == "HEAD";
  if (resource.answers_conditions && resource.status == 200 && readable) {
    Request conditions = request;
    std::erase_if(conditions.fields, [](const auto& field) { return lower(field.first) == "range"; });
    if (evaluate(conditions, {200, fields, out.body, now}).status == 304) {
      out.status = 304;
      out.body.clear();
      if (resource.brief_304)
        std::erase_if(fields, [](const auto& field) { return lower(field.first) != "date"; });
      return out;
    }
  }
  const bool no_body = resource.status == 204;
  if (no_body) out.body.clear();
  if (resource.status == 206)
    fields.emplace_back("Content-Range", "bytes 0-" + std::to_string(out.body.size() - 1) + "/1000");
  if (!no_body && resource.framing == Resource::Framing::length)
    fields.emplace_back("Content-Length", std::to_string(out.body.size()));
  if (request.method == "HEAD") out.body.clear();
  return out;
}

}  // namespace reef::proxy::model
