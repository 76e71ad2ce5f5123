#include "dsht/clusters.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crypto.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;
using Why = ClusterChanged::Why;

namespace {

const TimePoint t0 = TimePoint{} + 1h;

// An id that begins with this byte.
template <class IdType>
IdType id_at(int first, int last = 0) {
  IdType id;
  id.bytes[0] = static_cast<std::uint8_t>(first);
  id.bytes[18] = static_cast<std::uint8_t>(last >> 8);
  id.bytes[19] = static_cast<std::uint8_t>(last);
  return id;
}

Contact contact(int first, int last = 1) {
  const auto number = static_cast<std::uint32_t>(first << 16 | last);
  return {id_at<NodeId>(first, last), {IpAddress::v4(number), 1}, 0, 0, 0};
}

ClusterDescription cluster(int first, int log2_size = 3, int age = 60) {
  return {id_at<ClusterId>(first, 7), static_cast<std::uint8_t>(log2_size), static_cast<std::uint32_t>(age)};
}

// One node, and what it does.
struct Lone {
  ClusterOptions options;
  Clusters clusters{options, id_at<NodeId>(0x80), Random(5), t0};
  TimePoint now = t0;
  std::vector<ClusterChanged> changes;
  std::vector<MeasureRtt> measures;
  std::vector<AskMembers> asks;

  explicit Lone(int first = 0x80) : clusters(options, id_at<NodeId>(first), Random(5), t0) {}

  void hear(const Contact& from, const ClusterDescription& level2, std::optional<Duration> rtt) {
    clusters.heard(now, from, {ClusterDescription{}, level2}, rtt);
  }
  void run(Duration time) {
    const TimePoint end = now + time;
    while (clusters.next_deadline() <= end) {
      now = std::max(now, clusters.next_deadline());
      std::vector<ClusterAction> actions;
      clusters.on_deadline(now, actions);
      REQUIRE(clusters.next_deadline() > now);
      for (const auto& action : actions) {
        if (const auto* c = std::get_if<ClusterChanged>(&action)) changes.push_back(*c);
        if (const auto* m = std::get_if<MeasureRtt>(&action)) measures.push_back(*m);
        if (const auto* a = std::get_if<AskMembers>(&action)) asks.push_back(*a);
      }
    }
    now = end;
  }
  // Members of a cluster speak, so many of them near.
  void members(const ClusterDescription& of, int all, int near, int first = 0x10) {
    for (int i = 0; i < all; ++i) hear(contact(first, i + 1), of, i < near ? 5ms : 40ms);
  }
};

}  // namespace

TEST_CASE("the hysteresis is 0 in even hours of an age and 2 in odd ones (NSDI 2004, §4.4)") {
  CHECK(Clusters::hysteresis(0s) == 0);
  CHECK(Clusters::hysteresis(59min + 59s) == 0);
  CHECK(Clusters::hysteresis(1h) == 2);
  CHECK(Clusters::hysteresis(2h - 1s) == 2);
  CHECK(Clusters::hysteresis(2h) == 0);
}

TEST_CASE("of two clusters the larger is preferred, and at about the same size the one with the lower id") {
  const int odd = 3700;
  CHECK(Clusters::prefers(cluster(9, 5), cluster(1, 4)));
  CHECK_FALSE(Clusters::prefers(cluster(1, 4), cluster(9, 5)));
  CHECK(Clusters::prefers(cluster(1, 4), cluster(9, 4)));
  CHECK_FALSE(Clusters::prefers(cluster(9, 4), cluster(1, 4)));
  // The age of the younger one decides which hour it is.
  CHECK(Clusters::prefers(cluster(1, 3, odd), cluster(9, 5, odd)));
  CHECK_FALSE(Clusters::prefers(cluster(1, 3, odd), cluster(9, 5, 100)));
  CHECK(Clusters::prefers(cluster(9, 6, odd), cluster(1, 3, odd)));
  CHECK_FALSE(Clusters::prefers(cluster(1, 3), cluster(1, 3)));
}

