// Which bytes of a body are here, and who brings the rest: the book that a fill keeps when several sources
// bring one body at once. No I/O, no time, no knowledge of who the sources are. Bytes are in one of three
// states:
//
//   missing ──take(), extend()──► claimed ──arrived()──► here
//      ▲                             │
//      └──── release(), shorten() ───┘
//
// Every byte is claimed by at most one owner, so it is fetched and written once. Ranges are few (a claim for
// each source, and the gaps between them): everything is a walk over a short vector. Belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace reef::proxy {

class PartPlan {
 public:
  using Owner = std::uint64_t;
  struct Range {
    std::uint64_t at = 0;
    std::uint64_t end = 0;  // one behind the last
    [[nodiscard]] std::uint64_t size() const { return end - at; }
    [[nodiscard]] bool empty() const { return at == end; }
    bool operator==(const Range&) const = default;
  };
  struct Claim {
    Owner owner;
    Range left;  // what is still to come; empty: all has arrived
  };

  // Of `total` bytes the first `here` are here; `owner` brings the rest.
  PartPlan(std::uint64_t total, std::uint64_t here, Owner owner);

  // Every byte before it is here.
  [[nodiscard]] std::uint64_t prefix() const;
  [[nodiscard]] bool is_whole() const { return prefix() == total_; }

  // The missing bytes in front of all others, or nullopt.
  [[nodiscard]] std::optional<Range> missing() const;
  // A claim of the first of them, at most `max` bytes. There are missing bytes, and the owner has no claim.
  Range take(Owner owner, std::uint64_t max);

  // In no order.
  [[nodiscard]] const std::vector<Claim>& claims() const { return claims_; }
  // What is still to come from an owner; nullopt: it has no claim.
  [[nodiscard]] std::optional<Range> claim(Owner owner) const;
  // So many bytes of its claim, at most all that is left of it, are here.
  void arrived(Owner owner, std::uint64_t bytes);
  // The claim goes on over what is missing right behind it, at most `max` bytes. False: nothing is.
  bool extend(Owner owner, std::uint64_t max);
  // Of what is left of a claim the owner keeps the first `kept` bytes.
  void shorten(Owner owner, std::uint64_t kept);
  // The owner brings nothing more. Unknown owners are ignored.
  void release(Owner owner);

 private:
  [[nodiscard]] Claim& of(Owner owner);
  void add_missing(Range range);

  const std::uint64_t total_;
  std::vector<Claim> claims_;
  std::vector<Range> missing_;  // sorted, none empty, none adjacent
};

}  // namespace reef::proxy
