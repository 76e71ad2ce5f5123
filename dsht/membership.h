// Closed networks: only who has the network key takes part. Every datagram is sealed with a MAC under a key
// derived from it, and with the time, so that it can be neither forged nor replayed. In an open network (no
// key) seal and open pass everything through unchanged.
//
//   sealed = message | milliseconds since 1970 (8, big-endian) | HMAC-SHA-256(key, message | time)[0:16]
//
// Replays: a datagram is taken only if its time is within `clock_slack` of ours, and a request only if its
// (sender, time) is new: per sender a window of the last 64 times (RFC 4303, §3.4.3), for a bounded number of
// senders. Senders give every datagram a time of its own, increasing by at least one. Replies need no window:
// their transaction is accepted once. Not thread-safe, no I/O.
#pragma once

#include <cstdint>
#include <tl/expected.hpp>
#include <unordered_map>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/id.h"
#include "base/siphash.h"
#include "base/time.h"
#include "dsht/messages.h"

namespace reef::dsht {

struct MembershipOptions {
  std::chrono::milliseconds clock_slack = std::chrono::minutes(5);
  std::size_t senders_max = 4096;  // with a replay window; the one heard longest ago gives way
};

class Membership {
 public:
  enum class Refusal : std::uint8_t {
    too_short,
    bad_mac,   // not of our network, or changed on its way
    stale,     // its time is too far from ours: a replay, or a clock that is wrong
    replayed,  // that very request was heard before
  };

  // `secret` keys the table of senders.
  Membership(ByteView network_key, const MembershipOptions& options, const SipKey& secret);

  [[nodiscard]] bool is_open() const { return is_open_; }

  // Appends time and MAC. `unix_ms`: now.
  void seal(std::uint64_t unix_ms, Bytes& message);
  // The message within, a part of `datagram`.
  [[nodiscard]] tl::expected<ByteView, Refusal> open(std::uint64_t unix_ms, ByteView datagram);

 private:
  struct Window;  // the last times heard of one sender
  bool is_open_;
};

}  // namespace reef::dsht
