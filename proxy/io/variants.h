// The variants of one URL that are kept (RFC 9111 §4.1): the index under the plain URL (proxy/rules/vary.h)
// lists them, so that they are bounded and the oldest go first, also after a restart. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/store/object.h"

namespace reef::proxy {

// The stored fields of an index: `Vary: <names>` first, as a hit reads only that, then `Variants:` with the
// hashes of the variants' keys, oldest first.
[[nodiscard]] std::string variant_index_fields(std::string_view vary_names,
                                               const std::vector<UrlHash>& variants);
// Of an index's stored fields; what is no hash is left out.
[[nodiscard]] std::vector<UrlHash> variants_in(std::string_view index_fields);

// All that is kept of a URL, given what is stored under it (null: nothing): none where that is no index.
[[nodiscard]] std::vector<UrlHash> variants_of(const Object* stored);

struct VariantsKept {
  std::vector<UrlHash> kept;  // oldest first; `added` is the last
  std::vector<UrlHash> gone;  // out of reach or over the bound: to be forgotten
};
// What becomes of the variants in `index` (null: there is none) when one is added, or replaced, under an
// index of this generation. `variants_max`: at least 1.
[[nodiscard]] VariantsKept with_variant(const Object* index, std::int64_t generation, const UrlHash& added,
                                        std::size_t variants_max);

}  // namespace reef::proxy
