#include "tests/sim/liar.h"

#include <algorithm>

#include "base/check.h"

namespace reef::sim {
namespace {

constexpr std::size_t kNamed = 8;
constexpr int kBitsMin = 40;                   // no honest node of any size of network is that close
constexpr std::uint32_t kNobody = 0x2d000000;  // 45.0.0.0: no host of the simulation has such an address
constexpr std::uint16_t kPort = 8091;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

NodeId id_near(const Key& key, int bits, Random& random) {
  BASE_CHECK(bits >= 0 && bits < kIdBits);
  NodeId id = random.id<NodeId>();
  for (int i = 0; i <= bits; ++i) id.set_bit(i, key.bit(i) != (i == bits));
  return id;
}

Liar::Liar(const SimCredentials& credentials, const Endpoint& self, Names names,
           const std::vector<dsht::Contact>& peers, Random random)
    : credentials_(credentials),
      self_(self),
      id_(credentials.id_of(credentials.public_key())),
      names_(names),
      peers_(peers),
      random_(random) {}

dsht::Contact Liar::made_up(const Key& key, int bits) {
  dsht::Contact contact;
  contact.id = id_near(key, bits, random_);
  contact.rpc = self_;
  if (names_ == Names::dead) {
    contact.rpc = {IpAddress::v4(kNobody + static_cast<std::uint32_t>(random_.below(1 << 24))), kPort};
  }
  return contact;
}

std::vector<dsht::Contact> Liar::contacts_near(const Key& key) {
  std::vector<dsht::Contact> out;
  if (names_ == Names::peers) {
    out = peers_;
    std::ranges::sort(out, [&](const dsht::Contact& a, const dsht::Contact& b) {
      return distance(a.id, key) < distance(b.id, key);
    });
    out.resize(std::min(out.size(), kNamed));
  } else {
    for (std::size_t i = 0; i < kNamed; ++i) {
      out.push_back(made_up(key, kBitsMin + static_cast<int>(kNamed - i)));
    }
  }
  return out;
}

bool Liar::on_datagram(TimePoint, const Endpoint& from, ByteView payload,
                       std::vector<dsht::SendDatagram>& out) {
  const auto request = dsht::decode(payload, Network::kNetwork);
  if (!request) return false;
  dsht::Nodes nodes;
  nodes.observed = from;
  nodes.token = random_();
  nodes.full = nodes.loaded = true;
  dsht::Stored stored;
  stored.observed = from;
  stored.token = nodes.token;
  using Answer = std::optional<dsht::Body>;
  const Answer body = std::visit(Overloaded{
                                     [&](const dsht::Find& find) -> Answer {
                                       nodes.contacts = contacts_near(find.toward);
                                       return nodes;
                                     },
                                     [&](const dsht::Sample&) -> Answer {
                                       nodes.full = nodes.loaded = false;
                                       nodes.contacts = contacts_near(random_.id<Key>());
                                       return nodes;
                                     },
                                     [&](const dsht::Store&) -> Answer { return stored; },
                                     [&](const dsht::Handover&) -> Answer { return stored; },
                                     [&](const dsht::Withdraw&) -> Answer {
                                       stored.status = dsht::StoreStatus::withdrawn;
                                       return stored;
                                     },
                                     [&](const dsht::Announce&) -> Answer {
                                       dsht::AnnounceReply reply;
                                       reply.observed = from;
                                       reply.token = stored.token;
                                       return reply;
                                     },
                                     // Pings, replies and departures are its node's business.
                                     [](const auto&) -> Answer { return std::nullopt; },
                                 },
                                 request->body);
  if (!body) return false;
  dsht::Header header;
  header.network = Network::kNetwork;
  header.transaction = request->header.transaction;
  header.sender = id_;
  header.level = request->header.level;
  header.clusters = request->header.clusters;  // always of the asker's own clusters
  dsht::Message reply{header, *body, {}};
  if (request->header.prove) {
    reply.proof = dsht::Proof{credentials_.public_key(),
                              credentials_.sign(dsht::proof_bytes(Network::kNetwork, header.transaction,
                                                                  request->header.sender, id_, from))};
  }
  out.push_back({from, dsht::encode(reply)});
  return true;
}

}  // namespace reef::sim
