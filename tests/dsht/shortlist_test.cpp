#include "dsht/shortlist.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::dsht;
using State = Candidate::State;

namespace {

// Contacts whose distance from the zero key is `place`.
Contact at(std::uint8_t place) {
  NodeId id;
  id.bytes[19] = place;
  return {id, {IpAddress::v4(20, 0, 0, place), 1}, 0, 0, 0};
}

NodeId far_away() {
  NodeId id;
  id.bytes[0] = 0xff;
  return id;
}

}  // namespace

TEST_CASE("candidates stand by distance, each once, ourselves never") {
  Shortlist list(Key{}, far_away(), 10);
  for (const std::uint8_t place : {5, 2, 9, 2}) list.add(at(place), 1);
  list.add({far_away(), {}, 0, 0, 0}, 1);
  REQUIRE(list.candidates().size() == 3);
  CHECK(list.candidates()[0].contact == at(2));
  CHECK(list.candidates()[2].contact == at(9));
}

TEST_CASE("the closest fresh candidate is next; one that failed or is slow holds no place") {
  Shortlist list(Key{}, far_away(), 10);
  for (const std::uint8_t place : {1, 2, 3, 4}) list.add(at(place), 1);
  CHECK(list.next(2)->contact == at(1));
  list.find(at(1).id)->state = State::asked;
  list.find(at(2).id)->state = State::asked;
  CHECK(list.next(2) == nullptr);
  CHECK(list.in_flight() == 2);
  list.find(at(1).id)->state = State::slow;
  CHECK(list.in_flight() == 1);
  CHECK(list.next(2)->contact == at(3));
  list.find(at(1).id)->state = State::failed;
  CHECK(list.head()->contact == at(2));
}

TEST_CASE("a lookup is settled when the closest that live have answered") {
  Shortlist list(Key{}, far_away(), 10);
  for (const std::uint8_t place : {1, 2, 3}) list.add(at(place), 1);
  CHECK_FALSE(list.settled(1));
  list.find(at(1).id)->state = State::failed;
  list.find(at(2).id)->state = State::answered;
  CHECK(list.settled(1));
  CHECK_FALSE(list.settled(2));
  CHECK(list.is_quiet(1));
  CHECK_FALSE(list.is_quiet(2));
  list.find(at(3).id)->state = State::slow;
  CHECK(list.is_quiet(2));
  CHECK_FALSE(list.settled(2));
  list.find(at(3).id)->state = State::answered;
  CHECK(list.settled(8));
}

TEST_CASE("a full list gives up its furthest candidate that was not asked, never a closer one") {
  Shortlist list(Key{}, far_away(), 3);
  for (const std::uint8_t place : {2, 4, 6}) list.add(at(place), 1);
  list.add(at(9), 1);
  CHECK(list.find(at(9).id) == nullptr);
  list.add(at(1), 1);
  CHECK(list.find(at(1).id) != nullptr);
  CHECK(list.find(at(6).id) == nullptr);
  for (Candidate& candidate : list.candidates()) candidate.state = State::asked;
  list.add(at(3), 1);
  CHECK(list.find(at(3).id) == nullptr);
}
