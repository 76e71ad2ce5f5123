#!/usr/bin/env python3
"""One node from its first request to its end: what a user sees of reefd on loopback.

Each case starts its own node in a temporary directory, talks to it with plain HTTP, curl or reef, and checks what
came back. Exit 0 when all hold.
"""
import argparse
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab import program  # noqa: E402
from reeflab.node import Node, wait_until  # noqa: E402
from reeflab.origin import Origin, Resource, make_objects  # noqa: E402

failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def free_ports(count):
    """Ports that are free on loopback for UDP and TCP at this moment."""
    held, ports = [], []
    while len(ports) < count:
        tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
            ports.append(tcp.getsockname()[1])
        except OSError:
            continue
    for one in held:
        one.close()
    return ports


def make_node(directory, *flags, **options):
    proxy, rpc, admin, dns = free_ports(4)
    return Node("127.0.0.1", directory, flags=["--allow-origin", "127.0.0.0/8", *flags], proxy_port=proxy, rpc_port=rpc,
                admin_port=admin, dns_port=dns, **options)


def get(node, host, path="/", method="GET", fields=None, body=None):
    """(status, fields, body) of one request with that Host."""
    connection = http.client.HTTPConnection("127.0.0.1", node.proxy_port, timeout=20)
    connection.request(method, path, body=body, headers={"Host": host, **(fields or {})})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), data


def wait_settled(node):
    """Until no fill is running: the last byte reaches a client before its fill has ended, and who asks in that moment
    joins the fill instead of finding the object."""
    wait_until(lambda: node.status()["proxy"]["fills_open"] == 0, 10, "all fills have ended", node.check_alive)


def coral(origin):
    return f"localhost.{origin.port}.reef.localhost"


def a_page_is_fetched_once_and_then_served_from_the_cache(directory):
    with Origin(make_objects(3, 41_000)) as origin, make_node(directory) as node:
        node.wait_ready()
        for path, resource in origin.resources.items():
            status, fields, body = get(node, coral(origin), path)
            check((status, body) == (200, resource.body), f"{path}: right bytes through the Coralized name")
            check("fwd=" in fields.get("Cache-Status", ""), f"Cache-Status of a miss: {fields.get('Cache-Status')}")
            wait_settled(node)
            status, fields, body = get(node, coral(origin), path)
            check((status, body) == (200, resource.body), f"{path}: right bytes again")
            check("; hit" in fields.get("Cache-Status", "") and "Age" in fields,
                  f"Cache-Status of a hit: {fields.get('Cache-Status')}")
        check(set(origin.counts().values()) == {1}, f"the origin saw each object once: {origin.counts()}")
        out = subprocess.run(["curl", "-sS", "-o", "-", f"http://{coral(origin)}:{node.proxy_port}/object-00.bin"],
                             capture_output=True, timeout=20)
        check(out.stdout == origin.resources["/object-00.bin"].body, f"curl by the .localhost name alone {out.stderr}")
        check(node.stop() == 0, "SIGTERM: the node exits 0")


def a_killed_node_serves_what_it_had_stored(directory):
    with Origin({**make_objects(6, 2_000), **make_objects(4, 300_000, prefix="/big-")}) as origin:
        node = make_node(directory)
        with node:
            node.wait_ready()
            for path in origin.resources:
                get(node, coral(origin), path)
            wait_until(lambda: node.status()["store"]["objects"] >= len(origin.resources), 20, "all objects on disk",
                       node.check_alive)
            node.kill()
            before = origin.fetches()
            node.start()
            node.wait_ready()
            for path, resource in origin.resources.items():
                status, fields, body = get(node, coral(origin), path)
                check((status, body) == (200, resource.body) and "; hit" in fields.get("Cache-Status", ""),
                      f"after kill -9, {path} from the disk: {status} {fields.get('Cache-Status')}")
            check(origin.fetches() == before, "nobody asked the origin again")


def refusals_are_readable(directory):
    with make_node(directory) as node:
        node.wait_ready()
        for host, path, method, wanted, word in [
                ("www.example.com", "/", "GET", 421, b"reef.localhost"),
                ("10.0.0.1.reef.localhost", "/", "GET", 403, b""),
                ("192.168.1.1.8080.reef.localhost", "/", "GET", 403, b""),
                ("www.example.com.reef.localhost", "/", "POST", 405, b"GET"),
                ("www.example.com.22.reef.localhost", "/", "GET", 403, b"port"),
                ("reef.localhost", "/", "GET", 200, b"Reef")]:
            status, fields, body = get(node, host, path, method)
            ok = status == wanted or (wanted == 403 and status == 400)
            check(ok and word.lower() in body.lower() and fields.get("Content-Type", "").startswith("text/html"),
                  f"{method} http://{host}{path}: {status}, a page that says why")


