// What a worker remembers of peers that failed it, for a while and of a bounded number. Belongs to the
// worker's loop.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "base/ip.h"
#include "base/time.h"
#include "proxy/io/options.h"

namespace reef::proxy {

enum class PeerFault : std::uint8_t {
  none,
  failed,  // could not be reached, fell silent or broke off: asked when nobody else is left
  lied,    // sent what it cannot be: not asked at all
};

class PeerRecord {
 public:
  // `options` is borrowed.
  explicit PeerRecord(const PeerOptions& options) : options_(options) {}

  // The worse fault counts; of one kind, the later.
  void note(const Endpoint& peer, PeerFault fault, TimePoint now);
  [[nodiscard]] PeerFault fault_of(const Endpoint& peer, TimePoint now) const;
  [[nodiscard]] std::size_t size() const { return notes_.size(); }

 private:
  struct Note {
    PeerFault fault;
    TimePoint until;
  };
  const PeerOptions& options_;
  std::unordered_map<Endpoint, Note> notes_;
};

}  // namespace reef::proxy
