// Digests, MACs, Ed25519 and secret random bytes: OpenSSL behind value types. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace reef {

using Sha256Digest = std::array<std::byte, 32>;

[[nodiscard]] Sha256Digest sha256(ByteView data);
[[nodiscard]] Sha256Digest hmac_sha256(ByteView key, ByteView data);

// SHA-256 over data that arrives in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(ByteView data);
  // The digest of all that was given; the object starts anew afterwards.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// HMAC-SHA-256 (RFC 2104) of many messages under one key, which is prepared once. Not thread-safe.
class HmacSha256 {
 public:
  explicit HmacSha256(ByteView key);
  ~HmacSha256();
  HmacSha256(HmacSha256&&) noexcept;
  HmacSha256& operator=(HmacSha256&&) noexcept;

  [[nodiscard]] Sha256Digest mac(ByteView message);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Equal in time that does not depend on where they differ; unequal sizes are unequal.
[[nodiscard]] bool constant_time_equal(ByteView a, ByteView b);

// From the operating system's secure source; running out of it ends the process.
void random_bytes(std::span<std::byte> out);

// Ed25519 (RFC 8032).
using Ed25519PublicKey = std::array<std::byte, 32>;
using Ed25519Seed = std::array<std::byte, 32>;  // the private key: keep it in a 0600 file, never log it
using Ed25519Signature = std::array<std::byte, 64>;

[[nodiscard]] bool ed25519_verify(const Ed25519PublicKey& key, ByteView message,
                                  const Ed25519Signature& signature);

// A private key made ready once, for many signatures. Any thread.
class Ed25519Signer {
 public:
  explicit Ed25519Signer(const Ed25519Seed& seed);
  ~Ed25519Signer();
  Ed25519Signer(Ed25519Signer&&) noexcept;
  Ed25519Signer& operator=(Ed25519Signer&&) noexcept;

  [[nodiscard]] const Ed25519PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Ed25519Signature sign(ByteView message) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
  Ed25519PublicKey public_key_;
};

// Lower-case hex of any bytes.
[[nodiscard]] std::string to_hex(ByteView bytes);

}  // namespace reef
