// Who a node is: an Ed25519 key pair. Its id is the first 160 bits of SHA-256 of the public key, so that
// nobody can choose a place in the id space without searching for a key (S/Kademlia 2007, §4.1). Pure.
#pragma once

#include "base/crypto.h"
#include "base/id.h"

namespace reef::dsht {

[[nodiscard]] NodeId node_id_of(const Ed25519PublicKey& key);

class Identity {
 public:
  explicit Identity(const Ed25519Seed& seed);

  [[nodiscard]] const NodeId& id() const { return id_; }
  [[nodiscard]] const Ed25519PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] const Ed25519Seed& seed() const { return seed_; }
  [[nodiscard]] Ed25519Signature sign(ByteView message) const { return ed25519_sign(seed_, message); }

 private:
  Ed25519Seed seed_;
  Ed25519PublicKey public_key_;
  NodeId id_;
};

}  // namespace reef::dsht
