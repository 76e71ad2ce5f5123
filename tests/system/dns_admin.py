#!/usr/bin/env python3
"""What the one who runs a node does with its name server: sets and removes records, and asks why it answers as it does.

reef talks to reefd, dig sees what came of it.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab import program  # noqa: E402
from reeflab.node import Node  # noqa: E402

ADDRESS, SUFFIX = "127.0.0.24", "reef.example"
CHALLENGE = f"_acme-challenge.{SUFFIX}"
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


class Shell:
    def __init__(self, node):
        self.node = node

    def reef(self, *words):
        """(status, what it printed on stdout and stderr)"""
        done = subprocess.run([program("reef"), "dns", *words, "--admin", f"{ADDRESS}:{self.node.admin_port}"],
                              capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    def dig(self, name, kind):
        """The answer section's data, sorted."""
        done = subprocess.run(["dig", "+norecurse", "+short", f"@{ADDRESS}", "-p", str(self.node.dns_port), name, kind],
                              capture_output=True, text=True, timeout=20)
        return sorted(done.stdout.split("\n")[:-1])


def records(shell):
    check(shell.dig(CHALLENGE, "TXT") == [], "no challenge before it is set")
    status, out = shell.reef("set", CHALLENGE, "TXT", "first-token", "--ttl", "60")
    check(status == 0 and "first-token" in out, f"a challenge is set: {out.strip()}")
    status, _ = shell.reef("set", CHALLENGE, "TXT", "second-token")
    check(status == 0 and shell.dig(CHALLENGE, "TXT") == ['"first-token"', '"second-token"'],
          "dig sees both values, as a certificate for a name and its wildcard needs")
    check(shell.dig(CHALLENGE, "A") == shell.dig("other.example.com." + SUFFIX, "A") == [ADDRESS],
          "the name has its addresses beside them")
    status, out = shell.reef("records", "--json")
    check(status == 0 and len(json.loads(out)["records"]) == 2, f"both are listed: {out.strip()}")
    status, _ = shell.reef("remove", CHALLENGE, "TXT", "first-token")
    check(status == 0 and shell.dig(CHALLENGE, "TXT") == ['"second-token"'], "one value is removed")
    status, _ = shell.reef("remove", CHALLENGE)
    check(status == 0 and shell.dig(CHALLENGE, "TXT") == [], "and all of the name")


def refusals(shell):
    for words, expected in (((CHALLENGE, "PTR", "x"), "PTR"), (("a..b", "TXT", "x"), "a..b"),
                            (("www.elsewhere.example", "TXT", "x"), "elsewhere"),
                            (("n." + SUFFIX, "A", "300.1.1.1"), "300.1.1.1")):
        status, out = shell.reef("set", *words)
        check(status != 0 and expected in out and len(out.strip().splitlines()) == 1,
              f"refused in one line that says why: {out.strip()}")
    status, out = shell.reef("remove", "nobody." + SUFFIX)
    check(status == 0 and out.strip() == "", "removing what is not there is no error, so that clean-up may be repeated")


def explanation(shell):
    status, out = shell.reef("explain", "192.0.2.53", "www.x.com." + SUFFIX, "--json")
    told = json.loads(out) if status == 0 else {}
    check(told.get("network") == "192.0.2.0/24" and told.get("verdict") is None and told.get("rcode") == "NOERROR",
          "nothing is known of a client that never asked")
    addresses = told.get("addresses", [])
    check([a["address"] for a in addresses] == shell.dig("www.x.com." + SUFFIX, "A") and "this node" in addresses[0]["why"],
          f"the address that dig gets, and why: {addresses}")
    status, out = shell.reef("explain", "192.0.2.53", "--subnet", "198.51.100.0/24")
    check(status == 0 and "198.51.100.0/24" in out, "of a client subnet")
    status, out = shell.reef("explain", "10.9.9.9", "--locate")
    check(status == 0 and "10.9.9.0/24" in out, f"a private network is not probed, and that is no error: {out.splitlines()[:1]}")
    for words in (("nowhere",), ("192.0.2.53", "a..b"), ("192.0.2.53", "--type", "NOPE"), ("192.0.2.53", "--subnet", "1/2")):
        status, out = shell.reef("explain", *words)
        check(status != 0 and "allowed" in out, f"refused: {out.strip()}")


def main():
    if not shutil.which("dig"):
        print("SKIPPED: dig is not installed")
        return 77
    with tempfile.TemporaryDirectory(prefix="reef-dns-admin-") as name:
        with Node(ADDRESS, pathlib.Path(name) / "node", flags=["--suffix", SUFFIX, "--workers", "2"]) as node:
            node.wait_ready()
            shell = Shell(node)
            for part in (records, refusals, explanation):
                part(shell)
            check(node.stop() == 0, "the node exits 0")
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
