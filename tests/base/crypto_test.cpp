#include "base/crypto.h"

#include <doctest/doctest.h>

#include <string>

using namespace reef;

namespace {

Bytes unhex(std::string_view text) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

template <std::size_t N>
std::array<std::byte, N> array_of(std::string_view hex) {
  const Bytes bytes = unhex(hex);
  REQUIRE(bytes.size() == N);
  std::array<std::byte, N> out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

TEST_CASE("SHA-256 gives the digests of FIPS 180-4") {
  CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("a digest in pieces is the digest of the whole, and the object starts anew") {
  Sha256 hash;
  hash.update(as_bytes("a"));
  hash.update({});
  hash.update(as_bytes("bc"));
  CHECK(hash.finish() == sha256(as_bytes("abc")));
  CHECK(hash.finish() == sha256({}));
  hash.update(as_bytes("abc"));
  Sha256 moved = std::move(hash);
  CHECK(moved.finish() == sha256(as_bytes("abc")));
}

TEST_CASE("HMAC-SHA-256 gives the codes of RFC 4231, also for empty keys and long ones") {
  const Bytes key1(20, std::byte{0x0b});
  CHECK(to_hex(hmac_sha256(key1, as_bytes("Hi There"))) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const Bytes key6(131, std::byte{0xaa});
  CHECK(to_hex(hmac_sha256(key6, as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(to_hex(hmac_sha256({}, {})) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("HMAC-SHA-256 with a prepared key gives the same, message after message") {
  for (const std::size_t key_bytes : {0, 1, 32, 63, 64, 65, 200}) {
    const Bytes key(key_bytes, std::byte{0xaa});
    HmacSha256 hmac(key);
    for (const std::size_t message_bytes : {0, 1, 55, 56, 64, 1232}) {
      const Bytes message(message_bytes, std::byte{0x17});
      CHECK(hmac.mac(message) == hmac_sha256(key, message));
    }
  }
}

TEST_CASE("Ed25519 gives the keys and signatures of RFC 8032, section 7.1") {
  const auto seed1 = array_of<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const Ed25519Signer signer1(seed1);
  const auto public1 = signer1.public_key();
  CHECK(to_hex(public1) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const auto signature1 = signer1.sign({});
  CHECK(to_hex(signature1) ==
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25b"
        "f5f0595bbe2465514"
        "1438e7a100b");
  CHECK(ed25519_verify(public1, {}, signature1));

  const auto seed2 = array_of<32>("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const Bytes message2 = unhex("72");
  const Ed25519Signer signer2(seed2);
  const auto signature2 = signer2.sign(message2);
  CHECK(to_hex(signature2) ==
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b"
        "2eaeb4302aeeb00d2"
        "91612bb0c00");
  CHECK(ed25519_verify(signer2.public_key(), message2, signature2));
}

TEST_CASE("a signature holds for its own message, key and bits only") {
  const auto seed = array_of<32>("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const Ed25519Signer signer(seed);
  const auto key = signer.public_key();
  auto signature = signer.sign(as_bytes("reef"));
  CHECK(ed25519_verify(key, as_bytes("reef"), signature));
  CHECK_FALSE(ed25519_verify(key, as_bytes("Reef"), signature));
  CHECK_FALSE(ed25519_verify(key, {}, signature));
  auto other_key = key;
  other_key[0] ^= std::byte{1};
  CHECK_FALSE(ed25519_verify(other_key, as_bytes("reef"), signature));
  signature[63] ^= std::byte{0x80};
  CHECK_FALSE(ed25519_verify(key, as_bytes("reef"), signature));
}

TEST_CASE("constant-time comparison compares") {
  CHECK(constant_time_equal({}, {}));
  CHECK(constant_time_equal(as_bytes("same"), as_bytes("same")));
  CHECK_FALSE(constant_time_equal(as_bytes("same"), as_bytes("sane")));
  CHECK_FALSE(constant_time_equal(as_bytes("same"), as_bytes("same ")));
}

TEST_CASE("random bytes fill the whole span and do not repeat") {
  std::array<std::byte, 64> a{}, b{};
  random_bytes(a);
  random_bytes(b);
  CHECK(a != b);
  CHECK(std::count(a.begin(), a.end(), std::byte{0}) < 16);
  random_bytes({});
}

TEST_CASE("hex has two lower-case digits for each byte") {
  CHECK(to_hex({}) == "");
  CHECK(to_hex(unhex("00ff1aA0")) == "00ff1aa0");
}
