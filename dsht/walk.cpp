#include "dsht/walk.h"

#include <algorithm>

namespace reef::dsht {

Walk::Walk(WalkId id_, WalkKind kind_, const Key& key_, const NodeId& self, TimePoint now)
    : id(id_), kind(kind_), key(key_), began(now), list(key_, self, kShortlistMax), at(self) {}

void drop_provisional(std::vector<WireValue>& values) {
  std::erase_if(values, [](const WireValue& value) { return value.record.provisional; });
}

Key splice(const Key& key, const NodeId& id, int bits) {
  Key out = id.as<Key>();
  const int whole = bits / 8;
  std::copy_n(key.bytes.begin(), whole, out.bytes.begin());
  for (int bit = whole * 8; bit < bits; ++bit) out.set_bit(bit, key.bit(bit));
  return out;
}

Key next_target(const Key& key, const NodeId& id, int b) {
  if (b <= 0) return key;
  const int shared = distance(key, id).leading_zeros();
  return splice(key, id, std::min(kIdBits, (shared / b + 1) * b));
}

}  // namespace reef::dsht
