// What may be stored, for how long, and with which fields (RFC 9111 §3, §4.2, §4.2.3).
//
// Pure; any thread. The times are the caller's. Whether the body was complete is the caller's to see: an
// incomplete one is not stored whatever is said here (RFC 9111 §3.3).
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "base/time.h"
#include "proxy/http/head.h"
#include "proxy/rules/directives.h"
#include "proxy/rules/options.h"
#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

// When, and over what, a response came.
struct Receipt {
  WallTime request_time{};   // when the request for it was sent
  WallTime response_time{};  // when its head arrived
  bool close_delimited = false;
};

// The policy of the answer to `request`, or why it is passed on without being stored. `request` is what was
// sent to the origin: in Coralized mode that has neither Authorization nor Cookie.
[[nodiscard]] tl::expected<CachePolicy, NotStored> storable(const http::RequestHead& request,
                                                            const http::ResponseHead& response,
                                                            const Receipt& receipt, const Options& options);

// The lifetime that the author gave (§4.2.1): s-maxage, then max-age, then Expires - Date; nullopt: none.
// Never negative. `date` is the response's Date in Unix seconds, or the time of receipt.
[[nodiscard]] std::optional<seconds> explicit_lifetime(const http::ResponseHead& response,
                                                       const ResponseDirectives& directives,
                                                       std::int64_t date);

// What ages and conditions are reckoned from, of any response: the times of a policy, without lifetime or
// flags.
[[nodiscard]] CachePolicy times_of(const http::ResponseHead& response, const Receipt& receipt);

// corrected_initial_age (§4.2.3) in milliseconds, never negative.
[[nodiscard]] milliseconds corrected_initial_age(const http::ResponseHead& response, const Receipt& receipt);

// Heuristically cacheable (RFC 9110 §15.1).
[[nodiscard]] bool is_heuristically_cacheable(int status);

// Appends the fields of an answer that goes to one client and is not stored: all end-to-end ones, those of
// no-cache="...", private="..." and Set-Cookie too, as far as the mode lets them out. Otherwise as below.
void append_forwarded_fields(std::string& out, const http::ResponseHead& response, WallTime response_time,
                             const Options& options);

// Appends the fields to keep and send, as "Name: value\r\n" lines: end-to-end ones in their order, a Date
// where the origin sent none; without Age and Content-Length (made anew for each answer), without the fields
// of no-cache="..." and private="...", without what the mode does not let out (§3.1). Via and Cache-Status of
// caches on the way stay; ours come as lines behind them.
void append_stored_fields(std::string& out, const http::ResponseHead& response, WallTime response_time,
                          const Options& options);
// The same where other directives than the message's own are in force: a 304 that updates what is stored.
void append_stored_fields(std::string& out, const http::ResponseHead& response,
                          const ResponseDirectives& directives, WallTime response_time,
                          const Options& options);

// Whether append_stored_fields() leaves out what append_forwarded_fields() does not: the client whose request
// the response answers may have it (§5.2.2.4 and §5.2.2.7 speak of storing and of further requests).
[[nodiscard]] bool withholds_fields(const http::ResponseHead& response, const Options& options);

// Whether no-cache="..." or private="..." names the field: it is of no use to another request (§5.2.2.4,
// §5.2.2.7).
[[nodiscard]] bool is_withheld(std::string_view name, const ResponseDirectives& directives);

// Whether the answer to a fetch of ours that may not be stored ends what is stored (§3, §4.3.3): the origin
// has said something newer. Not where it failed, or refused for the number of requests (429): that says
// nothing about the resource.
[[nodiscard]] bool ends_stored(int status);

// A 2xx or 3xx answer to a method that is not known to be safe makes what is stored for its target invalid
// (§4.4).
[[nodiscard]] bool invalidates(std::string_view method, int status);

}  // namespace reef::proxy::rules
