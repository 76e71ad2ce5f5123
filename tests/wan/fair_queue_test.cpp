#include "tests/wan/fair_queue.h"

#include <doctest/doctest.h>

#include <map>

using namespace reef;
using namespace reef::wan;

namespace {

// A packet that tells its flow by its first byte.
Bytes packet(int flow, std::size_t bytes = 1000) {
  Bytes out(bytes);
  out[0] = static_cast<std::byte>(flow);
  return out;
}
int flow_of(const Bytes& bytes) { return std::to_integer<int>(bytes[0]); }

}  // namespace

TEST_CASE("one flow keeps its order") {
  FairQueue queue;
  for (std::size_t bytes = 100; bytes < 120; ++bytes) CHECK(queue.push(1, packet(1, bytes)) == 0);
  for (std::size_t bytes = 100; bytes < 120; ++bytes) CHECK(queue.pop()->size() == bytes);
  CHECK_FALSE(queue.pop());
  CHECK(queue.bytes() == 0);
}

TEST_CASE("flows share the line by bytes, whatever the size of their packets and of their backlog") {
  FairQueue queue;
  queue.set_limit(1'000'000);
  for (int i = 0; i < 200; ++i) queue.push(1, packet(1, 1500));
  for (int i = 0; i < 300; ++i) queue.push(2, packet(2, 500));
  std::map<int, std::size_t> sent;
  for (int i = 0; i < 200; ++i) {
    const auto next = queue.pop();
    REQUIRE(next);
    sent[flow_of(*next)] += next->size();
  }
  CHECK(sent[1] > 0);
  CHECK(static_cast<double>(sent[1]) / static_cast<double>(sent[2]) == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("a new flow waits for one turn of the others, not for their backlog") {
  FairQueue queue;
  queue.set_limit(1'000'000);
  for (int i = 0; i < 100; ++i) queue.push(1, packet(1, 1500));
  queue.pop();
  queue.push(2, packet(2, 60));
  bool seen = false;
  for (int i = 0; i < 4; ++i) seen = seen || flow_of(*queue.pop()) == 2;
  CHECK(seen);
}

TEST_CASE("when it is full, the longest flow loses, from its head") {
  FairQueue queue;
  queue.set_limit(5000);
  for (std::size_t bytes = 1001; bytes <= 1004; ++bytes) CHECK(queue.push(1, packet(1, bytes)) == 0);
  CHECK(queue.push(2, packet(2, 990)) == 0);
  CHECK(queue.push(3, packet(3, 990)) == 1);
  CHECK(queue.bytes() <= 5000);
  std::map<int, int> left;
  std::size_t first_of_1 = 0;
  while (const auto next = queue.pop()) {
    if (flow_of(*next) == 1 && first_of_1 == 0) first_of_1 = next->size();
    ++left[flow_of(*next)];
  }
  CHECK(left == std::map<int, int>{{1, 3}, {2, 1}, {3, 1}});
  CHECK(first_of_1 == 1002);
}

TEST_CASE("one packet always fits") {
  FairQueue queue;
  queue.set_limit(10);
  CHECK(queue.push(1, packet(1)) == 0);
  CHECK(queue.push(2, packet(2)) == 1);
  CHECK(queue.pop());
  CHECK_FALSE(queue.pop());
}
