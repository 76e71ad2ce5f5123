// Cheap identities for simulated nodes: an Ed25519 signature costs 50 to 100 µs, one of these about 100 ns.
//
// The public key is the node's id and zeros. A signature is a MAC over key and message under a secret of the
// whole simulation; each object signs as its own key only, so whoever has just that object can no more forge
// another's word than with real signatures.
#pragma once

#include "base/siphash.h"
#include "dsht/credentials.h"

namespace reef::sim {

class SimCredentials final : public dsht::Credentials {
 public:
  SimCredentials(const NodeId& id, const SipKey& simulation_secret);

  [[nodiscard]] const Ed25519PublicKey& public_key() const override { return key_; }
  [[nodiscard]] Ed25519Signature sign(ByteView message) const override;
  [[nodiscard]] bool verify(const Ed25519PublicKey& key, ByteView message,
                            const Ed25519Signature& signature) const override;
  // The first 20 bytes. A key whose other bytes are not zero has an id that nobody has.
  [[nodiscard]] NodeId id_of(const Ed25519PublicKey& key) const override;

 private:
  [[nodiscard]] std::uint64_t mac(const Ed25519PublicKey& key, ByteView message) const;

  const SipKey secret_;
  Ed25519PublicKey key_{};
};

}  // namespace reef::sim
