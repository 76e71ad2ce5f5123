#!/usr/bin/env python3
"""Traces and pings along a path of two routers, in network namespaces made for the purpose (needs root).

    prober -- router1 -- router2 -- target        IPv4 10.77.i.0/24, IPv6 fd77:i::/64

Exits 77 (skipped) where namespaces cannot be made.
"""
import argparse
import json
import os
import subprocess
import sys
import time

failures = []
PREFIX = f"reefp{os.getpid()}"
NAMES = [f"{PREFIX}-{role}" for role in ("a", "r1", "r2", "b")]


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def in_ns(name, *command):
    return run("ip", "netns", "exec", name, *command)


def build_path():
    for name in NAMES:
        run("ip", "netns", "add", name)
        # No duplicate address detection: the path is ready at once.
        in_ns(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
              "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        run("ip", "-n", name, "link", "set", "lo", "up")
    for i, (left, right) in enumerate(zip(NAMES, NAMES[1:]), start=1):
        run("ip", "link", "add", "east", "netns", left, "type", "veth", "peer", "name", "west", "netns", right)
        for name, device, host in ((left, "east", 1), (right, "west", 2)):
            run("ip", "-n", name, "address", "add", f"10.77.{i}.{host}/24", "dev", device)
            run("ip", "-n", name, "-6", "address", "add", f"fd77:{i}::{host}/64", "dev", device, "nodad")
            run("ip", "-n", name, "link", "set", device, "up")
    for i, name in enumerate(NAMES):
        if i < 3:
            run("ip", "-n", name, "route", "add", "default", "via", f"10.77.{i + 1}.2")
            run("ip", "-n", name, "-6", "route", "add", "default", "via", f"fd77:{i + 1}::2")
        for network in range(1, i):
            run("ip", "-n", name, "route", "add", f"10.77.{network}.0/24", "via", f"10.77.{i}.1")
            run("ip", "-n", name, "-6", "route", "add", f"fd77:{network}::/64", "via", f"fd77:{i}::1")


def probe(program, target, prefix):
    return json.loads(in_ns(NAMES[0], program, target, prefix))


def wait_until_ready(program, target, prefix):
    """New links take a moment, IPv6 ones above all: until the whole way answers."""
    deadline = time.monotonic() + 20
    while True:
        trace = probe(program, target, prefix)["trace"]
        if trace["end"] == "reached" and None not in trace["hops"]:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the path to {target} does not come up: {trace}")


def check_family(program, target, prefix, hops):
    result = probe(program, target, prefix)
    trace = result["trace"]
    check(trace["end"] == "reached" and trace["hops"] == hops,
          f"trace to {target}: {trace['end']} {trace['hops']} in {trace['took_ms']:.2f} ms, {trace['probes']} probes")
    check(result["ping"] == "answered", f"ping {target}: {result['ping']} {result['ping_ms']:.2f} ms by {result['icmp']} sockets")
    return result


def check_path(program):
    v4 = ("10.77.3.2", "10.77.0.0/16", ["10.77.1.2", "10.77.2.2", "10.77.3.2"])
    v6 = ("fd77:3::2", "fd77::/16", ["fd77:1::2", "fd77:2::2", "fd77:3::2"])
    # Only routers and targets that spoke freely are compared: Linux limits ICMP errors to one a second and client.
    for name in NAMES:
        in_ns(name, "sysctl", "-qw", "net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratelimit=0")
    for target, prefix, _ in (v4, v6):
        wait_until_ready(program, target, prefix)
    in_ns(NAMES[0], "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    check(check_family(program, *v4)["icmp"] == "datagram", "ICMP by datagram sockets where the group is allowed")
    check_family(program, *v6)
    in_ns(NAMES[0], "sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    check(probe(program, v4[0], v4[1])["icmp"] == "raw", "ICMP by raw sockets where it is not")
    check(probe(program, v4[0], v4[1])["ping"] == "answered", "ping by raw sockets")
    check(probe(program, v6[0], v6[1])["ping"] == "answered", "ping by raw sockets, IPv6")
    nobody = json.loads(in_ns(NAMES[0], "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                              "--bounding-set=-all", program, v4[0], v4[1]))
    check(nobody["trace"]["hops"] == v4[2], "without any privilege the trace is the same")
    check(nobody["ping"] == "not_permitted", f"without any privilege ping says so: {nobody['ping']}")
    in_ns(NAMES[2], "ip", "route", "add", "prohibit", "10.99.0.0/16")
    far = probe(program, "10.99.0.1", "10.99.0.0/16")["trace"]
    check(far["end"] == "unreachable" and far["hops"][-1] == "10.77.2.2", f"a prohibited network: {far['end']} {far['hops']}")
    run("ip", "-n", NAMES[3], "link", "set", "west", "down")
    gone = probe(program, v4[0], v4[1])
    check(gone["trace"]["hops"][:2] == v4[2][:2] and gone["trace"]["end"] in ("silent", "unreachable", "timed_out"),
          f"a target that is gone: {gone['trace']['end']} {gone['trace']['hops']}, ping {gone['ping']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the built reef_test_probe")
    program = os.path.abspath(parser.parse_args().program)
    if os.geteuid() != 0:
        print("SKIPPED: network namespaces need root")
        return 77
    try:
        try:
            build_path()
        except (RuntimeError, FileNotFoundError) as error:
            print(f"SKIPPED: no network namespaces here: {error}")
            return 77
        check_path(program)
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
