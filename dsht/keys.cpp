#include "dsht/keys.h"

#include <algorithm>

#include "base/crypto.h"

namespace reef::dsht {

NetworkId network_id_of(ByteView network_key) {
  const Sha256Digest digest = hmac_sha256(network_key, as_bytes("reef network id"));
  return ByteReader(digest).u64();
}

Key key_of(ByteView network_key, KeyDomain domain, std::string_view name) {
  Bytes input;
  input.reserve(name.size() + 1);
  input.push_back(static_cast<std::byte>(domain));
  const ByteView tail = as_bytes(name);
  input.insert(input.end(), tail.begin(), tail.end());
  const Sha256Digest digest = hmac_sha256(network_key, input);
  Key key;
  std::transform(digest.begin(), digest.begin() + kIdBytes, key.bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return key;
}

}  // namespace reef::dsht
