#include "dsht/identity.h"

#include <doctest/doctest.h>

#include "dsht/keys.h"

using namespace reef;
using namespace reef::dsht;

TEST_CASE("a node's id is the first 160 bits of SHA-256 of its public key") {
  Ed25519Seed seed{};
  const Identity identity(seed);
  const Sha256Digest digest = sha256(identity.public_key());
  CHECK(to_string(identity.id()) == to_hex(ByteView(digest).first(20)));
  seed[0] = std::byte{1};
  CHECK(Identity(seed).id() != identity.id());
}

TEST_CASE("an identity proves itself to others, who know no more of it than its public key") {
  Ed25519Seed seed{};
  const Identity me(seed);
  seed[31] = std::byte{9};
  const Identity other(seed);
  const Credentials& mine = me;
  const Credentials& theirs = other;
  CHECK(mine.id_of(theirs.public_key()) == other.id());
  const Ed25519Signature signature = mine.sign(as_bytes("m"));
  CHECK(theirs.verify(mine.public_key(), as_bytes("m"), signature));
  CHECK_FALSE(theirs.verify(mine.public_key(), as_bytes("n"), signature));
  CHECK_FALSE(theirs.verify(theirs.public_key(), as_bytes("m"), signature));
}

TEST_CASE("an identity is the same after it was moved, and its seed makes it again") {
  Ed25519Seed seed{};
  seed.fill(std::byte{7});
  Identity first(seed);
  const Ed25519Signature signature = first.sign(as_bytes("m"));
  const Identity moved(std::move(first));
  CHECK(moved.sign(as_bytes("m")) == signature);
  const Identity again(moved.seed());
  CHECK(again.id() == moved.id());
  CHECK(again.public_key() == moved.public_key());
  CHECK(again.sign(as_bytes("m")) == signature);
}

TEST_CASE("keys differ by network, by domain and by name") {
  const Key key = key_of(as_bytes("k"), KeyDomain::url, "http://a.example/");
  CHECK(key == key_of(as_bytes("k"), KeyDomain::url, "http://a.example/"));
  CHECK(key != key_of(as_bytes("l"), KeyDomain::url, "http://a.example/"));
  CHECK(key != key_of(as_bytes("k"), KeyDomain::hint, "http://a.example/"));
  CHECK(key != key_of(as_bytes("k"), KeyDomain::url, "http://a.example/b"));
  CHECK(network_id_of(as_bytes("k")) != network_id_of({}));
}