def a_site_of_the_site_map_is_passed_through(directory):
    with Origin({"/form": Resource(b"thanks"), "/page": Resource(b"page")}) as origin:
        with make_node(directory, "--site", f"www.small.org={origin.url('').rstrip('/')}") as node:
            node.wait_ready()
            status, _, body = get(node, "www.small.org", "/page")
            check((status, body) == (200, b"page"), f"GET through the site's own name: {status}")
            wait_settled(node)
            status, fields, _ = get(node, "www.small.org", "/page")
            check("; hit" in fields.get("Cache-Status", ""), "the second GET is a hit")
            status, _, _ = get(node, "www.small.org", "/form", "POST", body=b"x" * 100_000)
            check(status == 200 and origin.log()[-1]["method"] == "POST", f"POST reaches the origin: {status}")


def wrong_configuration_is_one_line_and_exit_2(directory):
    path = pathlib.Path(directory) / "wrong.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[node]\nworkers = -3\n")
    for arguments, words in [(["--config", str(path)], ["wrong.toml:2", "-3"]), (["--listen", "nonsense"], ["--listen"]),
                             (["--no-such-flag"], ["--no-such-flag"])]:
        out = subprocess.run([program("reefd"), *arguments], capture_output=True, text=True, timeout=20)
        lines = out.stderr.strip().splitlines()
        check(out.returncode == 2 and len(lines) == 1 and all(word in lines[0] for word in words),
              f"exit {out.returncode}: {out.stderr.strip()}")
    out = subprocess.run([program("reefd"), "--help"], capture_output=True, text=True, timeout=20)
    check(out.returncode == 0 and "--allow-origin" in out.stdout, "--help teaches")


def a_reload_applies_what_it_can_and_survives_nonsense(directory):
    path = pathlib.Path(directory) / "reef.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[node]\nlog_level = "info"\n')
    # No --log-level flag here: flags win over the file.
    node = make_node(directory, "--config", str(path))
    at = node.command.index("--log-level")
    del node.command[at:at + 2]
    with node:
        node.wait_ready()
        path.write_text('[node]\nlog_level = "nonsense"\n')
        node.reload()
        wait_until(lambda: "nonsense" in node.log_tail(), 10, "the broken file is said to be broken", node.check_alive)
        check(node.is_ready(), "a broken file changes nothing")
        path.write_text('[node]\nlog_level = "debug"\n')
        node.reload()
        wait_until(lambda: "log_level" in node.log_tail(), 10, "the change is logged", node.check_alive)
        check(node.stop() == 0, "and it ends well")


def index_by_command_line(reef, admin, own_id):
    """reef dht announce, trace and nodes, and reef cluster, on a node that is alone."""
    def run(*words):
        return subprocess.run([reef, *words, *admin], capture_output=True, text=True, timeout=20)

    for what in ("the first", "the first"):  # renewed by the same publisher, who is still the first
        out = run("dht", "announce", "page", "me", "--ttl", "30")
        check(out.returncode == 0 and what in out.stdout, f"reef dht announce: {out.stdout.strip()}{out.stderr}")
    walk = json.loads(run("dht", "trace", "page", "--json").stdout)
    check(walk["end"] == "found" and walk["why"] and len(walk["key"]) == 40 and walk["values"][0]["provisional"],
          f"reef dht trace --json: {walk['end']}, {walk['why']}")
    out = run("dht", "trace", "nothing here", "--level", "0")
    check(out.returncode == 0 and "nobody was asked" in out.stdout, f"and for people: {out.stdout.strip()}{out.stderr}")
    out = run("dht", "nodes", "--near", "127.0.0.1", "--json")
    check(out.returncode == 0 and json.loads(out.stdout)["nodes"] == [], f"reef dht nodes: {out.stdout.strip()}")
    levels = json.loads(run("cluster", "--json").stdout)["levels"]
    check([entry["level"] for entry in levels] == [0, 1, 2] and
          all(len(entry["id"]) == 40 and entry["contacts"] == 0 for entry in levels) and
          levels[0]["id"] == 40 * "0" and levels[1]["threshold_ms"] == 60 and levels[2]["threshold_ms"] == 20,
          "reef cluster --json tells every level")
    out = run("cluster")
    check(out.returncode == 0 and levels[2]["id"] in out.stdout and "switches" in out.stdout, "and for people")
    for words, said in [(["dht", "put", "x", 129 * "y"], "128"), (["dht", "trace", "x", "--level", "3"], "--level"),
                        (["dht", "get", "x", "--domain", "nonsense"], "--domain"),
                        (["dht", "nodes", "--target", "xyz"], "40 hex digits"),
                        (["dht", "announce", "x", "y", "--ttl", "0"], "--ttl")]:
        out = run(*words)
        check(out.returncode != 0 and said in out.stderr + out.stdout, f"reef {' '.join(words)[:40]}: {out.stderr.strip()}")


