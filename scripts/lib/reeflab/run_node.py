"""What scripts/run does after the build: starts a node, waits until it is ready, says what to open, stays with it."""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from .node import wait_until, NodeError
import http.client

DEFAULTS = {"--listen": "127.0.0.1:8090", "--admin-listen": "127.0.0.1:8092", "--dns-listen": "127.0.0.1:5300",
            "--suffix": None, "--zone": None}


def settings(flags):
    """The first value of each flag of DEFAULTS, as reefd itself will see them."""
    found = dict(DEFAULTS)
    seen = set()
    words = iter(flags)
    for word in words:
        name, equals, value = word.partition("=")
        if name in DEFAULTS and name not in seen:
            found[name] = value if equals else next(words, "")
            seen.add(name)
    found["suffix"] = found["--suffix"] or found["--zone"] or "reef.localhost"
    return found


def reachable(endpoint):
    """host, port to connect to, for a listener on `endpoint` (a wildcard is reached over loopback)."""
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)


def is_ready(endpoint):
    try:
        connection = http.client.HTTPConnection(*reachable(endpoint), timeout=2)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False


def banner(found, flags, ready_after_s, pid):
    host, port = reachable(found["--listen"])
    suffix = found["suffix"]
    local = " ".join(flags).find("--allow-origin") >= 0
    loopback_name = suffix == "localhost" or suffix.endswith(".localhost")
    resolve = "" if loopback_name else f" --resolve www.example.com.{suffix}:{port}:{host}"
    lines = [
        "",
        f"Reef is running (pid {pid}, ready after {ready_after_s:.1f} s). Put .{suffix}:{port} behind a host name:",
        "",
        f"  open   http://www.example.com.{suffix}:{port}/",
        f"  curl   curl -i{resolve} http://www.example.com.{suffix}:{port}/",
    ]
    if local:
        lines += [f"  local  python3 -m http.server 8000 --bind 127.0.0.1 &   # a web server of your own",
                  f"         curl -i http://127.0.0.1.8000.{suffix}:{port}/     # twice: the second comes from the cache"]
    else:
        lines += ["  local  to try it with a web server of your own: scripts/run --allow-origin 127.0.0.0/8, then",
                  f"         http://127.0.0.1.8000.{suffix}:{port}/ is http://127.0.0.1:8000/"]
    lines += [f"  admin  http://{found['--admin-listen']}/  (health: /healthz)", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="run")
    parser.add_argument("--reefd", required=True)
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("flags", nargs="*")
    options = parser.parse_args()
    found = settings(options.flags)
    if is_ready(found["--admin-listen"]):
        sys.exit(f"run: something already answers on the admin listener {found['--admin-listen']}: another node? "
                 f"End it, or give this one other ports (--listen --dns-listen --rpc-listen --admin-listen)")

    command = [options.reefd, *options.flags]
    log = None
    if options.detach:
        log = pathlib.Path(tempfile.mkdtemp(prefix="reef-")) / "reefd.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    else:
        process = subprocess.Popen(command)

    def forward(number, _frame):
        # From a terminal Ctrl-C reaches the node by itself: both are in the foreground group. A second SIGTERM is harmless.
        if process.poll() is None and (number != signal.SIGINT or not os.isatty(0)):
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)

    def alive():
        if process.poll() is not None:
            if log:
                sys.stderr.write(log.read_text(errors="replace"))
            sys.exit(process.returncode if process.returncode > 0 else 1)

    start = time.monotonic()
    try:
        wait_until(lambda: is_ready(found["--admin-listen"]), 30, "the node ready", alive)
    except NodeError as error:
        process.terminate()
        sys.exit(f"run: {error}")
    print(banner(found, options.flags, time.monotonic() - start, process.pid))
    if options.detach:
        print(f"  stop   kill {process.pid}\n  log    {log}\n")
        return 0
    print("Ctrl-C ends it.", flush=True)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
