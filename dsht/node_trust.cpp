// Whom a node believes: records are signed by their publishers, ids are proven by those who hold the key.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {

// Checking a signature costs some 100 µs, making one half of that: what strangers can make us spend is
// bounded.
bool Node::may_use_signature(TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - signatures_at_).count();
  signatures_ = std::min(options_.signatures_per_second,
                         signatures_ + std::max(seconds, 0.0) * options_.signatures_per_second);
  signatures_at_ = now;
  if (signatures_ < 1) {
    counters_.signatures_exhausted.add();
    return false;
  }
  signatures_ -= 1;
  return true;
}

Record Node::make_record(TimePoint now, const Key& key, ByteView data, std::chrono::seconds ttl,
                         bool provisional) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - started_at_).count();
  last_sequence_ = std::max(last_sequence_ + 1, first_sequence_ + static_cast<std::uint64_t>(since));
  Record record;
  record.publisher = credentials_.public_key();
  record.sequence = last_sequence_;
  record.ttl_seconds = static_cast<std::uint32_t>(std::clamp<std::int64_t>(ttl.count(), 0, UINT32_MAX));
  record.provisional = provisional;
  record.data.assign(data.begin(), data.end());
  record.signature = credentials_.sign(signed_bytes(network_, key, record));
  return record;
}

bool Node::is_authentic(const Key& key, const Record& record) {
  counters_.signatures_checked.add();
  if (credentials_.verify(record.publisher, signed_bytes(network_, key, record), record.signature))
    return true;
  counters_.forged.add();
  return false;
}

void Node::keep_authentic(const Key& key, std::vector<WireValue>& values) {
  std::erase_if(values, [&](const WireValue& value) {
    return value.record.ttl_seconds == 0 || !is_authentic(key, value.record);
  });
}

bool Node::is_proof_wanted(const Rpc& rpc, const TableEntry* entry) const {
  if (entry != nullptr) return !entry->proven;
  if (rpc.expected.is_zero() || rpc.purpose == Purpose::ping) return true;
  const Contact contact{rpc.expected, rpc.to, 0, 0, 0};
  // `known`, at another endpoint: it moved, if it can prove that.
  const auto admission = table_.admission(contact, static_cast<LevelMask>(mask_of(0) | mask_of(rpc.level)));
  return admission == RoutingTable::Admission::added || admission == RoutingTable::Admission::known;
}

// A proof names the endpoint at which the answerer saw us: one that somebody in between had made for himself
// shows his.
bool Node::is_proven(const Message& message) {
  if (!message.proof) return false;
  const Endpoint* observed = std::visit(
      [](const auto& body) -> const Endpoint* {
        if constexpr (requires { body.observed; }) {
          return &body.observed;
        } else {
          return nullptr;
        }
      },
      message.body);
  if (observed == nullptr) return false;
  const auto own = this->observed();
  const bool relayed = own && votes_.size() >= kVotesToKnow && own->address != observed->address;
  const Header& h = message.header;
  if (!relayed && credentials_.id_of(message.proof->key) == h.sender &&
      credentials_.verify(message.proof->key,
                          proof_bytes(network_, h.transaction, self_, h.sender, *observed),
                          message.proof->signature)) {
    return true;
  }
  counters_.unproven.add();
  return false;
}

}  // namespace reef::dsht
