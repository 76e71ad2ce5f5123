// Death, churn, cuts and departures.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tests/sim/world.h"

using namespace reef;
using namespace reef::sim;
using namespace std::chrono_literals;

namespace {

struct Gets {
  int asked = 0;
  int ended = 0;
  int found = 0;
  std::vector<Duration> took;
};

void get_later(Network& network, const Key& key, Gets& gets, Duration budget) {
  ++gets.asked;
  const TimePoint asked = network.now();
  network.get(some_host(network), key, budget, [&, asked](const dsht::Found& result) {
    ++gets.ended;
    gets.found += result.end == dsht::WalkEnd::found;
    gets.took.push_back(network.now() - asked);
  });
}

std::vector<Key> put_keys(Network& network, int count, std::chrono::seconds ttl) {
  std::vector<Key> keys;
  for (int i = 0; i < count; ++i) {
    keys.push_back(some_key(network));
    network.put(some_host(network), keys.back(), as_bytes("value"), ttl, nullptr);
    network.run_for(10ms);
  }
  network.run_for(5s);
  return keys;
}

}  // namespace

TEST_CASE(
    "a fifth of 400 nodes dies at once: values that still exist are found, and every lookup ends in time") {
  Network network(run_seed(), {.loss = 0.002});
  settled_network(network, 400, 20ms);
  const std::vector<Key> keys = put_keys(network, 1000, 1h);
  for (int i = 0; i < 80; ++i) network.kill(some_host(network));
  Gets gets;
  int exist = 0;
  for (const Key& key : keys) {
    bool exists = false;
    for (Host host = 0; host < network.size() && !exists; ++host) {
      exists = network.is_up(host) && !network.node(host).storage(0).live(network.now(), key).empty();
    }
    exist += exists;  // all three holders are dead with a chance of 0.8 %
    get_later(network, key, gets, 4s);
    network.run_for(10ms);
  }
  network.run_for(5s);
  std::printf("a fifth dead: %d of %d existing values found\n", gets.found, exist);
  CHECK(gets.ended == gets.asked);
  CHECK(exist >= 970);
  CHECK(gets.found >= exist * 998 / 1000);
  CHECK(*std::max_element(gets.took.begin(), gets.took.end()) <= 4s);
  // Tables are clean again within five minutes.
  network.run_for(5min);
  std::size_t dead = 0;
  for (Host host = 0; host < network.size(); ++host) {
    if (!network.is_up(host)) continue;
    for (const dsht::TableEntry& entry : network.node(host).table().entries()) {
      for (Host other = 0; other < network.size(); ++other) {
        dead += !network.is_up(other) && network.id(other) == entry.contact.id;
      }
    }
  }
  CHECK(dead == 0);
}

TEST_CASE("under churn of half the nodes an hour renewed values stay findable") {
  Network network(run_seed(), {.loss = 0.002});
  settled_network(network, 200, 20ms);
  struct Published {
    Host host;
    Key key;
  };
  std::vector<Published> published;
  for (int i = 0; i < 200; ++i) published.push_back({some_host(network), some_key(network)});
  Gets gets;
  // One hour: every 36 s a node dies and another one comes back; publishers renew every 10 minutes.
  std::vector<Host> down;
  for (int step = 0; step < 100; ++step) {
    if (step % 17 == 0) {
      for (const Published& p : published) {
        if (network.is_up(p.host)) network.put(p.host, p.key, as_bytes("value"), 30min, nullptr);
      }
      network.run_for(10s);
    }
    const Host victim = some_host(network);
    if (victim != 0) {
      network.kill(victim);
      down.push_back(victim);
    }
    if (down.size() > 5) {
      network.restart(down.front());
      network.join(down.front(), {0});
      down.erase(down.begin());
    }
    network.run_for(18s);
    for (int i = 0; i < 20; ++i)
      get_later(network, published[network.random().below(published.size())].key, gets, 4s);
    network.run_for(18s);
  }
  network.run_for(5s);
  std::printf("churn: %d of %d found\n", gets.found, gets.asked);
  CHECK(gets.ended == gets.asked);
  CHECK(gets.found >= gets.asked * 995 / 1000);
}

TEST_CASE("a node that leaves hands its values over and is forgotten") {
  Network network(run_seed(), {});
  dsht::NodeOptions options = many_nodes();
  options.replicas = {1, 1, 1};
  for (int i = 0; i < 60; ++i) {
    network.join(network.add(options), i == 0 ? std::vector<Host>{} : std::vector<Host>{0});
    network.run_for(50ms);
  }
  network.run_for(1min);
  std::vector<Key> keys;
  for (int i = 0; i < 300; ++i) {
    keys.push_back(some_key(network));
    // Values of those who leave go with them.
    network.put(static_cast<Host>(20 + network.random().below(40)), keys.back(), as_bytes("value"), 1h,
                nullptr);
    network.run_for(10ms);
  }
  network.run_for(5s);
  int left = 0;
  for (Host host = 10; host < 20; ++host) {
    network.leave(host, [&, host] {
      ++left;
      network.after(200ms, [&, host] { network.kill(host); });
    });
    network.run_for(5s);
  }
  CHECK(left == 10);
  network.run_for(10s);
  Gets gets;
  for (const Key& key : keys) {
    get_later(network, key, gets, 4s);
    network.run_for(20ms);
  }
  network.run_for(5s);
  CHECK(gets.found == gets.asked);
  network.run_for(5min);
  for (Host host = 0; host < network.size(); ++host) {
    if (!network.is_up(host)) continue;
    for (Host gone = 10; gone < 20; ++gone)
      CHECK(network.node(host).table().find(network.id(gone)) == nullptr);
  }
}

