"""The emulated Internet's self-check: does it delay as it says, and do traceroute and the model agree?"""
import random
import socket
import struct
import time

from .report import percentile, table, Progress
from .wan import World, conclude, emulator_line, inside, short_health

# Beyond its one-way paths a ping waits for both kernels and two turns of the emulator.
ERROR_MS_MAX = 1.0       # of the median of a pair's pings
HOP_ERROR_MS_MAX = 2.0   # of one traceroute probe
TRIES_MAX = 3            # a pair measured when the machine was busy is measured again


def add_arguments(parser):
    parser.add_argument("--pairs", type=int, default=24, help="random pairs of hosts to measure (default 24)")
    parser.add_argument("--count", type=int, default=10, help="pings for each pair (default 10)")
    parser.add_argument("--hosts", type=int, default=4, help="hosts in each metro (default 4)")
    parser.add_argument("--metros", type=int, default=3, help="metros in each region, 1..4 (default 3)")
    parser.add_argument("--silent-share", type=float, default=0.1, help="routers that never answer (default 0.1)")


def ping(a, b, count, v6):
    """Round trips in ms of `count` echo requests, one after the other; unanswered ones are left out."""
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    with inside(a):
        echo = socket.socket(family, socket.SOCK_DGRAM, protocol)
    times = []
    with echo:
        echo.settimeout(2)
        echo.connect((b.address6 if v6 else b.address, 0))
        for sequence in range(count):
            start = time.monotonic()
            echo.send(struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0, sequence) + bytes(48))
            try:
                echo.recv(2048)
                times.append(1000 * (time.monotonic() - start))
            except TimeoutError:
                pass
    return times


def traceroute(world, a, b, method):
    """[(address or None, ms or None)] by hop, the target last."""
    flags = {"udp": [], "icmp": ["-I"], "tcp": ["-T", "-p", "80"]}[method]
    # One probe a hop; a silent one is waited for 1 s.
    result = world.run(a, ["traceroute", "-n", "-q", "1", "-w", "1", *flags, b.address])
    hops = []
    for line in result.stdout.splitlines()[1:]:
        words = line.split()
        hops.append((None, None) if words[1] == "*" else (words[1], float(words[2])))
    return hops


def check_trace(world, a, b, method):
    """(number of hops, what is wrong with them or "", the largest error in ms of a hop's round trip)."""
    route = world.command(f"route {a.name} {b.name}")
    expected = [(None if r["silent"] else r["address"], r["rtt_ms"]) for r in route["routers"]]
    expected.append((b.address, route["rtt_ms"]))
    least = None
    for _ in range(TRIES_MAX):
        seen = traceroute(world, a, b, method)
        if [address for address, _ in seen] != [address for address, _ in expected]:
            return len(seen), f"saw {[x for x, _ in seen]}, the model has {[x for x, _ in expected]}", 0.0
        error = max(abs(s[1] - e[1]) for s, e in zip(seen, expected) if s[1] is not None)
        least = error if least is None else min(least, error)
        if least <= HOP_ERROR_MS_MAX:
            break
    return len(seen), "", least


def main(options):
    problems, health, figures = measure(options)
    return conclude(options, figures, problems, health)


def measure(options):
    """(what contradicts the model, the emulator's health, figures)"""
    source = random.Random(options.seed)
    rows, errors, problems = [], [], []
    hop_errors = []
    methods = ["udp", "icmp", "tcp"]
    with World(metros=options.metros, hosts=options.hosts, seed=options.seed,
               silent_share=options.silent_share) as world, Progress("ping") as progress:
        world.command("reset")
        for i in range(options.pairs):
            a, b = source.sample(world.hosts, 2)
            progress.update(f"pair {i + 1} of {options.pairs}")
            times = []
            model = world.command(f"route {a.name} {b.name}")["rtt_ms"]
            # What disturbs the machine only ever adds: of several medians the least is nearest to what is emulated,
            # and an error of the emulator is in all of them.
            for _ in range(TRIES_MAX):
                again = ping(a, b, options.count, v6=i % 4 == 3)
                times = again if not times or len(again) < options.count else min(times, again, key=lambda t: percentile(t, 50))
                if len(again) < options.count or percentile(times, 50) - model <= ERROR_MS_MAX:
                    break
            method = methods[i % len(methods)]
            hops, wrong, hop_error = check_trace(world, a, b, method)
            if len(times) != options.count:
                problems.append(f"{a.name} to {b.name}: {len(times)} of {options.count} pings answered")
            if wrong:
                problems.append(f"{a.name} to {b.name}: traceroute over {method} {wrong}")
            if times:
                median = percentile(times, 50)
                error = median - model
                errors.append(abs(error))
                rows.append([f"{a.name} {b.name}", "6" if i % 4 == 3 else "4", f"{model:.2f}", f"{median:.2f}",
                             f"{error:+.2f}", f"{method}, {hops}", "differs" if wrong else f"{hop_error:.2f}"])
            hop_errors.append(hop_error)
        health = world.health()
    print(table(["pair", "IP", "model ms", "ping p50", "error", "traceroute, hops", "hop error ms"], rows, "llrrrlr"))
    if errors and max(errors) > ERROR_MS_MAX:
        problems.append(f"a pair's median is off by {max(errors):.2f} ms (at most {ERROR_MS_MAX})")
    if max(hop_errors) > HOP_ERROR_MS_MAX:
        problems.append(f"a hop's round trip is off by {max(hop_errors):.2f} ms (at most {HOP_ERROR_MS_MAX})")
    print(f"\n{len(rows)} pairs; error of the medians: p50 {percentile(errors, 50) or 0:.2f} ms, "
          f"max {max(errors, default=0):.2f} ms; hops: max {max(hop_errors):.2f} ms; "
          f"{emulator_line(short_health(health))}")
    figures = {"experiment": "ping", "pairs": len(rows), "error_ms_p50": percentile(errors, 50),
               "error_ms_max": max(errors, default=None), "hop_error_ms_max": max(hop_errors),
               "health": short_health(health)}
    return problems, health, figures
