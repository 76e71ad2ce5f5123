#include "dsht/routing_table.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/random.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;
using Admission = RoutingTable::Admission;

namespace {

constexpr TimePoint t0 = TimePoint{} + 1h;

// An id that shares exactly `bits` leading bits with the zero id.
NodeId in_bucket(int bits, Random& random) {
  NodeId id = random.id<NodeId>();
  for (int i = 0; i < bits; ++i) id.set_bit(i, false);
  id.set_bit(bits, true);
  return id;
}

Contact at(const NodeId& id, IpAddress address) { return {id, {address, 8091}, 0, 0, 0}; }

struct Fixture {
  Random random{3};
  RoutingTable table{NodeId{}, {}};
  std::uint32_t next = 0x14000001;
  // In a /24 of its own.
  Contact fresh(int bucket) { return at(in_bucket(bucket, random), IpAddress::v4(next += 256)); }
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture, "a bucket holds k contacts; who comes later is remembered and takes a place that becomes free") {
  std::vector<Contact> contacts;
  for (int i = 0; i < 8; ++i) {
    contacts.push_back(fresh(0));
    CHECK(table.answered(t0, contacts.back()) == Admission::added);
  }
  const Contact ninth = fresh(0);
  CHECK(table.answered(t0, ninth) == Admission::bucket_full);
  CHECK(table.size() == 8);
  CHECK(table.answered(t0, fresh(1)) == Admission::added);  // another bucket has room
  table.remove(contacts[3].id);
  CHECK(table.take_replacement(contacts[3].id) == ninth);
  CHECK_FALSE(table.take_replacement(contacts[3].id).has_value());
  CHECK(table.answered(t0, ninth) == Admission::added);
}

TEST_CASE_FIXTURE(Fixture, "we are never in our own table") {
  CHECK(table.answered(t0, at(NodeId{}, IpAddress::v4(20, 0, 0, 1))) == Admission::self);
  CHECK(table.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a time-out makes a contact suspect, several drop it, an answer clears it") {
  const Contact contact = fresh(0);
  table.answered(t0, contact);
  CHECK_FALSE(table.timed_out(contact.id));
  CHECK(table.find(contact.id)->is_suspect());
  CHECK(table.closest(Key{}, 8, false).empty());
  CHECK(table.closest(Key{}, 8, true).size() == 1);
  table.answered(t0 + 1s, contact);
  CHECK_FALSE(table.find(contact.id)->is_suspect());
  for (int i = 0; i < 3; ++i) CHECK_FALSE(table.timed_out(contact.id));
  CHECK(table.timed_out(contact.id));
  CHECK(table.find(contact.id) == nullptr);
  CHECK_FALSE(table.timed_out(contact.id));
}

TEST_CASE_FIXTURE(Fixture, "closest() gives the closest by XOR, in order") {
  std::vector<NodeId> ids;
  for (int i = 0; i < 60; ++i) {
    const Contact contact = fresh(static_cast<int>(random.below(10)));
    if (table.answered(t0, contact) == Admission::added) ids.push_back(contact.id);
  }
  const Key target = random.id<Key>();
  std::sort(ids.begin(), ids.end(),
            [&](const auto& a, const auto& b) { return distance(a, target) < distance(b, target); });
  const auto closest = table.closest(target, 8, true);
  REQUIRE(closest.size() == 8);
  for (std::size_t i = 0; i < closest.size(); ++i) CHECK(closest[i]->contact.id == ids[i]);
}

TEST_CASE_FIXTURE(Fixture, "at most 2 contacts of a /24 enter a bucket, and 8 the table") {
  int entered = 0;
  for (int bucket = 0; bucket < 8; ++bucket) {
    int in_this = 0;
    for (int i = 0; i < 4; ++i) {
      const Contact contact =
          at(in_bucket(bucket, random), IpAddress::v4(20, 9, 9, static_cast<std::uint8_t>(bucket * 4 + i)));
      in_this += table.answered(t0, contact) == Admission::added;
    }
    CHECK(in_this <= 2);
    entered += in_this;
  }
  CHECK(entered == 8);
}

TEST_CASE_FIXTURE(Fixture, "the same holds for an IPv6 /48") {
  int entered = 0;
  for (int i = 0; i < 4; ++i) {
    std::array<std::uint8_t, 16> raw = {0x26, 0x20, 0, 1, 0, 2, static_cast<std::uint8_t>(i), 0, 0, 0,
                                        0,    0,    0, 0, 0, 1};
    entered += table.answered(t0, at(in_bucket(0, random), IpAddress::v6(raw))) == Admission::added;
  }
  CHECK(entered == 2);
}

TEST_CASE_FIXTURE(Fixture, "loopback and private networks have one prefix by nature: no such limit") {
  int entered = 0;
  for (int i = 0; i < 8; ++i) {
    entered += table.answered(
                   t0, at(in_bucket(0, random), IpAddress::v4(127, 0, 0, static_cast<std::uint8_t>(i)))) ==
               Admission::added;
  }
  CHECK(entered == 8);
}

TEST_CASE_FIXTURE(Fixture, "another endpoint with a known id is believed only when the known one is silent") {
  const Contact contact = fresh(0);
  table.answered(t0, contact);
  Contact moved = contact;
  moved.rpc.port = 9000;
  table.answered(t0 + 1s, moved);
  CHECK(table.find(contact.id)->contact.rpc == contact.rpc);
  table.answered(t0 + 2min, moved);
  CHECK(table.find(contact.id)->contact.rpc == moved.rpc);
  table.timed_out(contact.id);
  table.answered(t0 + 2min, contact);
  CHECK(table.find(contact.id)->contact.rpc == contact.rpc);
}
