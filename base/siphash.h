// SipHash-2-4 (Aumasson and Bernstein, 2012): a MAC of 64 bits for short inputs: tokens, cookies, transaction
// ids, and tables that strangers can fill. Pure, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/id.h"

namespace reef {

using SipKey = std::array<std::byte, 16>;  // secret, from random_bytes(); seeded in simulations

// The paper's 8 output bytes as a little-endian number.
[[nodiscard]] std::uint64_t siphash(const SipKey& key, ByteView data);

// Hash of ids in tables whose keys come from the network.
struct KeyedIdHash {
  SipKey secret{};
  template <class Tag>
  std::size_t operator()(const Id<Tag>& id) const {
    return static_cast<std::size_t>(siphash(secret, std::as_bytes(std::span(id.bytes))));
  }
};

}  // namespace reef
