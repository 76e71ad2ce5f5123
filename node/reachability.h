// Which nodes can be reached at what they offer, from here and from outside: nobody is named in an answer
// whose proxy or name server nobody could connect to (a firewall, a NAT, a wrong port).
//
// Others: before a contact is named we connect to the ports that it says, at the address at which it proved
// its id to us, and see whether it is that node. So nobody can send us to somebody else's address, and each
// is asked rarely. Ourselves: the others do the same, and we count it. Until somebody from outside has come,
// we do not say that we have a proxy.
//
// Decides only; the owner connects. Not thread-safe, no I/O.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "dsht/contact.h"

namespace reef::node {

struct ReachabilityOptions {
  bool enabled = true;                           // false: everybody's word is taken
  Duration again = std::chrono::minutes(3);      // after a success
  Duration retry_min = std::chrono::seconds(5);  // after a failure, doubled each time
  Duration retry_max = std::chrono::minutes(10);
  int failures_max = 2;  // in a row: then it counts as out of reach
  std::size_t running_max = 8;
  std::size_t remembered_max = 1024;
  Duration seen_for = std::chrono::minutes(30);  // since the last visit from outside
};

class Reachability {
 public:
  explicit Reachability(const ReachabilityOptions& options) : options_(options) {}

  // Whom of `wanted` to check now; checked() follows for each. Those wanted lately are remembered.
  [[nodiscard]] std::vector<dsht::Contact> due(TimePoint now, std::span<const dsht::Contact> wanted);
  // `reached`: what of it answered there as it should.
  void checked(TimePoint now, const dsht::Contact& contact, dsht::Services reached);
  // What of the contact's services may be named: those that we reached at its ports, unless it offers nothing
  // any more.
  [[nodiscard]] dsht::Services reached(const dsht::Contact& contact) const;

  // Nothing speaks against it yet: it offers something, and was not looked for in vain.
  [[nodiscard]] bool is_untried(const dsht::Contact& contact) const;

  // How often others came to see whether we are there, since the start.
  void note_visits(TimePoint now, std::uint64_t count);
  // Whether our proxy was reached from outside lately.
  [[nodiscard]] bool is_seen(TimePoint now) const;

  [[nodiscard]] std::size_t remembered() const { return known_.size(); }

 private:
  struct Known {
    dsht::Contact contact;
    dsht::Services reached = 0;
    int failures = 0;
    bool is_running = false;
    TimePoint due_at{};
    TimePoint wanted_at{};
  };
  [[nodiscard]] static bool is_same_place(const dsht::Contact& a, const dsht::Contact& b);
  void make_room();

  const ReachabilityOptions options_;
  std::unordered_map<NodeId, Known> known_;
  std::size_t running_ = 0;
  std::uint64_t visits_ = 0;
  TimePoint visited_at_ = TimePoint::min();
};

}  // namespace reef::node
