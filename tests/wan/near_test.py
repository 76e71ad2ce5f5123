#!/usr/bin/env python3
"""How answers are judged: near and far, failures, scopes. No network, no root."""
import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
sys.dont_write_bytecode = True
from reeflab import wan_dns, wan_dns_ecs  # noqa: E402
from reeflab.wan import Host  # noqa: E402
from reeflab.wan_dns_kill import Timeline  # noqa: E402
from reeflab.wan_near import Nearness  # noqa: E402
from reeflab.wan_stage import Answer  # noqa: E402

PLACES = {"a": ("fra", "eu", 0.0), "b": ("fra", "eu", 10.0), "c": ("ams", "eu", 40.0), "d": ("nyc", "us", 100.0),
          "client": ("fra", "eu", 4.0), "resolver": ("fra", "eu", 5.0), "far": ("nyc", "us", 95.0)}


def host(name):
    metro, region, _ = PLACES[name]
    return Host(name, metro, region, f"23.0.0.{list(PLACES).index(name)}", "", "")


class World:
    """Hosts on a line, so many ms apart as their places say."""
    hosts = [host(name) for name in PLACES]
    world = types.SimpleNamespace(hosts=hosts)
    node_hosts = hosts[:4]
    resolver_hosts = [("unbound", hosts[5]), ("bind9", hosts[6])]

    @staticmethod
    def rtt_ms(a, b):
        return abs(PLACES[a.name][2] - PLACES[b.name][2])


def answer(*nodes, client="client", error="", status=200, at=0.0):
    addresses = [host(n).address for n in nodes]
    return Answer(client=client, host="h", path="/", start_s=at, addresses=addresses, server=(addresses or [""])[0],
                  status=status, bytes=1, right=True, error=error, cache_status="", dns_ms=1, connect_ms=1, first_byte_ms=1,
                  total_ms=1, silence_ms=0, refused=0)


class Judging(unittest.TestCase):
    def test_an_answer_is_local_when_all_its_addresses_are(self):
        summary = Nearness(World).summary([answer("a", "b"), answer("a", "c"), answer("d", "a"), answer("b", "a")])
        self.assertEqual(summary["all_in_metro"], 0.5)
        self.assertEqual(summary["first_in_metro"], 0.75)
        self.assertEqual(summary["addresses_in_metro"], 0.75)
        self.assertEqual(summary["first_in_region"], 0.75)

    def test_round_trips_are_those_to_the_node_that_served(self):
        summary = Nearness(World).summary([answer("b")] * 9 + [answer("d")])
        self.assertEqual(summary["rtt_ms"], {"p50": 6.0, "p96": 96.0})
        self.assertEqual(summary["best_ms"], {"p50": 4.0, "p96": 4.0})
        self.assertEqual(summary["over_best"], {"p50": 1.5, "p96": 24.0})
        self.assertEqual(Nearness(World, alive={"c", "d"}).summary([answer("d")])["best_ms"]["p50"], 36.0)

    def test_a_question_without_an_answer_is_no_local_answer(self):
        summary = Nearness(World).summary([answer("a"), answer(error="dns: rcode 2", status=0)])
        self.assertEqual((summary["answers"], summary["no_answer"], summary["servfail"], summary["failed"]), (1, 1, 1, 1))
        self.assertIsNone(Nearness(World).summary([])["all_in_metro"])

    def test_a_client_may_be_judged_by_its_resolver(self):
        summary = Nearness(World, stand_in=host("far")).summary([answer("d")])
        self.assertEqual((summary["all_in_metro"], summary["rtt_ms"]["p50"]), (1.0, 5.0))

    def test_queries_count_from_one_look_to_the_next(self):
        before, after = {("resolver", "a"): 10}, {("resolver", "a"): 13, ("far", "a"): 1, ("far", "d"): 4}
        told = Nearness(World).queries(before, after)
        self.assertEqual((told["queries"], told["near_queries"]), (8, 0.875))
        self.assertEqual(told["by_kind"]["bind9"], {"queries": 5, "near": 0.8})

    def test_every_bound_is_judged(self):
        good = {"all_in_metro": 0.95, "over_best": {"p50": 1.3, "p96": 2.0}, "near_queries": 0.95}
        self.assertEqual(wan_dns.judge(good), [])
        for change in ({"all_in_metro": 0.94}, {"all_in_metro": None}, {"near_queries": 0.949}, {"near_queries": None},
                       {"over_best": {"p50": 1.31, "p96": 1.0}}, {"over_best": {"p50": 1.0, "p96": 2.01}},
                       {"over_best": {"p50": None, "p96": 1.0}}):
            self.assertEqual(len(wan_dns.judge({**good, **change})), 1, change)

    def test_local_again_means_to_stay_local(self):
        rows = [{"s": s, "addresses_in_metro": share} for s, share in
                ((0, 1.0), (10, 0.0), (20, 1.0), (30, 0.5), (40, 0.96), (50, 1.0))]
        self.assertEqual(Timeline.local_since(rows, 10), 30)
        self.assertIsNone(Timeline.local_since(rows[:4], 10))

    def test_scopes(self):
        row = {"node": "a", "node_metro": "fra", "client_metro": "fra", "asked": "23.0.4.0/24", "network": "23.0.4.0",
               "source": 24, "scope": 24, "addresses": ["x"]}
        self.assertEqual(wan_dns_ecs.wrong_scope(row), [])
        self.assertEqual(wan_dns_ecs.wrong_scope({**row, "scope": 0, "node_metro": "ams"}), [])
        for change in ({"scope": 25}, {"scope": 0}, {"network": "23.0.5.0"}, {"source": 16}, {"addresses": []},
                       {"asked": None}):
            self.assertEqual(len(wan_dns_ecs.wrong_scope({**row, **change})), 1, change)
        unasked = {**row, "asked": None, "network": None, "source": None, "scope": None}
        self.assertEqual(wan_dns_ecs.wrong_scope(unasked), [])


if __name__ == "__main__":
    unittest.main()
