// Who a node is: an Ed25519 key pair. Its id is the first 160 bits of SHA-256 of the public key, so that
// nobody can choose a place in the id space without searching for a key (S/Kademlia 2007, §4.1). No I/O, any
// thread.
#pragma once

#include "base/crypto.h"
#include "base/id.h"
#include "dsht/credentials.h"

namespace reef::dsht {

[[nodiscard]] NodeId node_id_of(const Ed25519PublicKey& key);

class Identity final : public Credentials {
 public:
  explicit Identity(const Ed25519Seed& seed);

  [[nodiscard]] const NodeId& id() const { return id_; }
  [[nodiscard]] const Ed25519Seed& seed() const { return seed_; }

  [[nodiscard]] const Ed25519PublicKey& public_key() const override { return signer_.public_key(); }
  [[nodiscard]] Ed25519Signature sign(ByteView message) const override { return signer_.sign(message); }
  [[nodiscard]] bool verify(const Ed25519PublicKey& key, ByteView message,
                            const Ed25519Signature& signature) const override {
    return ed25519_verify(key, message, signature);
  }
  [[nodiscard]] NodeId id_of(const Ed25519PublicKey& key) const override { return node_id_of(key); }

 private:
  Ed25519Seed seed_;
  Ed25519Signer signer_;
  NodeId id_;
};

}  // namespace reef::dsht