TEST_CASE("a node founds a cluster of its own at both levels and says so") {
  Lone node;
  const auto said = node.clusters.describe(t0 + 90s);
  CHECK(said[0].id == node.clusters.id(1));
  CHECK(said[1].id == node.clusters.id(2));
  CHECK(said[0].id != said[1].id);
  CHECK_FALSE(said[0].id.is_zero());
  CHECK(said[1].log2_size == 0);
  CHECK(said[1].age_seconds == 90);
  CHECK_FALSE(node.clusters.share_within(2).has_value());
  node.clusters.set_size(2, 23);
  CHECK(node.clusters.describe(t0)[1].log2_size == 5);
}

TEST_CASE("a lone node joins the first acceptable cluster within seconds, at the level that it heard of") {
  Lone node;
  node.members(cluster(0xee), 5, 4);
  node.run(10s);
  REQUIRE(node.changes.size() == 1);
  CHECK(node.changes[0].level == 2);
  CHECK(node.changes[0].to == cluster(0xee).id);
  CHECK(node.changes[0].why == Why::preferred);
  CHECK(node.clusters.id(2) == cluster(0xee).id);
  CHECK(node.clusters.switches(2) == 1);
  CHECK(node.clusters.switches(1) == 0);
  CHECK(node.clusters.joined_at(2) > t0);
  CHECK(node.clusters.share_within(2) == doctest::Approx(0.8));
  // Its age goes on, and its size is what the others said until we know better.
  CHECK(node.clusters.describe(node.now)[1].age_seconds == 70);
  CHECK(node.clusters.describe(node.now)[1].log2_size == 3);
}

TEST_CASE("a cluster of which less than 80 % of the members are near is not joined") {
  Lone node;
  node.members(cluster(0x01), 8, 6);
  node.run(20min);
  CHECK(node.changes.empty());
}

TEST_CASE("too few measured members say nothing about a large cluster; we ask for more of them") {
  Lone node;
  node.members(cluster(0x01, 5), 3, 3);
  node.run(1min);
  CHECK(node.changes.empty());
  REQUIRE_FALSE(node.asks.empty());
  CHECK(node.asks[0].level == 2);
  CHECK(node.asks[0].cluster == cluster(0x01).id);
  // Who is only named is measured, and counts when it says itself that it is there.
  for (int i = 0; i < 5; ++i) node.clusters.named(node.now, 2, cluster(0x01).id, contact(0x20, i));
  node.run(10s);
  CHECK(node.changes.empty());
  CHECK(node.measures.size() >= 5);
  for (int i = 0; i < 5; ++i) node.hear(contact(0x20, i), cluster(0x01, 5), 3ms);
  node.run(10s);
  CHECK(node.changes.size() == 1);
}

TEST_CASE("members that nobody measured do not make a cluster acceptable") {
  Lone node;
  for (int i = 0; i < 8; ++i) node.hear(contact(0x10, i), cluster(0x01), std::nullopt);
  node.run(1min);
  CHECK(node.changes.empty());
  CHECK(node.measures.size() >= 8);
}

TEST_CASE("of two nodes that are alone the one with the higher cluster id moves") {
  for (const int other : {0x00, 0xff}) {
    Lone node;
    ClusterDescription alone = cluster(other, 0);
    node.hear(contact(0x10), alone, 4ms);
    node.run(1min);
    CHECK(node.changes.size() == (alone.id < node.clusters.id(2) || other == 0x00 ? 1 : 0));
  }
}

TEST_CASE(
    "a node that is content moves to a larger cluster that suits it, not to a smaller or barely near one") {
  Lone node;
  node.members(cluster(0x50, 3), 8, 8);
  node.run(30s);
  REQUIRE(node.clusters.id(2) == cluster(0x50).id);

  SUBCASE("larger") {
    node.members(cluster(0x90, 5), 16, 16, 0x20);
    node.run(10min);
    REQUIRE(node.changes.size() == 2);
    CHECK(node.changes[1].why == Why::preferred);
    CHECK(node.clusters.id(2) == cluster(0x90).id);
  }
  SUBCASE("larger, but only just acceptable") {
    node.members(cluster(0x90, 5), 16, 13, 0x20);
    node.run(10min);
    CHECK(node.changes.size() == 1);
  }
  SUBCASE("as large, with a lower id") {
    node.members(cluster(0x40, 3), 8, 8, 0x20);
    node.run(10min);
    CHECK(node.clusters.id(2) == cluster(0x40).id);
  }
  SUBCASE("as large, with a higher id") {
    node.members(cluster(0x60, 3), 8, 8, 0x20);
    node.run(10min);
    CHECK(node.changes.size() == 1);
  }
  SUBCASE("smaller, with a lower id") {
    node.members(cluster(0x40, 2), 8, 8, 0x20);
    node.run(10min);
    CHECK(node.changes.size() == 1);
  }
}

