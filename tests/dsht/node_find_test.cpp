// Nodes near somebody else: asked anew, whoever named them.
#include <doctest/doctest.h>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

TEST_CASE_FIXTURE(NodeFixture,
                  "given contacts are asked unless they were heard lately, and named when they answer") {
  Peer& fresh = contact(0x11, 0, 30ms);
  Peer& stranger = peer(0x12);
  Peer& dead = peer(0x13);
  FindNodes what;
  what.contacts = {fresh.contact(), stranger.contact(), dead.contact()};
  node.find_nodes(now, what, 5s);
  const auto pings = requests(MessageType::ping);
  REQUIRE(pings.size() == 2);
  CHECK(pings[0].to == stranger.at);
  CHECK(pings[1].to == dead.at);
  pass(10ms);
  answer(pings[0], Pong{stranger.at, 1});
  CHECK(searches.empty());
  pass(4s);
  REQUIRE(searches.size() == 1);
  REQUIRE(searches[0].near.nodes.size() == 2);
  CHECK(searches[0].near.nodes[0].contact.id == stranger.id);
  CHECK(searches[0].near.nodes[0].rtt == 10ms);
  CHECK(searches[0].near.nodes[1].contact.id == fresh.id);
  CHECK(searches[0].near.named_by == std::vector<std::size_t>{0, 0});
}

TEST_CASE_FIXTURE(NodeFixture, "who was heard longer ago than wanted is asked again") {
  Peer& known = contact(0x11, 0, 30ms);
  FindNodes what;
  what.contacts = {known.contact()};
  what.heard_within = 0s;
  node.find_nodes(now, what, 5s);
  const Sent ping = request(MessageType::ping);
  CHECK(ping.to == known.at);
  answer(ping, Pong{known.at, 1});
  REQUIRE(searches.size() == 1);
  CHECK(searches[0].near.complete);
  REQUIRE(searches[0].near.nodes.size() == 1);
  CHECK(searches[0].near.nodes[0].heard_at == now);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "silence to such a question is no failure of a contact, whose own time comes") {
  Peer& known = contact(0x11, 0, 30ms);
  FindNodes what;
  what.contacts = {known.contact()};
  what.heard_within = 0s;
  node.find_nodes(now, what, 500ms);
  pass(500ms);
  CHECK(requests(MessageType::ping).size() == 2);  // asked twice
  REQUIRE(searches.size() == 1);
  for (const NodesFound& search : searches) CHECK(search.near.nodes.empty());
  REQUIRE(node.table().find(known.id) != nullptr);
  CHECK(!node.table().find(known.id)->is_suspect());
  // The node's own pings find it out all the same.
  pass(60s);
  CHECK(node.table().find(known.id) == nullptr);
}

TEST_CASE_FIXTURE(NodeFixture, "a node says from now on what it was told that it offers") {
  Peer& asker = peer(0x11);
  CHECK(ask(asker, Ping{})->message.header.services == 0);
  node.set_services(kServiceProxy | kServiceDns);
  CHECK(node.services() == (kServiceProxy | kServiceDns));
  CHECK(ask(asker, Ping{})->message.header.services == (kServiceProxy | kServiceDns));
}
