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

using Clusters = std::array<ClusterDescription, 2>;
constexpr LevelMask kLevel0 = mask_of(0);
constexpr LevelMask kLevel2 = mask_of(0) | mask_of(2);
constexpr LevelMask kAll = mask_of(0) | mask_of(1) | mask_of(2);

ClusterId cluster(std::uint8_t number) {
  ClusterId id;
  id.bytes[0] = number;
  return id;
}

struct Fixture {
  Random random{3};
  RoutingTable table{NodeId{}, {}};
  std::uint32_t next = 0x14000001;
  // In a /24 of its own.
  Contact fresh(int bucket) { return at(in_bucket(bucket, random), IpAddress::v4(next += 256)); }
  Admission answered(const Contact& contact, LevelMask wanted = kLevel0, TimePoint now = t0,
                     const Clusters& clusters = {}) {
    return table.answered(now, contact, wanted, clusters);
  }
  std::vector<const TableEntry*> closest(const Key& target, std::size_t count, bool with_suspects = true,
                                         Level level = 0) {
    std::vector<const TableEntry*> out;
    table.closest(level, target, count, with_suspects, out);
    return out;
  }
  // What is told of levels and buckets is what the entries say.
  void check_sums() {
    for (Level level = 0; level < kLevels; ++level) {
      std::array<std::size_t, kIdBits> in_buckets{};
      std::size_t here = 0;
      int deepest = -1;
      for (const TableEntry& entry : table.entries()) {
        CHECK(entry.levels != 0);
        if (!entry.stands_at(level)) continue;
        ++here;
        const int bucket = table.bucket_of(entry.contact.id);
        ++in_buckets[static_cast<std::size_t>(bucket)];
        deepest = std::max(deepest, bucket);
      }
      CHECK(table.size(level) == here);
      CHECK(table.deepest_bucket(level) == deepest);
      CHECK(closest(Key{}, 10'000, true, level).size() == here);
      const std::size_t k = level == 2 ? 64 : 8;
      for (int i = 0; i < kIdBits; ++i) {
        CHECK(in_buckets[static_cast<std::size_t>(i)] <= k);
        CHECK(table.bucket_is_full(level, i) == (in_buckets[static_cast<std::size_t>(i)] == k));
      }
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture, "a bucket holds k contacts; who comes later is remembered and takes a place that becomes free") {
  std::vector<Contact> contacts;
  for (int i = 0; i < 8; ++i) {
    contacts.push_back(fresh(0));
    CHECK(answered(contacts.back()) == Admission::added);
  }
  const Contact ninth = fresh(0);
  CHECK(answered(ninth) == Admission::bucket_full);
  CHECK(table.size() == 8);
  CHECK(answered(fresh(1)) == Admission::added);  // another bucket has room
  table.remove(contacts[3].id);
  CHECK(table.take_replacement(contacts[3].id) == ninth);
  CHECK_FALSE(table.take_replacement(contacts[3].id).has_value());
  CHECK(answered(ninth) == Admission::added);
}

TEST_CASE_FIXTURE(Fixture, "we are never in our own table") {
  CHECK(answered(at(NodeId{}, IpAddress::v4(20, 0, 0, 1))) == Admission::self);
  CHECK(table.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a time-out makes a contact suspect, several drop it, an answer clears it") {
  const Contact contact = fresh(0);
  answered(contact);
  CHECK_FALSE(table.timed_out(contact.id));
  CHECK(table.find(contact.id)->is_suspect());
  CHECK(closest(Key{}, 8, false).empty());
  CHECK(closest(Key{}, 8, true).size() == 1);
  answered(contact, kLevel0, t0 + 1s);
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
    if (answered(contact) == Admission::added) ids.push_back(contact.id);
  }
  const Key target = random.id<Key>();
  std::sort(ids.begin(), ids.end(),
            [&](const auto& a, const auto& b) { return distance(a, target) < distance(b, target); });
  const auto near = closest(target, 8);
  REQUIRE(near.size() == 8);
  for (std::size_t i = 0; i < near.size(); ++i) CHECK(near[i]->contact.id == ids[i]);
}

TEST_CASE_FIXTURE(Fixture, "at most 2 contacts of a /24 enter a bucket, and 8 the table") {
  int entered = 0;
  for (int bucket = 0; bucket < 8; ++bucket) {
    int in_this = 0;
    for (int i = 0; i < 4; ++i) {
      const Contact contact =
          at(in_bucket(bucket, random), IpAddress::v4(20, 9, 9, static_cast<std::uint8_t>(bucket * 4 + i)));
      in_this += answered(contact) == Admission::added;
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
    entered += answered(at(in_bucket(0, random), IpAddress::v6(raw))) == Admission::added;
  }
  CHECK(entered == 2);
}

TEST_CASE_FIXTURE(Fixture, "loopback and private networks have one prefix by nature: no such limit") {
  int entered = 0;
  for (int i = 0; i < 8; ++i) {
    entered += answered(at(in_bucket(0, random), IpAddress::v4(127, 0, 0, static_cast<std::uint8_t>(i)))) ==
               Admission::added;
  }
  CHECK(entered == 8);
}

TEST_CASE_FIXTURE(Fixture, "another endpoint with a known id is believed only when the known one is silent") {
  const Contact contact = fresh(0);
  answered(contact);
  Contact moved = contact;
  moved.rpc.port = 9000;
  answered(moved, kLevel0, t0 + 1s);
  CHECK(table.find(contact.id)->contact.rpc == contact.rpc);
  answered(moved, kLevel0, t0 + 2min);
  CHECK(table.find(contact.id)->contact.rpc == moved.rpc);
  table.timed_out(contact.id);
  answered(contact, kLevel0, t0 + 2min);
  CHECK(table.find(contact.id)->contact.rpc == contact.rpc);
}

TEST_CASE_FIXTURE(Fixture, "who moved is unproven, unmeasured and without token; who stayed is not") {
  const Contact contact = fresh(0);
  answered(contact);
  TableEntry* entry = table.find(contact.id);
  entry->proven = true;
  entry->token = 7;
  entry->rtt.sample(t0, 10ms);
  answered(contact, kLevel0, t0 + 2min);
  CHECK(entry->proven);
  CHECK(entry->token == 7);
  Contact moved = contact;
  moved.rpc.port = 9000;
  answered(moved, kLevel0, t0 + 4min);
  CHECK_FALSE(entry->proven);
  CHECK(entry->token == 0);
  CHECK_FALSE(entry->rtt.least());
}

TEST_CASE_FIXTURE(Fixture, "who moves into a /24 that is full is dropped") {
  const Contact mover = fresh(0);
  answered(mover);
  for (std::uint8_t i = 0; i < 2; ++i) answered(at(in_bucket(0, random), IpAddress::v4(20, 9, 9, i)));
  Contact moved = mover;
  moved.rpc.address = IpAddress::v4(20, 9, 9, 100);
  CHECK(answered(moved, kLevel0, t0 + 2min) == Admission::prefix_full);
  CHECK(table.find(mover.id) == nullptr);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "a contact stands at the levels whose cluster it shares, and at level 0 always") {
  const Contact near = fresh(0);
  const Contact far = fresh(0);
  CHECK(answered(near, kLevel2) == Admission::added);
  CHECK(answered(far, 0) == Admission::added);
  CHECK(table.find(near.id)->levels == kLevel2);
  CHECK(table.find(far.id)->levels == kLevel0);
  CHECK(closest(Key{}, 8, true, 2).size() == 1);
  CHECK(closest(Key{}, 8, true, 1).empty());
  CHECK(answered(near, kLevel0 | mask_of(1)) == Admission::known);  // it changed its clusters
  CHECK(table.find(near.id)->levels == (kLevel0 | mask_of(1)));
  check_sums();
}

TEST_CASE_FIXTURE(Fixture,
                  "when the bucket of level 0 is full a contact of our cluster lives at level 2 only") {
  std::vector<Contact> far;
  for (int i = 0; i < 8; ++i) answered(far.emplace_back(fresh(0)));
  const Contact near = fresh(0);
  CHECK(table.admission(near, kLevel0) == Admission::bucket_full);
  CHECK(table.admission(near, kLevel2) == Admission::added);
  CHECK(answered(near, kLevel2) == Admission::added);
  CHECK(table.find(near.id)->levels == mask_of(2));
  CHECK(closest(near.id.as<Key>(), 1)[0]->contact != near);
  CHECK(closest(near.id.as<Key>(), 1, true, 2)[0]->contact == near);
  CHECK_FALSE(table.take_replacement(near.id).has_value());
  check_sums();
  // It leaves our cluster: no place is left, but it is remembered.
  CHECK(answered(near, kLevel0) == Admission::bucket_full);
  CHECK(table.find(near.id) == nullptr);
  CHECK(table.take_replacement(near.id) == near);
  // And with a place at level 0 free it takes that, too.
  answered(near, kLevel2);
  table.remove(far[2].id);
  CHECK(answered(near, kLevel2) == Admission::known);
  CHECK(table.find(near.id)->levels == kLevel2);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "a bucket of level 2 holds 64, and 16 of a /24; a bucket of level 1 holds 8") {
  for (int i = 0; i < 70; ++i) answered(fresh(0), kAll);
  CHECK(table.size(0) == 8);
  CHECK(table.size(1) == 8);
  CHECK(table.size(2) == 64);
  for (std::uint8_t i = 0; i < 30; ++i)
    answered(at(in_bucket(1, random), IpAddress::v4(20, 9, 9, i)), mask_of(2));
  CHECK(table.size(2) == 64 + 16);
  CHECK(table.size(0) == 8 + 2);
  for (std::uint8_t i = 0; i < 200; ++i)
    answered(at(in_bucket(2 + i % 8, random), IpAddress::v4(20, 9, 9, i)), mask_of(2));
  CHECK(table.size(2) == 64 + 64);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture,
                  "of a full bucket insiders, which stand at an inner level besides, leave others all but a "
                  "quarter, and stay in the table") {
  std::vector<Contact> insiders;
  for (int i = 0; i < 8; ++i) answered(insiders.emplace_back(fresh(0)), kLevel2, t0 + i * 1s);
  // The one not heard for the longest time is the first to make room.
  answered(insiders[0], kLevel2, t0 + 20s);
  for (std::size_t i = 1; i <= 6; ++i) {
    const Contact far = fresh(0);
    CHECK(table.admission(far, kLevel0) == Admission::added);
    CHECK(answered(far) == Admission::added);
    CHECK(table.find(insiders[i].id)->levels == mask_of(2));
  }
  CHECK(table.find(insiders[0].id)->levels == kLevel2);
  CHECK(table.find(insiders[7].id)->levels == kLevel2);
  CHECK(table.size(0) == 8);
  CHECK(table.size(2) == 8);
  const Contact late = fresh(0);
  CHECK(table.admission(late, kLevel0) == Admission::bucket_full);
  CHECK(answered(late) == Admission::bucket_full);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture,
                  "an insider takes an insider's place when it is new, later only one that is free") {
  std::vector<Contact> insiders;
  for (int i = 0; i < 8; ++i) answered(insiders.emplace_back(fresh(0)), kLevel2, t0 + i * 1s);
  const Contact latecomer = fresh(0);
  CHECK(answered(latecomer, kLevel2, t0 + 10s) == Admission::added);
  CHECK(table.find(latecomer.id)->levels == kLevel2);
  CHECK(table.find(insiders[0].id)->levels == mask_of(2));
  CHECK(answered(insiders[0], kLevel2, t0 + 11s) == Admission::known);
  CHECK(table.find(insiders[0].id)->levels == mask_of(2));
  CHECK(table.size(0) == 8);
  CHECK(table.size(2) == 9);
  table.remove(latecomer.id);
  answered(insiders[0], kLevel2, t0 + 12s);
  CHECK(table.find(insiders[0].id)->levels == kLevel2);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "who stands at one level only makes room for nobody") {
  for (int i = 0; i < 8; ++i) answered(fresh(0));
  const Contact insider = fresh(0);
  CHECK(answered(insider, kLevel2) == Admission::added);
  CHECK(table.find(insider.id)->levels == mask_of(2));
  CHECK(table.admission(fresh(0), kLevel0) == Admission::bucket_full);
  for (int i = 0; i < 8; ++i) answered(fresh(1), kLevel2);
  for (int i = 0; i < 56; ++i) answered(fresh(1), mask_of(2));
  // Without a place further in, somebody of our cluster is no reason to give one up.
  CHECK(table.admission(fresh(1), kLevel2) == Admission::bucket_full);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "at level 1 those of our level-2 cluster make room for those of level 1 alone") {
  for (int i = 0; i < 8; ++i) answered(fresh(0), kAll);
  const LevelMask both = kLevel0 | mask_of(1);
  for (int i = 0; i < 6; ++i) CHECK(answered(fresh(0), both) == Admission::added);
  CHECK(answered(fresh(0), both) == Admission::bucket_full);
  CHECK(table.size(0) == 8);
  CHECK(table.size(1) == 8);
  CHECK(table.size(2) == 8);
  CHECK(table.size() == 8 + 6);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "insiders make no room for more of a /24 than may enter") {
  for (int i = 0; i < 8; ++i) answered(fresh(0), kLevel2);
  for (std::uint8_t i = 0; i < 2; ++i)
    CHECK(answered(at(in_bucket(0, random), IpAddress::v4(20, 9, 9, i))) == Admission::added);
  CHECK(answered(at(in_bucket(0, random), IpAddress::v4(20, 9, 9, 9))) == Admission::prefix_full);
  CHECK(answered(fresh(0)) == Admission::added);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "with another cluster a level is filled anew from what its members said last") {
  const Clusters ours{{{cluster(1), 5, 0}, {cluster(2), 3, 0}}};
  const Clusters theirs{{{cluster(1), 5, 0}, {cluster(7), 3, 0}}};
  const Contact a = fresh(0);
  const Contact b = fresh(1);
  answered(a, kAll, t0, ours);
  answered(b, kLevel0 | mask_of(1), t0, theirs);
  std::vector<Contact> only_near;  // no place at level 0
  for (int i = 0; i < 20; ++i) answered(only_near.emplace_back(fresh(2)), kAll, t0, ours);
  CHECK(table.size(0) == 10);
  CHECK(table.size(2) == 21);
  table.rebuild(2, cluster(7));
  CHECK(table.find(a.id)->levels == (mask_of(0) | mask_of(1)));
  CHECK(table.find(b.id)->levels == kAll);
  CHECK(table.size(2) == 1);
  // Of the others those remain that have a place at level 1, and those for whom these make room at level 0.
  CHECK(table.size() == 2 + 8 + 6);
  CHECK(table.take_replacement(only_near[0].id).has_value());
  check_sums();
  table.rebuild(2, ClusterId{});
  CHECK(table.size(2) == 0);
  check_sums();
}

TEST_CASE_FIXTURE(Fixture, "who lost its cluster takes a free place at level 0") {
  std::vector<Contact> far;
  for (int i = 0; i < 8; ++i) answered(far.emplace_back(fresh(0)));
  const Contact near = fresh(0);
  answered(near, kLevel2, t0, {{{}, {cluster(2), 3, 0}}});
  table.remove(far[0].id);
  table.rebuild(2, cluster(3));
  REQUIRE(table.find(near.id) != nullptr);
  CHECK(table.find(near.id)->levels == kLevel0);
}

TEST_CASE_FIXTURE(Fixture, "ids that begin alike are told apart and ordered by their ends") {
  const NodeId base = in_bucket(0, random);
  std::vector<NodeId> ids;
  for (std::uint8_t i = 0; i < 8; ++i) {
    NodeId id = base;
    id.bytes[9] = static_cast<std::uint8_t>(i * 37);
    ids.push_back(id);
    CHECK(answered(at(id, IpAddress::v4(next += 256))) == Admission::added);
  }
  for (const NodeId& id : ids) {
    REQUIRE(table.find(id) != nullptr);
    CHECK(table.find(id)->contact.id == id);
  }
  Key target = base.as<Key>();
  target.bytes[9] = 100;
  std::sort(ids.begin(), ids.end(),
            [&](const auto& x, const auto& y) { return distance(x, target) < distance(y, target); });
  const auto near = closest(target, 5);
  REQUIRE(near.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(near[i]->contact.id == ids[i]);
  CHECK(table.count_closer(0, target, distance(ids[3], target), 100) == 3);
  CHECK(table.count_closer(0, target, distance(ids[3], target), 2) == 2);
  CHECK(table.count_closer(1, target, distance(ids[3], target), 100) == 0);
  table.timed_out(ids[0]);
  CHECK(table.count_closer(0, target, distance(ids[3], target), 100) == 2);
  CHECK(closest(target, 5, false)[0]->contact.id == ids[1]);
}

TEST_CASE_FIXTURE(Fixture, "whatever comes and goes: closest() and the sums agree with a plain search") {
  std::vector<Contact> known;
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t dice = random.below(10);
    if (dice < 6 || known.empty()) {
      const Contact contact = known.size() > 50 && dice < 2 ? known[random.below(known.size())]
                                                            : fresh(static_cast<int>(random.below(12)));
      answered(contact, static_cast<LevelMask>(random.below(8)));
      known.push_back(contact);
    } else if (dice < 7) {
      table.remove(known[random.below(known.size())].id);
    } else if (dice < 9) {
      table.timed_out(known[random.below(known.size())].id);
    } else {
      const Key target = random.id<Key>();
      const auto level = static_cast<Level>(random.below(3));
      const std::size_t count = random.below(100);
      const bool with_suspects = random.below(2) == 0;
      std::vector<NodeId> expected;
      for (const TableEntry& entry : table.entries()) {
        if (entry.stands_at(level) && (with_suspects || !entry.is_suspect()))
          expected.push_back(entry.contact.id);
      }
      std::sort(expected.begin(), expected.end(),
                [&](const auto& x, const auto& y) { return distance(x, target) < distance(y, target); });
      expected.resize(std::min(expected.size(), count));
      std::vector<NodeId> got;
      for (const TableEntry* entry : closest(target, count, with_suspects, level))
        got.push_back(entry->contact.id);
      CHECK(got == expected);
    }
  }
  CHECK(table.size() > 50);
  check_sums();
}

TEST_CASE("a small level is counted") {
  Random random(11);
  RoutingTable table(NodeId{}, {});
  CHECK(table.estimated_nodes(0) == 1);
  for (int i = 0; i < 6; ++i) table.answered(t0, at(random.id<NodeId>(), IpAddress::v4(10, 0, 0, 1)), 0, {});
  CHECK(table.estimated_nodes(0) == 7);
  CHECK(table.estimated_nodes(2) == 1);
}

TEST_CASE("a large level is estimated from the density of ids, within 35 % most times and without bias") {
  for (const int nodes : {100, 1'000, 10'000}) {
    const int networks = 60;
    int near = 0;
    double sum = 0;
    for (int seed = 1; seed <= networks; ++seed) {
      Random random(static_cast<std::uint64_t>(seed * 1000 + nodes));
      RoutingTable table(random.id<NodeId>(), {});
      for (int i = 1; i < nodes; ++i)
        table.answered(t0, at(random.id<NodeId>(), IpAddress::v4(10, 0, 0, 1)), mask_of(2), {});
      const double ratio = table.estimated_nodes(0) / nodes;
      near += ratio > 0.65 && ratio < 1.35;
      sum += ratio;
      CHECK(ratio > 0.3);
      CHECK(ratio < 4);
      const double wide = table.estimated_nodes(2) / nodes;  // buckets of 64 say more
      CHECK(wide > 0.6);
      CHECK(wide < 1.6);
    }
    MESSAGE(nodes << ": within 35 % " << near << " of " << networks << ", mean " << sum / networks);
    CHECK(near >= networks * 7 / 10);
    CHECK(sum / networks > 0.85);
    CHECK(sum / networks < 1.15);
  }
}
