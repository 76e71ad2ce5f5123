#include "dsht/identity.h"

#include <algorithm>

namespace reef::dsht {

NodeId node_id_of(const Ed25519PublicKey& key) {
  const Sha256Digest digest = sha256(key);
  NodeId id;
  std::transform(digest.begin(), digest.begin() + kIdBytes, id.bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return id;
}

Identity::Identity(const Ed25519Seed& seed)
    : seed_(seed), signer_(seed), id_(node_id_of(signer_.public_key())) {}

}  // namespace reef::dsht
