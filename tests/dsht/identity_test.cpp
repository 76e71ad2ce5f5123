#include "dsht/identity.h"

#include <doctest/doctest.h>

#include "dsht/keys.h"
#include "dsht/siphash.h"

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

TEST_CASE("SipHash-2-4 gives the values of its paper (appendix A)") {
  SipKey key;
  Bytes input;
  for (int i = 0; i < 16; ++i) key[static_cast<std::size_t>(i)] = static_cast<std::byte>(i);
  CHECK(siphash(key, input) == 0x726fdb47dd0e0e31);
  for (int i = 0; i < 15; ++i) input.push_back(static_cast<std::byte>(i));
  CHECK(siphash(key, input) == 0xa129ca6149be45e5);
  key[3] = std::byte{0xff};
  CHECK(siphash(key, input) != 0xa129ca6149be45e5);
}
