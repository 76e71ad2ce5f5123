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
  CHECK(ed25519_verify(identity.public_key(), as_bytes("m"), identity.sign(as_bytes("m"))));
}

TEST_CASE("keys differ by network, by domain and by name") {
  const Key key = key_of(as_bytes("k"), KeyDomain::url, "http://a.example/");
  CHECK(key == key_of(as_bytes("k"), KeyDomain::url, "http://a.example/"));
  CHECK(key != key_of(as_bytes("l"), KeyDomain::url, "http://a.example/"));
  CHECK(key != key_of(as_bytes("k"), KeyDomain::hint, "http://a.example/"));
  CHECK(key != key_of(as_bytes("k"), KeyDomain::url, "http://a.example/b"));
  CHECK(network_id_of(as_bytes("k")) != network_id_of({}));
}
