#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <string>

#include "base/check.h"

namespace reef {
namespace {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* handle) const noexcept {
    Free(handle);
  }
};
using DigestPtr = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

PkeyPtr private_key(const Ed25519Seed& seed) {
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed.data()), seed.size()));
  BASE_CHECK(key != nullptr);
  return key;
}

}  // namespace

struct Sha256::Context {
  DigestPtr digest{EVP_MD_CTX_new()};
  void start() { BASE_CHECK(EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { context_->start(); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView data) {
  BASE_CHECK(EVP_DigestUpdate(context_->digest.get(), data.data(), data.size()) == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest out;
  BASE_CHECK(EVP_DigestFinal_ex(context_->digest.get(), raw(out.data()), nullptr) == 1);
  context_->start();
  return out;
}

Sha256Digest sha256(ByteView data) {
  Sha256Digest out;
  BASE_CHECK(EVP_Digest(data.data(), data.size(), raw(out.data()), nullptr, EVP_sha256(), nullptr) == 1);
  return out;
}

Sha256Digest hmac_sha256(ByteView key, ByteView data) {
  Sha256Digest out;
  static const unsigned char kEmpty = 0;  // HMAC() takes a null key for "the previous key"
  const unsigned char* key_bytes = key.empty() ? &kEmpty : raw(key.data());
  unsigned int size = 0;
  BASE_CHECK(HMAC(EVP_sha256(), key_bytes, static_cast<int>(key.size()), raw(data.data()), data.size(),
                  raw(out.data()), &size) != nullptr);
  return out;
}

// The digest states after the key's inner and outer block: a message costs its own blocks and one more.
struct HmacSha256::Context {
  DigestPtr inner{EVP_MD_CTX_new()};
  DigestPtr outer{EVP_MD_CTX_new()};
  DigestPtr work{EVP_MD_CTX_new()};
};

HmacSha256::HmacSha256(ByteView key) : context_(std::make_unique<Context>()) {
  constexpr std::size_t kBlockBytes = 64;
  std::array<std::byte, kBlockBytes> block{};
  if (key.size() > kBlockBytes) {
    const Sha256Digest digest = sha256(key);
    std::copy(digest.begin(), digest.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  const auto start = [&block](EVP_MD_CTX* context, std::byte pad) {
    std::array<std::byte, kBlockBytes> padded{};
    std::transform(block.begin(), block.end(), padded.begin(), [pad](std::byte b) { return b ^ pad; });
    BASE_CHECK(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
    BASE_CHECK(EVP_DigestUpdate(context, padded.data(), padded.size()) == 1);
    OPENSSL_cleanse(padded.data(), padded.size());
  };
  start(context_->inner.get(), std::byte{0x36});
  start(context_->outer.get(), std::byte{0x5c});
  OPENSSL_cleanse(block.data(), block.size());
}
HmacSha256::~HmacSha256() = default;
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;

Sha256Digest HmacSha256::mac(ByteView message) {
  Sha256Digest out;
  EVP_MD_CTX* work = context_->work.get();
  BASE_CHECK(EVP_MD_CTX_copy_ex(work, context_->inner.get()) == 1);
  BASE_CHECK(EVP_DigestUpdate(work, message.data(), message.size()) == 1);
  BASE_CHECK(EVP_DigestFinal_ex(work, raw(out.data()), nullptr) == 1);
  BASE_CHECK(EVP_MD_CTX_copy_ex(work, context_->outer.get()) == 1);
  BASE_CHECK(EVP_DigestUpdate(work, out.data(), out.size()) == 1);
  BASE_CHECK(EVP_DigestFinal_ex(work, raw(out.data()), nullptr) == 1);
  return out;
}

bool constant_time_equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void random_bytes(std::span<std::byte> out) {
  BASE_CHECK(RAND_bytes(raw(out.data()), static_cast<int>(out.size())) == 1);
}

struct Ed25519Signer::Handle {
  PkeyPtr key;
};

Ed25519Signer::Ed25519Signer(const Ed25519Seed& seed)
    : handle_(std::make_unique<Handle>(Handle{private_key(seed)})) {
  std::size_t size = public_key_.size();
  BASE_CHECK(EVP_PKEY_get_raw_public_key(handle_->key.get(), raw(public_key_.data()), &size) == 1);
}
Ed25519Signer::~Ed25519Signer() = default;
Ed25519Signer::Ed25519Signer(Ed25519Signer&&) noexcept = default;
Ed25519Signer& Ed25519Signer::operator=(Ed25519Signer&&) noexcept = default;

Ed25519Signature Ed25519Signer::sign(ByteView message) const {
  Ed25519Signature out;
  std::size_t size = out.size();
  const DigestPtr context(EVP_MD_CTX_new());
  BASE_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, handle_->key.get()) == 1);
  BASE_CHECK(EVP_DigestSign(context.get(), raw(out.data()), &size, raw(message.data()), message.size()) == 1);
  return out;
}

bool ed25519_verify(const Ed25519PublicKey& key, ByteView message, const Ed25519Signature& signature) {
  const PkeyPtr pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key.data()), key.size()));
  if (pkey == nullptr) return false;
  DigestPtr context(EVP_MD_CTX_new());
  BASE_CHECK(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1);
  return EVP_DigestVerify(context.get(), raw(signature.data()), signature.size(), raw(message.data()),
                          message.size()) == 1;
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    out.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    out.push_back(kDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return out;
}

}  // namespace reef
