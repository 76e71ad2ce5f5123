// How a node proves who it is, and checks others. Identity (dsht/identity.h) is the real one; a simulator
// gives its thousands of nodes a cheap one.
#pragma once

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/id.h"

namespace reef::dsht {

class Credentials {
 public:
  virtual ~Credentials() = default;

  [[nodiscard]] virtual const Ed25519PublicKey& public_key() const = 0;
  [[nodiscard]] virtual Ed25519Signature sign(ByteView message) const = 0;
  [[nodiscard]] virtual bool verify(const Ed25519PublicKey& key, ByteView message,
                                    const Ed25519Signature& signature) const = 0;
  // The id that belongs to a key.
  [[nodiscard]] virtual NodeId id_of(const Ed25519PublicKey& key) const = 0;
};

}  // namespace reef::dsht
