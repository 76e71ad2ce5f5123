// What the zones say to a client: the records of an answer, by the name asked for and by how near the client
// is. Pure but for its random source; belongs to one loop.
//
// Sources: RFC 1034, 1035, 2181 (basics), 2308 (negative answers), 3597 (unknown types), 6672 (DNAME), 8020
// (NXDOMAIN), 8482 (minimal ANY), 9460 (HTTPS records), 9471 (glue), and NSDI 2004 §3 (delegation by level).
#pragma once

#include <array>
#include <vector>

#include "base/ip.h"
#include "base/random.h"
#include "dnsd/locality.h"
#include "dnsd/message.h"
#include "dnsd/records.h"
#include "dnsd/view.h"
#include "dnsd/zone.h"

namespace reef::dnsd {

struct AuthorityOptions {
  std::size_t addresses_max = 4;  // A or AAAA records in an answer, 1 to 16
  std::size_t servers_max = 4;    // name servers of a cut, 1 to 10
  // Addresses that are not globally routable and that names of name servers may still say: of test networks.
  std::vector<IpPrefix> also_public;
};

// One network of clients, as far as it is known.
struct Sight {
  dsht::Level level = 0;            // relative to this node
  const Verdict* nearby = nullptr;  // with addresses near it that may be given out; nullptr: none are known
};

// It means the same place to everybody: globally routable, or in `also`.
[[nodiscard]] bool is_public(const IpAddress& address, const std::vector<IpPrefix>& also);

class Authority {
 public:
  Authority(Zone zone, AuthorityOptions options, Random random);

  // All that an answer depends on beside the question.
  struct Given {
    const View& view;
    const Records& records;
    Sight resolver;  // who asks: says which cuts it may learn
    Sight client;    // for whom: says which proxies it gets; the resolver itself, or its client's subnet
  };
  struct Told {
    ResponseWriter::Flags flags;
    bool fits = true;          // false: something that belongs to the answer was left out
    bool by_client = false;    // addresses were chosen for given.client
    bool by_resolver = false;  // name servers were chosen, or kept back, for given.resolver
  };
  // Writes the records for a question of class IN that is none of the types refused elsewhere.
  Told answer(const Query& query, const Given& given, ResponseWriter& writer);

  [[nodiscard]] const Zone& zone() const { return zone_; }

 private:
  struct Reply;  // one answer in the making
  void answer_at(Reply& reply, const Zone::Located& at);
  bool answer_static(Reply& reply, const Name& owner, const NameRef& ref);
  void answer_apex(Reply& reply, const Name& apex);
  void answer_redirected(Reply& reply);
  void answer_proxied(Reply& reply, const NameRef& owner);
  void answer_cut(Reply& reply, const Zone::Located& at);
  void answer_cut_server(Reply& reply, const Zone::Located& at);
  void add_addresses(Reply& reply, const NameRef& owner, bool v4);
  void add_https(Reply& reply, const NameRef& owner);
  void add_name_server(Reply& reply, std::size_t index);
  void add_near_server(Reply& reply, std::size_t index);
  void add_apex_servers(Reply& reply, const Name& apex);
  enum class Glue : bool { wanted, needed };
  std::size_t add_cut_servers(Reply& reply, dsht::Level level, ResponseWriter::Section section, Glue glue);
  void add_soa(Reply& reply, ResponseWriter::Section section, const Name& owner, std::chrono::seconds ttl);
  void hide_cut(Reply& reply, const Name& encloser);
  void deny(Reply& reply, const Name& encloser, Rcode rcode = Rcode::noerror);

  Picked pick_proxies(const Reply& reply, bool v4, bool& near);
  Picked pick_servers(const Reply& reply, dsht::Level level, bool outer);
  [[nodiscard]] static dsht::Level highest_cut(const Sight& resolver);

  Zone zone_;
  AuthorityOptions options_;
  Random random_;
};

}  // namespace reef::dnsd