TEST_CASE("a cut network keeps answering on both sides and is whole again after it heals") {
  Network network(run_seed(), {});
  settled_network(network, 100, 20ms);
  const std::vector<Key> keys = put_keys(network, 200, 4h);
  for (Host host = 50; host < 100; ++host) network.set_group(host, 1);
  Gets cut;
  for (const Key& key : keys) {
    get_later(network, key, cut, 4s);
    network.run_for(50ms);
  }
  network.run_for(5s);
  CHECK(cut.ended == cut.asked);
  CHECK(cut.found > 0);
  network.run_for(40min);  // long enough for each side to forget the other
  for (Host host = 50; host < 100; ++host) network.set_group(host, 0);
  network.run_for(30min);
  Gets healed;
  for (const Key& key : keys) {
    get_later(network, key, healed, 4s);
    network.run_for(20ms);
  }
  network.run_for(5s);
  CHECK(healed.found == healed.asked);
}

TEST_CASE("a node that has lost everybody finds the network again") {
  Network network(run_seed(), {});
  settled_network(network, 50, 20ms);
  network.set_group(20, 7);
  network.run_for(15min);
  CHECK(network.node(20).contact_count() == 0);
  CHECK_FALSE(network.node(20).is_joined());
  network.set_group(20, 0);
  network.run_for(2min);
  CHECK(network.node(20).is_joined());
  CHECK(network.node(20).contact_count() > 5);
}

TEST_CASE("a seed that is not up yet is tried until it answers") {
  Network network(run_seed(), {});
  const Host seed = network.add(many_nodes());
  const Host late = network.add(many_nodes());
  network.kill(seed);
  network.join(late, {seed});
  network.run_for(2min);
  CHECK_FALSE(network.node(late).is_joined());
  network.restart(seed);
  network.join(seed, {});
  network.run_for(1min);
  CHECK(network.node(late).is_joined());
  CHECK(network.node(late).observed() == network.endpoint(late));
}

TEST_CASE("an idle node of 300 sends and receives less than 10 kbit/s") {
  Network network(run_seed(), {});
  settled_network(network, 300, 20ms);
  network.run_for(3min);
  const std::uint64_t before = network.bytes();
  const std::uint64_t datagrams = network.datagrams();
  network.run_for(10min);
  // Each datagram is sent by one and received by another; 28 bytes of IP and UDP with each.
  const double bytes = static_cast<double>(network.bytes() - before) +
                       28.0 * static_cast<double>(network.datagrams() - datagrams);
  const double kbits = 2 * bytes * 8 / 1000 / (10 * 60) / 300;
  std::printf("idle: %.2f kbit/s a node, in and out together\n", kbits);
  CHECK(kbits < 10);
}

TEST_CASE("a first node whose peers are all gone is the first node again, and takes in whoever comes") {
  Network network(run_seed(), {});
  const Host first = network.add(many_nodes());
  network.join(first, {});
  CHECK(network.node(first).is_joined());
  const Host second = network.add(many_nodes());
  network.join(second, {first});
  network.run_for(10s);
  CHECK(network.node(first).contact_count() == 1);
  network.kill(second);
  network.run_for(10min);
  CHECK(network.node(first).contact_count() == 0);
  CHECK(network.node(first).is_joined());
  network.restart(second);
  network.join(second, {first});
  network.run_for(10s);
  CHECK(network.node(second).is_joined());
  CHECK(network.node(first).contact_count() == 1);
}

TEST_CASE("nodes that cannot reach each other, though others reach both, still agree on who is first") {
  Network network(run_seed(), {});
  settled_network(network, 80, 30ms);
  for (int i = 0; i < 20; ++i) {
    const Key key = some_key(network);
    const Host storing = network.closest(key);
    const Host blind = (storing + 1) % 80;
    network.set_unreachable(storing, blind, true);
    int first = 0;
    Host other = some_host(network);
    while (other == blind || other == storing) other = some_host(network);
    for (const Host host : {other, blind}) {
      network.announce(host, key, as_bytes("x"), 20s, 5s, [&](const dsht::Announced& result) {
        CHECK(result.stored);
        first += result.earlier.empty();
      });
      network.run_for(8s);
    }
    CHECK(first == 1);
    network.set_unreachable(storing, blind, false);
    network.run_for(1min);
  }
}
