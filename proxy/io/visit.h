// How nodes see whether a proxy can be reached, and whether it is the one that they mean: under the suffix
// itself, a well-known path (RFC 8615) answers the node's name and the visitor's nonce, so that no cache and
// no other node can answer in its place by chance.
#pragma once

#include <string>
#include <string_view>

namespace reef::proxy {

inline constexpr std::string_view kVisitPath = "/.well-known/reef-node";  // ?NONCE
inline constexpr std::size_t kNonceBytesMax = 64;                         // a token (RFC 9110 §5.6.2)

// The body of the answer. `node`: Options::node_name.
[[nodiscard]] inline std::string visit_answer(std::string_view node, std::string_view nonce) {
  std::string out = "node ";
  out.append(node).append(" ").append(nonce).append("\n");
  return out;
}

}  // namespace reef::proxy
