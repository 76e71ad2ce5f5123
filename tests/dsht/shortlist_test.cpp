#include "dsht/shortlist.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::dsht;
using State = Candidate::State;

namespace {

// Contacts whose distance from the zero key is `place`, each in a /24 of its own.
Contact at(std::uint8_t place) {
  NodeId id;
  id.bytes[19] = place;
  return {id, {IpAddress::v4(20, 0, place, 1), 1}, 0, 0, 0};
}
// The same, all in one /24.
Contact crowded(std::uint8_t place) {
  Contact contact = at(place);
  contact.rpc.address = IpAddress::v4(20, 9, 9, place);
  return contact;
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

TEST_CASE("who named three that failed is blamed: whom only it named comes after everybody else") {
  const NodeId liar = at(200).id;
  const NodeId other = at(201).id;
  Shortlist list(Key{}, far_away(), 20);
  for (const std::uint8_t place : {1, 2, 3, 4, 5, 6}) list.add(at(place), 2, liar);
  list.add(at(6), 2, other);  // the other knows this one, too
  for (const std::uint8_t place : {10, 11}) list.add(at(place), 1);
  list.find(at(1).id)->state = State::failed;
  CHECK(list.next(2)->contact == at(2));  // one may be bad luck
  list.find(at(2).id)->state = State::failed;
  CHECK(list.next(2)->contact == at(3));  // and two, when many die
  list.find(at(3).id)->state = State::failed;
  CHECK(list.next(2)->contact == at(6));
  list.find(at(6).id)->state = State::asked;
  CHECK(list.next(2)->contact == at(10));  // they hold no place either
  list.find(at(10).id)->state = State::asked;
  CHECK(list.next(2) == nullptr);  // it may name others
  CHECK(list.next(3)->contact == at(11));
  for (const std::uint8_t place : {6, 10}) list.find(at(place).id)->state = State::failed;
  list.find(at(11).id)->state = State::failed;
  CHECK(list.next(2)->contact == at(4));  // nobody else is left
  CHECK_FALSE(list.settled(1));
}

TEST_CASE(
    "the next towards a place is the fresh one closest to it that is closer to the target than we are") {
  const NodeId liar = at(200).id;
  Shortlist list(Key{}, far_away(), 20);
  for (const std::uint8_t place : {2, 5, 40}) list.add(at(place), 1);
  const auto next = [&](std::uint8_t toward, std::uint8_t here) {
    const Candidate* found = list.next_towards(at(toward).id.as<Key>(), distance(at(here).id, Key{}));
    return found == nullptr ? 0 : found->contact.id.bytes[19];
  };
  CHECK(next(41, 200) == 40);
  CHECK(next(44, 40) == 5);
  CHECK(next(3, 200) == 2);
  CHECK(next(41, 2) == 0);
  list.find(at(5).id)->state = State::asked;
  CHECK(next(44, 40) == 2);
  // Whom only a blamed node names comes last, however close.
  for (const std::uint8_t place : {32, 33, 34, 35}) list.add(at(place), 2, liar);
  CHECK(next(35, 200) == 35);
  for (const std::uint8_t place : {32, 33, 34}) list.find(at(place).id)->state = State::failed;
  CHECK(next(35, 200) == 40);
  list.find(at(40).id)->state = State::answered;
  list.find(at(2).id)->state = State::answered;
  CHECK(next(35, 200) == 35);
}

TEST_CASE("who named one that answered is not blamed for those that failed") {
  const NodeId honest = at(200).id;
  Shortlist list(Key{}, far_away(), 20);
  for (const std::uint8_t place : {1, 2, 3, 4, 5}) list.add(at(place), 2, honest);
  list.add(at(10), 1);
  for (const std::uint8_t place : {1, 2, 3}) list.find(at(place).id)->state = State::failed;
  CHECK(list.next(2)->contact == at(10));
  list.find(at(4).id)->state = State::answered;
  CHECK(list.next(2)->contact == at(5));
}

TEST_CASE("our own table is not blamed, and nobody confirms itself") {
  Shortlist list(Key{}, far_away(), 20);
  const NodeId liar = at(200).id;
  for (const std::uint8_t place : {1, 2, 3, 7}) list.add(at(place), 1);
  for (const std::uint8_t place : {4, 5, 6, 8}) list.add(at(place), 1, liar);
  for (const std::uint8_t place : {1, 2, 3, 4, 5, 6}) list.find(at(place).id)->state = State::failed;
  list.add(at(8), 2, at(8).id);
  CHECK(list.next(8)->contact == at(7));
  list.find(at(7).id)->state = State::answered;
  list.add(at(9), 1, at(7).id);
  CHECK(list.next(8)->contact == at(9));
  list.add(at(8), 1);
  CHECK(list.next(8)->contact == at(8));
}

TEST_CASE("a blamed namer's candidates give way in a full list, and displace nobody else's") {
  const NodeId liar = at(200).id;
  Shortlist list(Key{}, far_away(), 6);
  for (const std::uint8_t place : {3, 4, 5, 6}) list.add(at(place), 1, liar);
  for (const std::uint8_t place : {20, 21}) list.add(at(place), 1);
  for (const std::uint8_t place : {3, 4, 5}) list.find(at(place).id)->state = State::failed;
  list.add(at(1), 1, liar);
  CHECK(list.find(at(1).id) != nullptr);
  CHECK(list.find(at(6).id) == nullptr);
  CHECK(list.find(at(21).id) != nullptr);
  list.add(at(2), 1, liar);
  CHECK(list.find(at(2).id) == nullptr);
  list.add(at(30), 1);
  CHECK(list.find(at(30).id) != nullptr);
  CHECK(list.find(at(1).id) == nullptr);
}

TEST_CASE(
    "ids closer to the target than chance would have them are passed over, if the number of nodes is known") {
  const auto sharing = [](int bits, std::uint8_t last) {
    Contact contact = at(last);
    contact.id = NodeId{};
    contact.id.set_bit(bits, true);
    contact.id.bytes[19] = last;
    contact.rpc = {IpAddress::v4(30, 1, last, 1), 7000};
    return contact;
  };
  Shortlist list(Key{}, far_away(), 20, Shortlist::kPerPrefixMax, 1000);
  list.add(sharing(40, 1), 1);  // one of 1,000 so close: once in 10^9 targets
  CHECK(list.candidates().empty());
  // Alone it would be luck; four of them are a crowd, and the one further out counts.
  for (const std::uint8_t last : {2, 3, 4, 5}) list.add(sharing(17, last), 1);
  list.add(sharing(9, 6), 1);
  for (const std::uint8_t last : {2, 3, 4, 5}) list.find(sharing(17, last).id)->state = State::answered;
  CHECK(list.candidates().size() == 5);
  CHECK(list.settled(1));
  CHECK_FALSE(list.settled(2));
  CHECK(list.next(2)->contact == sharing(9, 6));
  // It remains one when its first have failed.
  for (const std::uint8_t last : {2, 3}) list.find(sharing(17, last).id)->state = State::failed;
  for (const std::uint8_t last : {4, 5}) list.find(sharing(17, last).id)->state = State::fresh;
  CHECK(list.next(1)->contact == sharing(9, 6));
  // Without a number nobody can say what is close.
  Shortlist anyone(Key{}, far_away(), 20);
  anyone.add(sharing(40, 1), 1);
  CHECK(anyone.candidates().size() == 1);
}

TEST_CASE("of one /24 the 2 closest that live are looked at, further ones as if they were not there") {
  Shortlist list(Key{}, far_away(), 20);
  for (const std::uint8_t place : {1, 2, 3, 4}) list.add(crowded(place), 1);
  for (const std::uint8_t place : {10, 11}) list.add(at(place), 1);
  for (const std::uint8_t place : {1, 2}) list.find(at(place).id)->state = State::answered;
  CHECK(list.head()->contact == crowded(1));
  CHECK(list.next(8)->contact == at(10));
  CHECK(list.answered(8) == 2);
  CHECK(list.settled(2));
  CHECK_FALSE(list.settled(3));
  CHECK(list.is_quiet(2));
  CHECK_FALSE(list.is_quiet(3));
  for (const std::uint8_t place : {10, 11}) list.find(at(place).id)->state = State::answered;
  CHECK(list.settled(8));
  CHECK(list.next(8) == nullptr);
  list.find(at(2).id)->state = State::failed;  // so there is room for the next one
  CHECK(list.next(8)->contact == crowded(3));
  CHECK_FALSE(list.settled(8));
}

TEST_CASE("that limit can be set or lifted, and does not hold for private networks") {
  Shortlist lifted(Key{}, far_away(), 20, 0);
  Shortlist strict(Key{}, far_away(), 20, 1);
  Shortlist local(Key{}, far_away(), 20);
  for (const std::uint8_t place : {1, 2, 3, 4}) {
    lifted.add(crowded(place), 1);
    strict.add(crowded(place), 1);
    Contact near = at(place);
    near.rpc.address = IpAddress::v4(10, 0, 0, place);
    local.add(near, 1);
  }
  for (Shortlist* list : {&lifted, &strict, &local}) {
    for (Candidate& candidate : list->candidates()) candidate.state = State::answered;
  }
  CHECK(lifted.answered(8) == 4);
  CHECK(strict.answered(8) == 1);
  CHECK(local.answered(8) == 4);
}
