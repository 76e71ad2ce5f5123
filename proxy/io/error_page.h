// The few pages that the proxy writes itself: small, readable without style, nothing of the request
// unescaped.
#pragma once

#include <string>
#include <string_view>

namespace reef::proxy {

// The fields of these pages; never stored, never run.
inline constexpr std::string_view kPageFields =
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n";

// `why`: a whole sentence for the person who reads it.
[[nodiscard]] std::string error_page(int status, std::string_view why, std::string_view node_name);

// What stands under the suffix itself: what this is and how to use it. `authority`: as the client wrote it.
[[nodiscard]] std::string landing_page(std::string_view suffix, std::string_view authority);

}  // namespace reef::proxy