def the_command_line_talks_to_the_node(directory):
    reef = program("reef")
    url = "http://www.example.com/a?b=c"
    out = subprocess.run([reef, "url", url], capture_output=True, text=True, timeout=20).stdout.strip()
    check(out == "http://www.example.com.reef.localhost:8090/a?b=c", f"reef url: {out}")
    back = subprocess.run([reef, "url", out], capture_output=True, text=True, timeout=20).stdout.strip()
    check(back == url, f"and back: {back}")
    with make_node(directory) as node:
        node.wait_ready()
        admin = ["--admin", f"127.0.0.1:{node.admin_port}"]
        status = json.loads(subprocess.run([reef, "status", "--json", *admin], capture_output=True, timeout=20).stdout)
        check(len(status["id"]) == 40 and status["ready"], "reef status --json")
        put = subprocess.run([reef, "dht", "put", "greeting", "hello", *admin], capture_output=True, text=True, timeout=20)
        got = subprocess.run([reef, "dht", "get", "greeting", *admin], capture_output=True, text=True, timeout=20)
        check(put.returncode == 0 and "hello" in got.stdout, f"reef dht put and get: {got.stdout.strip()}{got.stderr}")
        index_by_command_line(reef, admin, status["id"])
        trace = subprocess.run([reef, "trace", "127.0.0.1", *admin], capture_output=True, text=True, timeout=20)
        check(trace.returncode == 0 and "127.0.0.1" in trace.stdout, f"reef trace: {trace.stdout.strip()}{trace.stderr}")
        connection = http.client.HTTPConnection("127.0.0.1", node.admin_port, timeout=10)
        connection.request("GET", "/api/status", headers={"Host": "evil.example"})
        check(connection.getresponse().status == 403, "the admin listener refuses a foreign Host")
        for path in ("/api/trace?address=%ff%fe", "/api/dht/get?name=%ff&domain=%ff", "/api/trace",
                     "/api/dht/get", "/api/dht/trace?name=x&levels=3", "/api/dht/trace?name=x&levels=2,",
                     "/api/dht/nodes?level=9", "/api/dht/nodes?near=%ff", "/api/dht/nodes?target=12",
                     "/api/dht/nodes?near=127.0.0.1&target=" + 40 * "0", "/api/dht/nodes?count=0",
                     "/api/dht/nodes?ask=1", "/api/dht/nodes?ask=2"):
            status, body = node.admin(path)
            check(status == 400 and "error" in json.loads(body), f"nonsense gets an answer: {path} {body}")


def a_drain_lets_a_running_response_end(directory):
    body = os.urandom(400_000)
    with Origin({"/slow": Resource(body)}, bytes_per_s=200_000) as origin, make_node(directory) as node:
        node.wait_ready()
        connection = http.client.HTTPConnection("127.0.0.1", node.proxy_port, timeout=20)
        connection.request("GET", "/slow", headers={"Host": coral(origin)})
        response = connection.getresponse()
        first = response.read(1000)
        node.process.send_signal(signal.SIGTERM)
        rest = response.read()
        check(hashlib.sha256(first + rest).digest() == hashlib.sha256(body).digest(),
              "a response that runs when SIGTERM comes arrives whole")
        check(node.process.wait(20) == 0, "then the node exits 0")


CASES = [a_page_is_fetched_once_and_then_served_from_the_cache, a_killed_node_serves_what_it_had_stored,
         refusals_are_readable, a_site_of_the_site_map_is_passed_through, wrong_configuration_is_one_line_and_exit_2,
         a_reload_applies_what_it_can_and_survives_nonsense, the_command_line_talks_to_the_node,
         a_drain_lets_a_running_response_end]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="", help="run the cases whose name contains WORD")
    arguments = parser.parse_args()
    for case in CASES:
        if arguments.only not in case.__name__:
            continue
        print(f"--- {case.__name__.replace('_', ' ')}", flush=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="reef-life-") as directory:
            try:
                case(os.path.join(directory, "node"))
            except Exception as error:  # the other cases still have something to say
                check(False, f"{case.__name__}: {type(error).__name__}: {error}")
        print(f"      {time.monotonic() - started:.1f} s", flush=True)
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
