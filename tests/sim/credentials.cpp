#include "tests/sim/credentials.h"

#include <algorithm>
#include <cstring>

namespace reef::sim {

SimCredentials::SimCredentials(const NodeId& id, const SipKey& simulation_secret)
    : secret_(simulation_secret) {
  std::memcpy(key_.data(), id.bytes.data(), id.bytes.size());
}

std::uint64_t SimCredentials::mac(const Ed25519PublicKey& key, ByteView message) const {
  // What nodes sign is a few hundred bytes long; longer ones are digested in pieces, each chained to the
  // last.
  std::array<std::byte, 512> buffer;
  static_assert(std::tuple_size_v<decltype(buffer)> > 2 * std::tuple_size_v<Ed25519PublicKey>);
  std::memcpy(buffer.data(), key.data(), key.size());
  std::size_t used = key.size();
  for (;;) {
    const std::size_t piece = std::min(message.size(), buffer.size() - used);
    if (piece > 0) std::memcpy(buffer.data() + used, message.data(), piece);
    const std::uint64_t digest = siphash(secret_, ByteView(buffer).first(used + piece));
    message = message.subspan(piece);
    if (message.empty()) return digest;
    std::memcpy(buffer.data(), &digest, sizeof(digest));
    used = sizeof(digest);
  }
}

Ed25519Signature SimCredentials::sign(ByteView message) const {
  Ed25519Signature signature{};
  const std::uint64_t digest = mac(key_, message);
  std::memcpy(signature.data(), &digest, sizeof(digest));
  return signature;
}

bool SimCredentials::verify(const Ed25519PublicKey& key, ByteView message,
                            const Ed25519Signature& signature) const {
  std::uint64_t digest = 0;
  std::memcpy(&digest, signature.data(), sizeof(digest));
  return digest == mac(key, message) && std::all_of(signature.begin() + sizeof(digest), signature.end(),
                                                    [](std::byte b) { return b == std::byte{0}; });
}

NodeId SimCredentials::id_of(const Ed25519PublicKey& key) const {
  NodeId id;
  if (std::any_of(key.begin() + kIdBytes, key.end(), [](std::byte b) { return b != std::byte{0}; }))
    return id;
  std::memcpy(id.bytes.data(), key.data(), id.bytes.size());
  return id;
}

}  // namespace reef::sim
