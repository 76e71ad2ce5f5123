// What one response may be used for, read out of its fields afresh each time: RFC 9111 §3, §4.2, §5.2 and
// RFC 9213 in their plainest form. Written from those texts, and apart from the rules that it is compared
// with.
//
// Where they leave a choice, it is the one that docs/caching.md names; it is said so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "message.h"

namespace reef::proxy::model {

// A site of its own name, by RFC 9111 as it stands; one that decides otherwise wherever it may be asked (the
// settings of a site in docs/caching.md); or somebody's site under the suffix, by stricter rules.
enum class Mode : std::uint8_t { site, choosy, coralized };

// What the author says (RFC 9111 §5.2.2), of the field that decides (RFC 9213 §2.2).
struct Says {
  bool no_store = false, no_cache = false, is_private = false, is_public = false;
  bool must_revalidate = false, proxy_revalidate = false, must_understand = false, immutable = false;
  std::optional<std::int64_t> max_age, s_maxage, while_revalidate, if_error;  // seconds
  std::vector<std::string> no_cache_fields, private_fields;                   // in lower case
  bool targeted = false;
  bool repeated = false;  // a lifetime is given twice
};
[[nodiscard]] Says response_says(const Fields& fields);

// What the client asks (RFC 9111 §5.2.1, §5.4).
struct Asks {
  bool no_cache = false, no_store = false, only_if_cached = false, any_stale = false;
  std::optional<std::int64_t> max_age, min_fresh, max_stale;
};
[[nodiscard]] Asks request_asks(const Fields& fields);

struct Stored {
  Response response;                                 // fields as they may be reused, with a Date
  std::int64_t request_time = 0, response_time = 0;  // of the last message that updated it, in ms
  std::string age_field;                             // what that said
  bool until_close = false;
  std::optional<std::int64_t>
      lifetime_max;  // ms: something has said since that it is no longer the current one
  Mode mode = Mode::site;

  [[nodiscard]] Says says() const { return response_says(response.fields); }
  [[nodiscard]] std::int64_t date() const;  // seconds
  [[nodiscard]] std::int64_t age(std::int64_t now) const;
  [[nodiscard]] std::optional<std::int64_t> explicit_lifetime() const;  // seconds
  [[nodiscard]] std::int64_t lifetime() const;
  [[nodiscard]] std::int64_t ttl(std::int64_t now) const { return lifetime() - age(now); }
  // Behind its lifetime, while it is validated (RFC 5861 §3). ms.
  [[nodiscard]] std::int64_t revalidate_window() const;
  // How long behind its lifetime it may cover for an origin that fails; with `answered` for one that says so
  // with 500, 502, 503 or 504. ms.
  [[nodiscard]] std::int64_t error_window(bool answered) const;
  [[nodiscard]] bool may_cover(std::int64_t now, bool answered) const;
};

// The end-to-end fields of a response (RFC 9110 §7.6.1), without those that are made for each answer.
[[nodiscard]] Fields end_to_end(const Fields& fields);
// What goes on to the client that caused the fetch; with a Date (RFC 9110 §6.6.1).
[[nodiscard]] Fields forwarded(const Fields& fields, std::int64_t received, Mode mode);
// What of it may be kept.
[[nodiscard]] Fields kept(const Fields& all, const Says& says, Mode mode);

// The response as it would be stored; nullopt where it may not be (RFC 9111 §3), or where that is of no use.
[[nodiscard]] std::optional<Stored> to_store(const Request& request, const OriginExchange& exchange,
                                             Mode mode);
// The same of a response that has been stored, under fields that changed.
[[nodiscard]] bool may_store(const Request& request, const Stored& stored, const Fields& fields);

}  // namespace reef::proxy::model
