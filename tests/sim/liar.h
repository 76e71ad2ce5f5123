// A host that takes part and lies. Its node joins, pings and is pinged as any other, so that it stands in
// others' tables, and it proves its id whenever it is asked to; what others ask it about keys it answers
// itself:
//
// - FIND and SAMPLE with made-up contacts, closer to the key than anybody can be, at addresses of nobody or
// at
//   its own, and with no values; it says that it is full and loaded, so that puts turn back;
// - STORE, ANNOUNCE, WITHDRAW and HANDOVER with `stored`, and forgets them.
#pragma once

#include "tests/sim/network.h"

namespace reef::sim {

class Liar final : public Interceptor {
 public:
  enum class Names : std::uint8_t {
    dead,   // contacts at addresses where nobody is
    self,   // contacts under other ids at its own address
    peers,  // other liars, by their right names
  };

  // `peers`: contacts of other liars, named by all that name peers; outlives this.
  Liar(const SimCredentials& credentials, const Endpoint& self, Names names,
       const std::vector<dsht::Contact>& peers, Random random);

  bool on_datagram(TimePoint now, const Endpoint& from, ByteView payload,
                   std::vector<dsht::SendDatagram>& out) override;

 private:
  [[nodiscard]] std::vector<dsht::Contact> contacts_near(const Key& key);
  [[nodiscard]] dsht::Contact made_up(const Key& key, int bits);

  const SimCredentials& credentials_;
  const Endpoint self_;
  const NodeId id_;
  const Names names_;
  const std::vector<dsht::Contact>& peers_;
  Random random_;
};

// An id that shares exactly `bits` leading bits with the key.
[[nodiscard]] NodeId id_near(const Key& key, int bits, Random& random);

}  // namespace reef::sim
