#include "proxy/store/eviction/eviction.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <map>
#include <string>

#include "base/random.h"

namespace reef::proxy {
namespace {

// Entries of cost 1, named by letters.
struct Order {
  std::vector<TierEntry> entries;
  std::string in_use;
  std::unique_ptr<Eviction> eviction;

  explicit Order(EvictionPolicy policy, std::size_t bytes_max = 10)
      : entries(26),
        eviction(make_eviction({.policy = policy, .bytes_max = bytes_max}, entries,
                               [this](EntryNumber number) { in_use += name(number); })) {}
  static char name(EntryNumber number) { return static_cast<char>('a' + number); }
  static EntryNumber number(char name) { return static_cast<EntryNumber>(name - 'a'); }
  void enter(std::string_view names) {
    for (const char c : names) {
      entries[number(c)].hash = {number(c) * std::uint64_t{0x9e3779b97f4a7c15}, number(c) + 1u};
      entries[number(c)].cost = 1;
      eviction->enter(number(c), std::nullopt);
    }
  }
  void use(std::string_view names) {
    for (const char c : names) eviction->use(number(c));
  }
  std::string evict(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += name(eviction->evict());
    return out;
  }
};

TEST_CASE("policies are known by their names, and by no other") {
  for (const EvictionPolicy policy : kEvictionPolicies)
    CHECK(parse_eviction_policy(to_text(policy)) == policy);
  CHECK(to_text(EvictionPolicy::s3_fifo) == "s3-fifo");
  CHECK_FALSE(parse_eviction_policy("LRU"));
  CHECK_FALSE(parse_eviction_policy(""));
}

TEST_CASE("lru: the least recently used goes first, and who was in use is told") {
  Order order(EvictionPolicy::lru);
  order.enter("abcd");
  order.use("aba");
  CHECK(order.evict(4) == "cdba");
  CHECK(order.in_use == "ba");
}

TEST_CASE("lfu: the least often used goes first, among equals the least recently used") {
  Order order(EvictionPolicy::lfu);
  order.enter("abcd");
  order.use("aabcb");
  CHECK(order.evict(2) == "dc");
  CHECK(order.in_use == "c");
  // Who comes now stands above what has been evicted, and below what was used more than that.
  order.enter("e");
  CHECK(order.evict(3) == "abe");
}

TEST_CASE("lfu: what was popular once makes way") {
  Order order(EvictionPolicy::lfu);
  order.enter("a");
  order.use("aaaaa");
  std::string gone;
  for (int i = 0; i < 8; ++i) {
    order.enter("b");
    order.use("b");
    gone += order.evict(1);
    if (gone.back() == 'a') break;
  }
  CHECK(gone.back() == 'a');
}

TEST_CASE("sieve: the hand spares what was used since it came by, and goes on from where it stood") {
  Order order(EvictionPolicy::sieve);
  order.enter("abcdefg");
  order.use("abg");
  CHECK(order.evict(1) == "c");
  CHECK(order.in_use == "ab");
  order.enter("h");
  order.use("a");
  // From d on: a and b are behind the hand, g has been used.
  CHECK(order.evict(3) == "def");
  CHECK(order.evict(1) == "h");
  CHECK(order.evict(1) == "b");
  CHECK(order.evict(2) == "ga");
}

TEST_CASE("sieve: whoever the hand points at may leave") {
  Order order(EvictionPolicy::sieve);
  order.enter("abc");
  order.use("a");
  CHECK(order.evict(1) == "b");  // the hand stands at c
  static_cast<void>(order.eviction->leave(Order::number('c')));
  order.enter("d");
  CHECK(order.evict(2) == "ad");
}

TEST_CASE("s3-fifo: what is used twice stays, what is used once is remembered, the rest passes through") {
  Order order(EvictionPolicy::s3_fifo);
  order.enter("abcdefghij");
  order.use("aab");
  CHECK(order.evict(9) == "bcdefghij");  // a moved to the main queue
  CHECK(order.in_use == "ab");
  order.enter("b");  // comes back: to the main queue, before which the small one goes
  order.enter("k");
  CHECK(order.evict(3) == "kab");
}

TEST_CASE("whatever is entered, used and left: exactly those that are in are evicted, for every policy") {
  for (const EvictionPolicy policy : kEvictionPolicies) {
    CAPTURE(to_text(policy));
    constexpr std::size_t kEntries = 200;
    constexpr std::size_t kBytesMax = 100'000;
    std::vector<TierEntry> entries(kEntries);
    const auto eviction = make_eviction({.policy = policy, .bytes_max = kBytesMax}, entries, {});
    std::map<EntryNumber, bool> in;
    std::size_t bytes = 0;
    Random random(7);
    const auto went = [&](EntryNumber number) {
      REQUIRE(in.erase(number) == 1);
      bytes -= entries[number].cost;
    };
    for (int i = 0; i < 50'000; ++i) {
      const auto number = static_cast<EntryNumber>(random.below(kEntries));
      const auto what = random.below(10);
      if (!in.contains(number)) {
        const std::size_t cost = 1 + random.below(random.below(20) == 0 ? 20'000 : 2000);
        REQUIRE(cost <= eviction->cost_max());
        while (bytes + cost > kBytesMax) went(eviction->evict());
        entries[number].hash = {random(), random()};
        entries[number].cost = cost;
        eviction->enter(number, std::nullopt);
        in[number] = true;
        bytes += cost;
      } else if (what == 0) {
        static_cast<void>(eviction->leave(number));
        went(number);
      } else if (what == 1) {
        eviction->enter(number, eviction->leave(number));  // replaced
      } else {
        eviction->use(number);
      }
    }
    while (!in.empty()) went(eviction->evict());
    CHECK(bytes == 0);
  }
}

}  // namespace
}  // namespace reef::proxy