TEST_CASE(
    "what a node left for a better one it does not prefer again for half an hour, then 2 hours, then 8") {
  Lone node;
  // Of the two the one where we are not always seems much the larger.
  std::vector<TimePoint> moved;
  for (int minute = 0; minute < 15 * 60; ++minute) {
    const bool in_first = node.clusters.id(2) == cluster(0x50).id;
    node.members(cluster(0x50, in_first ? 4 : 8), 16, 16);
    node.members(cluster(0x90, in_first ? 8 : 4), 16, 16, 0x20);
    const std::size_t before = node.changes.size();
    node.run(1min);
    if (node.changes.size() > before) moved.push_back(node.now);
  }
  // The first joins, the second leaves what nobody left before.
  REQUIRE(moved.size() == 7);
  const std::array<Duration, 5> barred = {30min, 30min, 2h, 2h, 8h};
  for (std::size_t i = 0; i < barred.size(); ++i) {
    const Duration stayed = moved[i + 2] - moved[i + 1];
    CHECK(stayed >= barred[i]);
    CHECK(stayed < barred[i] + 15min);
  }
}

TEST_CASE("who finds its cluster too far leaves it for one that is acceptable") {
  Lone node;
  node.members(cluster(0x50, 3), 8, 8);
  node.run(30s);
  REQUIRE(node.clusters.id(2) == cluster(0x50).id);
  for (int i = 0; i < 20; ++i) {
    node.members(cluster(0x50, 3), 8, 3);
    node.members(cluster(0x90, 2), 4, 4, 0x20);
    node.run(1min);
  }
  REQUIRE(node.changes.size() == 2);
  CHECK(node.changes[1].why == Why::not_acceptable);
  CHECK(node.clusters.id(2) == cluster(0x90).id);
  // And serves the old one for a while.
  CHECK(node.clusters.serves(node.now, 2, cluster(0x50).id));
  CHECK(node.clusters.serves(node.now, 2, cluster(0x90).id));
  CHECK_FALSE(node.clusters.serves(node.now, 1, cluster(0x50).id));
  CHECK_FALSE(node.clusters.serves(node.now + 31min, 2, cluster(0x50).id));
  CHECK(node.clusters.serves(node.now + 31min, 2, cluster(0x90).id));
  CHECK(node.clusters.serves(node.now, 0, ClusterId{}));
  CHECK_FALSE(node.clusters.serves(node.now, 2, ClusterId{}));
}

TEST_CASE("a cluster that has become two splits round its centre, and each side takes one successor") {
  // The id of the cluster begins with 0x50: the centre is the member whose id does.
  const auto successor = [](char side) {
    std::string text = "reef split";
    for (const auto byte : cluster(0x50).id.bytes) text.push_back(static_cast<char>(byte));
    text.push_back(side);
    const auto digest = sha256(std::as_bytes(std::span(text)));
    ClusterId id;
    std::memcpy(id.bytes.data(), digest.data(), kIdBytes);
    return id;
  };
  struct Case {
    int self;
    Duration centre;
    char side;
  };
  for (const Case& c : {Case{0x80, 5ms, 0}, Case{0x81, 40ms, 1}, Case{0x80, 50ms, 1}}) {
    Lone node(c.self);
    node.hear(contact(0x50, 1), cluster(0x50, 4), 5ms);
    node.members(cluster(0x50, 4), 9, 9);
    node.run(30s);
    REQUIRE(node.clusters.id(2) == cluster(0x50).id);
    for (int i = 0; i < 20 && node.changes.size() < 2; ++i) {
      node.hear(contact(0x50, 1), cluster(0x50, 4), c.centre);
      node.members(cluster(0x50, 4), 9, 2);
      node.run(1min);
    }
    REQUIRE(node.changes.size() == 2);
    CHECK(node.changes[1].why == Why::split);
    CHECK(node.clusters.id(2) == successor(c.side));
    CHECK(node.clusters.describe(node.now)[1].log2_size == 0);
    CHECK(node.clusters.serves(node.now, 2, cluster(0x50).id));
  }
}

