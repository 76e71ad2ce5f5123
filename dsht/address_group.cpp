#include "dsht/address_group.h"

namespace reef::dsht {

AddressGroup address_group(const IpAddress& address) {
  if (!address.is_global_unicast()) return kNoGroup;
  if (address.is_v4()) return AddressGroup{1} << 63 | address.v4_host_order() >> 8;
  AddressGroup group = 1;  // stands above the 48 bits, so that the families do not meet
  for (std::size_t i = 0; i < 6; ++i) group = group << 8 | address.bytes()[i];
  return group;
}

bool same_network(const IpAddress& a, const IpAddress& b) {
  return a.is_v4() == b.is_v4() && IpPrefix::around(a, a.is_v4() ? 24 : 48).contains(b);
}

}  // namespace reef::dsht
