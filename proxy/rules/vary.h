// Several variants under one URL (RFC 9111 §4.1; RFC 9110 §12.5.5). Pure; any thread.
//
// The store keeps objects by one key text. A response without Vary is kept under its normalized URL. One with
// Vary is kept under its *variant key*: URL, generation, and the values that the request had for the named
// fields; under the plain URL stands a *variant index* instead, an object without body whose policy has
// kVariantIndex and whose only stored field is the Vary of the most recent response, which decides for all.
// So a hit on a varying object costs two look-ups, any other one. The generation is the index's own time in
// ms: removing the index makes every variant of the URL unreachable at once (invalidation), and they age out
// of the store.
//
//   object = find(url)
//   if object is an index:  variant_key(key, url, object's Vary value, generation_of(policy), request);
//   find(key)
//                           nothing there: a miss with Forward::vary_miss
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/head.h"
#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

// Appends the members of all Vary lines, in lower case, sorted, without repetition, joined with ", ". Empty:
// no Vary.
void append_vary_names(std::string& out, http::FieldsView response_fields);

// The policy of the variant index that is made at `now`.
[[nodiscard]] CachePolicy variant_index(WallTime now);
[[nodiscard]] std::int64_t generation_of(const CachePolicy& index);

// Appends the key text: it begins with the URL, and holds line feeds, so it is nobody's URL. `vary_names` is
// a list as from append_vary_names(). Values are compared after joining lines and dropping blanks around
// commas; Accept-Language also without regard to case and order. Of Accept-Encoding counts which codings are
// acceptable; in Coralized mode, where the origin is sent nothing else, what normalized_accept_encoding()
// makes of it. An absent field matches only an absent one. In Coralized mode a field that never reaches the
// origin is absent from every request.
void append_variant_key(std::string& out, std::string_view url, std::string_view vary_names,
                        std::int64_t generation, http::FieldsView request_fields, Mode mode);

// The codings among br, gzip and zstd that the request accepts, in that order: what goes to the origin in
// Coralized mode instead of the client's own value, so that a handful of variants exist and not one per
// browser. Empty: none of them.
[[nodiscard]] std::string_view normalized_accept_encoding(http::FieldsView request_fields) noexcept;

}  // namespace reef::proxy::rules
