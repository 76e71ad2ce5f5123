#!/usr/bin/env python3
"""The proxy benchmark stays alive: one tiny round of Reef and the floor, and what it must refuse to call a result.

Says nothing about speed. Exit status 77: it lacks wrk or a second core.
"""
import contextlib
import io
import json
import os
import pathlib
import re
import socket
import sys
import tempfile

import proxy
from reeflab.bench_peers import NginxPlan
from reeflab.bench_load import origin_requests
from reeflab.bench_process import find_tool
from reeflab.bench_servers import Origin

TINY = ["--rounds", "1", "--seconds", "0.3", "--connections", "8", "--idle-connections", "200", "--no-targets"]


def run(*arguments):
    """(exit status, stdout, the JSON file) of the benchmark."""
    with tempfile.TemporaryDirectory(prefix="reef-bench-test-") as directory:
        target = pathlib.Path(directory) / "figures.json"
        chart = pathlib.Path(directory) / "figures.svg"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = proxy.main([*TINY, "--directory", directory, "--json", str(target), "--svg", str(chart), *arguments])
        if status == 0 and "hit-1k" in str(arguments):
            assert chart.read_text().startswith("<svg"), "no chart"
        left = sorted(path.name for path in pathlib.Path(directory).iterdir())
        assert left in ([], ["figures.json"], ["figures.json", "figures.svg"]), f"left behind: {left}"
        return status, out.getvalue(), json.loads(target.read_text())


def measures_reef_and_the_floor():
    status, out, figures = run("--servers", "floor,reef", "--workloads", "hit-1k,close-1k,miss-1k,idle")
    print(out)
    assert status == 0 and not figures["faults"] and not figures["missing"], figures
    rows = {row["workload"]: row["servers"] for row in figures["workloads"]}
    for name in ("hit-1k", "close-1k"):
        for server in ("floor", "reef"):
            figure = rows[name][server]
            assert figure["requests"] > 0 and figure["cpu_us"] > 0 and figure["errors"] == 0, (name, server, figure)
            assert figure["origin_requests"] == 0, (name, server, figure)
    assert list(rows["miss-1k"]) == ["reef"], "the floor has no misses"
    miss = rows["miss-1k"]["reef"]
    assert miss["requests"] <= miss["origin_requests"], miss
    assert 0 < rows["idle"]["reef"]["rss_bytes_each"] < 65536, rows["idle"]
    assert "hit-1k" in out and "Reef / floor" in out


def a_server_that_is_not_installed_is_named_and_the_run_fails():
    NginxPlan.tool, kept = "no-such-program-of-that-name", NginxPlan.tool
    try:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            status, out, figures = run("--servers", "floor,nginx", "--workloads", "hit-1k")
    finally:
        NginxPlan.tool = kept
    assert status == 3 and list(figures["missing"]) == ["nginx"], (status, figures["missing"])
    assert "nginx is MISSING" in said.getvalue() and "MISSING: nginx" in out, (said.getvalue(), out)
    assert list(figures["workloads"][0]["servers"]) == ["floor"], "what is there is measured all the same"


def a_server_that_does_not_start_is_told_and_the_others_are_measured():
    NginxPlan.tool, kept = "false", NginxPlan.tool
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            status, out, figures = run("--servers", "floor,nginx", "--workloads", "hit-1k,idle")
    finally:
        NginxPlan.tool = kept
    assert status == 3 and len(figures["faults"]) == 1 and "false ended with 1" in figures["faults"][0], figures["faults"]
    assert "INVALID: idle: " in out, out
    assert [list(row["servers"]) for row in figures["workloads"]] == [["floor"], ["floor"]], figures


def the_origin_serves_requests_in_pieces_and_several_at_once():
    with tempfile.TemporaryDirectory(prefix="reef-bench-test-") as directory:
        origin = Origin(pathlib.Path(directory) / "origin", sorted(os.sched_getaffinity(0))[-1])
        try:
            with socket.create_connection(("127.0.0.1", origin.port), 10) as client:
                client.sendall(b"GET /10 HTTP/1.1\r\nHost: a\r")
                assert origin_requests(origin) == 0, "half a request is none"
                client.sendall(b"\n\r\nGET /8000000/x HTTP/1.1\r\nHost: a\r\n\r\nGET /7 HTTP/1.0\r\n\r\n")
                received = b"".join(iter(lambda: client.recv(1 << 16), b""))
            lengths = [int(n) for n in re.findall(rb"Content-Length: (\d+)\r\n", received)]
            assert lengths == [10, 8_000_000, 7], lengths
            bodies = re.sub(rb"HTTP/1.1 200 OK\r\n(?:.+\r\n)+\r\n", b"", received)
            assert bodies == b"x" * sum(lengths), len(bodies)
            assert origin_requests(origin) == 3, "a count is not counted"
        finally:
            origin.stop()


def a_run_that_was_not_what_it_should_be_is_a_fault():
    good = {"errors": 0, "requests": 1000, "origin_requests": 0}
    hit, miss = proxy.WORKLOADS["hit-1k"], proxy.WORKLOADS["miss-1k"]
    assert hit.fault(good, 8) is None
    assert hit.fault({**good, "origin_requests": 1}, 8), "a hit that was none"
    assert hit.fault({**good, "errors": 1}, 8)
    assert miss.fault(good, 8), "misses that were none"
    assert miss.fault({**good, "origin_requests": 999}, 8)
    assert miss.fault({**good, "origin_requests": 1004}, 8) is None, "some were on their way at the end"
    assert miss.fault({**good, "origin_requests": 1017}, 8), "fetched more than once"


def targets_are_judged_by_the_ratios():
    hit, miss = proxy.WORKLOADS["hit-1k"], proxy.WORKLOADS["miss-1k"]
    assert proxy.judge(hit, {"floor": 1.2, "nginx": 0.9}) == [("floor", 1.2, 1.25), ("nginx", 0.9, 1.0)]
    assert proxy.judge(miss, {"nginx": 0.8, "haproxy": 2.0}) == [("nginx", 0.8, 0.75)], "haproxy's miss is no target"
    runs = {"reef": [{"cpu_us": 2}, {"cpu_us": 9}, {"cpu_us": 4}], "nginx": [{"cpu_us": 4}, {"cpu_us": 6}, {"cpu_us": 4}]}
    assert proxy.ratios_of("reef", runs) == {"nginx": 1.0}, "the median of the rounds' ratios"


def main():
    if find_tool("wrk") is None:
        print("wrk is not installed")
        return 77
    if len(os.sched_getaffinity(0)) < 2:
        print("needs two cores")
        return 77
    cores = os.sched_getaffinity(0)
    for test in (the_origin_serves_requests_in_pieces_and_several_at_once,
                 a_run_that_was_not_what_it_should_be_is_a_fault,
                 targets_are_judged_by_the_ratios,
                 measures_reef_and_the_floor,
                 a_server_that_is_not_installed_is_named_and_the_run_fails,
                 a_server_that_does_not_start_is_told_and_the_others_are_measured):
        os.sched_setaffinity(0, cores)  # the benchmark pins itself
        test()
        print(f"passed: {test.__name__.replace('_', ' ')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
