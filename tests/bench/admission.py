#!/usr/bin/env python3
"""Admission to the disk: fetches from the origin and writes by policy, on Zipf traces with one-time objects.

A model of the store on the requests of one node, all objects of one size: memory (S3-FIFO, a tenth of it for what is
new) over disk (least recently used goes first). What is not here is fetched. The policies differ in what is written:

    all         everything that is fetched
    second-use  what is asked for a second time: while it is in memory, or after it had been forgotten
    popular     while the disk has room everything, behind a delay; then what was asked for again within the delay, or
                after it had been forgotten (what the store does, docs/store.md)

Seeded: the same figures each time. Says nothing about speed.
"""
import argparse
import bisect
import collections
import itertools
import random
import sys

from reeflab.report import environment, table, write_json

TRACES = [(1.0, 0.0), (0.9, 0.2), (0.8, 0.4), (0.7, 0.6)]  # exponent, share of requests for one-time objects
POLICIES = ["all", "second-use", "popular"]


class Memory:
    """S3-FIFO (Yang et al., SOSP 2023) by entries, with the thresholds of proxy/store/ram_tier.cpp."""

    def __init__(self, entries):
        self.entries, self.small_max = entries, max(1, entries // 10)
        self.small, self.main, self.ghosts = (collections.OrderedDict() for _ in range(3))
        self.uses = {}

    def find(self, key):
        if key not in self.uses:
            return False
        self.uses[key] = min(3, self.uses[key] + 1)
        return True

    def insert(self, key):
        while len(self.uses) >= self.entries:
            self.make_room()
        self.uses[key] = 0
        queue = self.main if self.ghosts.pop(key, None) else self.small
        queue[key] = True

    def make_room(self):
        if self.small and (len(self.small) >= self.small_max or not self.main):
            key, _ = self.small.popitem(last=False)
            if self.uses[key] >= 2:
                self.uses[key] = 0
                self.main[key] = True
                return
            self.ghosts[key] = True
            if len(self.ghosts) > max(64, len(self.main)):
                self.ghosts.popitem(last=False)
        else:
            key, _ = self.main.popitem(last=False)
            if self.uses[key] > 0:
                self.uses[key] -= 1
                self.main[key] = True
                return
        del self.uses[key]


class Node:
    def __init__(self, options, policy):
        self.options, self.policy = options, policy
        self.memory, self.disk = Memory(options.memory), collections.OrderedDict()
        self.waiting = collections.OrderedDict()  # key -> (when it was fetched, asked for again)
        self.seen = collections.OrderedDict()
        self.full = False
        self.fetches = self.writes = 0

    def write(self, key):
        self.writes += 1
        self.disk[key] = True
        self.disk.move_to_end(key)
        if len(self.disk) > self.options.disk:
            self.disk.popitem(last=False)
            self.full = True

    def remember(self, key):
        self.seen[key] = True
        if len(self.seen) > self.options.seen:
            self.seen.popitem(last=False)

    def settle(self, now):
        """Decides about what has waited long enough."""
        while self.waiting:
            key, (since, again) = next(iter(self.waiting.items()))
            if now - since < self.options.delay:
                return
            del self.waiting[key]
            if again or not self.full:
                self.write(key)
            else:
                self.remember(key)

    def fetched(self, now, key):
        self.fetches += 1
        again = self.seen.pop(key, False)
        if self.policy == "popular":
            self.waiting[key] = (now, again)
        elif self.policy == "all" or again:
            self.write(key)
        else:
            self.remember(key)

    def request(self, now, key):
        self.settle(now)
        if self.memory.find(key):
            if key in self.waiting:
                self.waiting[key] = (self.waiting[key][0], True)
            elif self.policy == "second-use" and key not in self.disk:
                self.write(key)
            return
        if key in self.waiting:
            self.waiting[key] = (self.waiting[key][0], True)
        elif key in self.disk:
            self.disk.move_to_end(key)
        else:
            self.fetched(now, key)
        self.memory.insert(key)


def trace(options, exponent, once):
    source = random.Random(options.seed)
    weights = list(itertools.accumulate(1 / i ** exponent for i in range(1, options.objects + 1)))
    new = itertools.count(options.objects)
    return [next(new) if source.random() < once else bisect.bisect_left(weights, source.random() * weights[-1])
            for _ in range(options.requests)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--requests", type=int, default=1_000_000, help="of each trace (default 1000000)")
    parser.add_argument("--objects", type=int, default=200_000, help="asked for more than once (default 200000)")
    parser.add_argument("--memory", type=int, default=4_000, help="objects that fit into memory (default 4000)")
    parser.add_argument("--disk", type=int, default=48_000, help="objects that fit on the disk (default 48000)")
    parser.add_argument("--delay", type=int, default=200, help="requests that a write waits for (default 200)")
    parser.add_argument("--seen", type=int, default=65_536, help="forgotten objects that are remembered (default 65536)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows, cells = [], []
    for exponent, once in TRACES:
        requests = trace(options, exponent, once)
        for policy in POLICIES:
            node = Node(options, policy)
            for at, key in enumerate(requests):
                node.request(at, key)
            rows.append({"zipf": exponent, "once": once, "policy": policy, "fetches": node.fetches, "writes": node.writes})
            cells.append([f"Zipf {exponent}, {once:.0%} once", policy, f"{node.fetches / len(requests):.1%}", node.writes])
    print(table(["trace", "written", "from the origin", "writes"], cells, align="llrr"))
    if options.json:
        write_json(options.json, {"benchmark": "admission", **vars(options), "rows": rows, "on": environment()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
