// What an operator (or a site) may decide about caching where the RFCs leave a choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

// What happens to an answer that sets cookies (RFC 9111 §7.3).
enum class SetCookie : std::uint8_t {
  replay,  // stored with its cookies, where the author gave an explicit lifetime; else not stored
  strip,   // stored without them
  refuse,  // not stored
};

// Of a lifetime that is given twice (RFC 9111 §4.2.1).
enum class Repeated : std::uint8_t {
  first,  // the first counts
  stale,  // the response is stale at once
};

// A Range of what is not stored (RFC 9110 §14.2).
enum class RangeOnMiss : std::uint8_t {
  whole,  // the whole is fetched and stored, the client gets its part
  pass,   // the origin answers the range, for this client alone; nothing is stored. Site mode only
};

struct Options {
  Mode mode = Mode::coralized;
  SetCookie set_cookie = SetCookie::refuse;
  Repeated repeated = Repeated::first;
  RangeOnMiss range_on_miss = RangeOnMiss::whole;
  bool newer_ends_stored = true;  // an answer that may not be stored ends what was stored before it (§3)

  // Heuristic freshness (RFC 9111 §4.2.2): that share of the time since Last-Modified, within these bounds.
  int heuristic_percent = 10;
  seconds heuristic_min{300};    // also the lifetime of what has no Last-Modified at all; 0: none
  seconds heuristic_max{43200};  // 12 h

  // Coralized mode: how long errors and redirects live at most, and answers whose end nothing but a closed
  // connection marks.
  seconds negative_lifetime_max{60};   // 404, 410
  seconds redirect_lifetime_max{300};  // 301, 308
  seconds close_delimited_lifetime_max{300};

  seconds stale_if_error_default{86400};  // where the author said nothing; 0: none
  bool stale_beside_s_maxage =
      true;  // the author's windows count beside s-maxage too (§5.2.2.10 read strictly: no)
  bool stale_default_covers_5xx = true;  // the default window also hides 500, 502, 503, 504, not only silence

  // Requests that ask for validation (no-cache, max-age, min-fresh, no-store, Pragma) count only against a
  // response of at least this age: under a flash crowd somebody always presses reload. only-if-cached always
  // counts.
  bool honour_request_directives = true;
  milliseconds reload_age_min{10000};

  std::size_t vary_names_max = 8;  // more names in one Vary: not stored
  std::size_t variants_max = 64;   // kept of one URL; the one that was fetched longest ago goes first

  // RFC 9213 §2.1, the first that is usable decides. An operator's own comes in front.
  std::vector<std::string> targeted_fields = {"CDN-Cache-Control"};

  // Somebody else's site under our suffix (the defaults above).
  static Options coralized() { return {}; }
  // A site that chose this node: RFC 9111 as it stands, no lifetime that its author did not give.
  static Options site() {
    Options options;
    options.mode = Mode::site;
    options.set_cookie = SetCookie::replay;
    options.heuristic_min = seconds{0};
    options.heuristic_max = seconds{86400};
    options.stale_default_covers_5xx = false;
    options.reload_age_min = milliseconds{0};
    return options;
  }
};

}  // namespace reef::proxy::rules
