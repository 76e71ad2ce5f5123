#include "dsht/membership.h"

#include <algorithm>

#include "base/check.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kMacBytes = 16;
static_assert(kTimeBytes + kMacBytes == kSealBytes);
constexpr std::size_t kTypeOffset = 3;
constexpr std::size_t kSenderOffset = 20;
constexpr std::uint64_t kMicrosecondsPerMs = 1000;

}  // namespace

Membership::Membership(ByteView network_key, const MembershipOptions& options, const SipKey& secret)
    : options_(options), windows_(0, KeyedIdHash{secret}) {
  BASE_CHECK(options_.senders_max > 0);
  if (!network_key.empty()) mac_.emplace(hmac_sha256(network_key, as_bytes("reef seal 2")));
}

void Membership::seal(std::uint64_t unix_ms, Bytes& message) {
  if (is_open()) return;
  const std::uint64_t now_us = unix_ms * kMicrosecondsPerMs;
  const auto slack_us = static_cast<std::uint64_t>(std::chrono::microseconds(options_.clock_slack).count());
  const bool was_wrong = last_sealed_us_ > now_us && last_sealed_us_ - now_us > slack_us;
  last_sealed_us_ = was_wrong ? now_us : std::max(now_us, last_sealed_us_ + 1);

  std::array<std::byte, kTimeBytes> time{};
  ByteWriter(time).u64(last_sealed_us_);
  message.reserve(message.size() + kSealBytes);
  message.insert(message.end(), time.begin(), time.end());
  const Sha256Digest mac = mac_->mac(message);
  message.insert(message.end(), mac.begin(), mac.begin() + kMacBytes);
}

tl::expected<ByteView, Membership::Refusal> Membership::open(std::uint64_t unix_ms, ByteView datagram) {
  if (is_open()) return datagram;
  if (const auto why = refusal(unix_ms, datagram)) {
    refused_[static_cast<std::size_t>(*why)].add();
    return tl::unexpected(*why);
  }
  return datagram.first(datagram.size() - kSealBytes);
}

std::optional<Membership::Refusal> Membership::refusal(std::uint64_t unix_ms, ByteView datagram) {
  if (datagram.size() < kHeaderBytes + kSealBytes) return Refusal::too_short;
  const ByteView covered = datagram.first(datagram.size() - kMacBytes);
  const Sha256Digest mac = mac_->mac(covered);
  if (!constant_time_equal(ByteView(mac).first(kMacBytes), datagram.last(kMacBytes))) return Refusal::bad_mac;

  const std::uint64_t time = ByteReader(covered.last(kTimeBytes)).u64();
  const std::uint64_t now_us = unix_ms * kMicrosecondsPerMs;
  const std::uint64_t off_us = time > now_us ? time - now_us : now_us - time;
  if (off_us > static_cast<std::uint64_t>(std::chrono::microseconds(options_.clock_slack).count())) {
    return Refusal::stale;
  }
  if (is_request(static_cast<MessageType>(datagram[kTypeOffset]))) {
    NodeId sender;
    ByteReader(datagram.subspan(kSenderOffset, kIdBytes))
        .copy_to(std::as_writable_bytes(std::span(sender.bytes)));
    if (!window_of(sender).take(time)) return Refusal::replayed;
  }
  return std::nullopt;
}

Membership::Window& Membership::window_of(const NodeId& sender) {
  if (const auto found = windows_.find(sender); found != windows_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return recent_.front();
  }
  if (windows_.size() >= options_.senders_max) {
    windows_.erase(recent_.back().sender);
    recent_.splice(recent_.begin(), recent_, std::prev(recent_.end()));
  } else {
    recent_.emplace_front();
  }
  recent_.front().sender = sender;
  recent_.front().count = 0;
  windows_[sender] = recent_.begin();
  return recent_.front();
}

bool Membership::Window::take(std::uint64_t time) {
  // Almost always the newest: the search goes from the back.
  std::size_t at = count;
  while (at > 0 && times[at - 1] > time) --at;
  if (at > 0 && times[at - 1] == time) return false;
  if (count < kTimes) {
    std::copy_backward(times.begin() + at, times.begin() + count, times.begin() + count + 1);
    times[at] = time;
    ++count;
    return true;
  }
  if (at == 0) return false;
  std::copy(times.begin() + 1, times.begin() + at, times.begin());
  times[at - 1] = time;
  return true;
}

std::string_view to_text(Membership::Refusal refusal) {
  switch (refusal) {
    case Membership::Refusal::too_short:
      return "too_short";
    case Membership::Refusal::bad_mac:
      return "bad_mac";
    case Membership::Refusal::stale:
      return "stale";
    case Membership::Refusal::replayed:
      return "replayed";
  }
  return "unknown";
}

}  // namespace reef::dsht
