// Asking the origin whether what is stored is still right, and taking in its answer (RFC 9111 §3.2, §4.3).
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/builder.h"
#include "proxy/http/head.h"
#include "proxy/rules/options.h"
#include "proxy/rules/storing.h"

namespace reef::proxy::rules {

// Appends If-None-Match with the stored ETag exactly as it was received (also weak or unquoted) and
// If-Modified-Since with the stored Last-Modified verbatim (§4.3.1). False: there is nothing to validate
// with, a plain fetch it is.
bool append_validators(http::HeadBuilder& builder, std::string_view etag, std::string_view last_modified);

// Fields of a client's request that do not go into a fetch of ours: its own conditions and ranges (§4.3.1).
[[nodiscard]] bool is_client_condition(std::string_view name) noexcept;

// Whether a 304 is about the stored response (§4.3.4): an ETag in it must match the stored one (weakly);
// without ETag a Last-Modified must be the stored one, if there is one; without either it is taken to be.
[[nodiscard]] bool is_about_stored(const http::ResponseHead& not_modified, std::string_view stored_etag,
                                   std::string_view stored_last_modified) noexcept;

// The stored field block after a 304, appended to `out`: each name that the 304 has is replaced by its lines,
// other names stay; Content-Length and the rest of append_stored_fields()'s exclusions never enter. The field
// lists of no-cache and private that are in force afterwards hold for all.
void append_merged_fields(std::string& out, std::string_view stored_fields,
                          const http::ResponseHead& not_modified, WallTime response_time,
                          const Options& options);

// The policy after a 304: that of a 200 (the stored status) with the merged fields, received now. `request`
// is the validating request. An error: the stored response has to go, though this client still gets it.
[[nodiscard]] tl::expected<CachePolicy, NotStored> freshen(const http::RequestHead& request,
                                                           int stored_status, std::string_view merged_fields,
                                                           const http::ResponseHead& not_modified,
                                                           const Receipt& receipt, const Options& options);

// A 200 to a HEAD that contradicts the stored GET makes it stale (§4.3.5).
[[nodiscard]] bool head_contradicts(const http::ResponseHead& response, std::string_view stored_etag,
                                    std::string_view stored_last_modified,
                                    std::uint64_t stored_bytes) noexcept;

}  // namespace reef::proxy::rules