TEST_CASE("who is itself the centre of a split is on the near side") {
  Lone near(0x50);
  near.members(cluster(0x50, 4), 9, 9);
  near.run(30s);
  Lone other(0x80);
  other.hear(contact(0x50, 0), cluster(0x50, 4), 5ms);
  other.members(cluster(0x50, 4), 9, 9);
  other.run(30s);
  for (int i = 0; i < 20; ++i) {
    for (Lone* node : {&near, &other}) {
      if (node->changes.size() > 1) continue;
      if (node == &other) node->hear(contact(0x50, 0), cluster(0x50, 4), 5ms);
      node->members(cluster(0x50, 4), 9, 2);
      node->run(1min);
    }
  }
  REQUIRE(near.changes.size() == 2);
  REQUIRE(other.changes.size() == 2);
  CHECK(near.changes[1].to == other.changes[1].to);
}

TEST_CASE("members that do not answer, or went elsewhere, count no more") {
  Lone node;
  node.members(cluster(0x50, 3), 5, 4);
  node.run(30s);
  REQUIRE(node.clusters.share_within(2) == doctest::Approx(0.8));
  node.clusters.lost(contact(0x10, 5).id);
  CHECK(node.clusters.share_within(2) == doctest::Approx(1.0));
  node.hear(contact(0x10, 4), cluster(0x99, 3), 5ms);
  CHECK(node.clusters.share_within(2).has_value());
  node.clusters.lost(contact(0x10, 1).id);
  node.clusters.lost(contact(0x10, 2).id);
  node.clusters.lost(contact(0x10, 3).id);
  CHECK_FALSE(node.clusters.share_within(2).has_value());
}

TEST_CASE("the levels that two nodes share are told by their cluster ids, level 0 always") {
  Lone node;
  auto said = node.clusters.describe(t0);
  CHECK(node.clusters.shared_with(said) == 0b111);
  said[0].id = cluster(1).id;
  CHECK(node.clusters.shared_with(said) == 0b101);
  said[1].id = ClusterId{};
  CHECK(node.clusters.shared_with(said) == 0b001);
}

TEST_CASE("a flood of strange descriptions neither grows the view nor makes us ping without end") {
  ClusterViewLimits limits;
  limits.threshold = ClusterOptions{}.threshold;
  ClusterView view(limits, id_at<NodeId>(1), Random(1));
  view.found(1, id_at<ClusterId>(1), 0);
  view.found(2, id_at<ClusterId>(2), 0);
  Random random(9);
  for (int i = 0; i < 20000; ++i) {
    Contact from{random.id<NodeId>(), {}, 0, 0, 0};
    std::array<ClusterDescription, 2> said;
    for (auto& d : said) {
      d = {random.id<ClusterId>(), static_cast<std::uint8_t>(random()), static_cast<std::uint32_t>(random())};
      if (random.below(3) == 0) d.id = id_at<ClusterId>(static_cast<int>(random.below(12)));
    }
    std::optional<Duration> rtt;
    if (random.below(2) == 0) rtt = std::chrono::milliseconds(random.below(100));
    view.heard(i / 10, from, said, rtt);
    if (random.below(4) == 0) view.named(i / 10, 2, said[1].id, Contact{random.id<NodeId>(), {}, 0, 0, 0});
    if (random.below(500) == 0) view.tidy(i / 10);
    if (random.below(700) == 0) view.refuse(1, 1, i / 10 + 60);
    if (random.below(900) == 0) view.adopt(2, 3);
    REQUIRE(view.members().size() <= limits.members_max);
    for (Level level = 1; level < kLevels; ++level) {
      std::array<ClusterView::Tally, ClusterView::kCandidatesMax + 1> tallies{};
      view.count(level, tallies);
      const auto clusters = view.clusters(level);
      for (std::size_t s = 0; s < clusters.size(); ++s) {
        REQUIRE(tallies[s].known == clusters[s].members);
        REQUIRE(clusters[s].members <= limits.sample_size);
      }
    }
  }

  Lone node;
  for (int i = 0; i < 3600; ++i) {
    Contact from{random.id<NodeId>(), {}, 0, 0, 0};
    node.hear(from, {random.id<ClusterId>(), 200, 0xffffffff}, std::nullopt);
    node.run(1s);
  }
  CHECK(node.changes.empty());
  CHECK(node.measures.size() < 3600);
}
