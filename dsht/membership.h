// Closed networks: only who has the network key takes part. Every datagram is sealed with a MAC under a key
// derived from it, and with the time, so that it can be neither forged nor replayed. In an open network (no
// key) seal and open pass everything through unchanged.
//
//   sealed = message | microseconds since 1970 (8, big-endian) | HMAC-SHA-256(key, message | time)[0:16]
//   key    = HMAC-SHA-256(network key, "reef seal 2")
//
// Replays: a datagram is taken only if its time is within `clock_slack` of ours, and a request only if its
// (sender, time) is new: per sender a window of the last 64 times (RFC 4303, §3.4.3), for a bounded number of
// senders. Senders give every datagram a time of its own, greater than all before. (Microseconds, since a
// busy node sends more than a thousand a second.) Replies need no window: their transaction is accepted once.
// What is not known about a sender, after a restart or since it gave way to others, is made up for by write
// tokens and sequences: an old request that is heard twice changes nothing.
//
// Not thread-safe, no I/O.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>
#include <unordered_map>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/id.h"
#include "base/metrics.h"
#include "base/siphash.h"
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
  static constexpr std::size_t kRefusals = 4;

  // `secret` keys the table of senders.
  Membership(ByteView network_key, const MembershipOptions& options, const SipKey& secret);

  [[nodiscard]] bool is_open() const { return !mac_.has_value(); }

  // Appends time and MAC. `unix_ms`: now. A clock that is set back by less than clock_slack is waited for;
  // one set back further was wrong before.
  void seal(std::uint64_t unix_ms, Bytes& message);
  // The message within, a part of `datagram`.
  [[nodiscard]] tl::expected<ByteView, Refusal> open(std::uint64_t unix_ms, ByteView datagram);

  // By Refusal; read by any thread.
  [[nodiscard]] const std::array<Counter, kRefusals>& refused() const { return refused_; }
  [[nodiscard]] std::size_t senders() const { return windows_.size(); }

 private:
  // The last times heard of one sender, rising.
  struct Window {
    static constexpr std::size_t kTimes = 64;
    NodeId sender;
    std::size_t count = 0;
    std::array<std::uint64_t, kTimes> times;
    // False if it was heard before, or is older than all that are remembered.
    bool take(std::uint64_t time);
  };
  using Recent = std::list<Window>;  // heard last first

  [[nodiscard]] std::optional<Refusal> refusal(std::uint64_t unix_ms, ByteView datagram);
  Window& window_of(const NodeId& sender);

  const MembershipOptions options_;
  std::optional<HmacSha256> mac_;  // none: the open network
  std::uint64_t last_sealed_us_ = 0;
  Recent recent_;
  std::unordered_map<NodeId, Recent::iterator, KeyedIdHash> windows_;
  std::array<Counter, kRefusals> refused_;
};

[[nodiscard]] std::string_view to_text(Membership::Refusal refusal);

}  // namespace reef::dsht
