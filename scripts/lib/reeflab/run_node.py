"""What scripts/run does after the build: starts a node, waits until it is ready, says what to open, stays with it."""
import argparse
import ctypes
import http.client
import ipaddress
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

from .node import NodeError, wait_until

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def settings(reefd, flags):
    """What file, environment and flags add up to, as reefd itself sees it; ends with its own line where they are wrong."""
    answer = subprocess.run([reefd, *flags, "--print-config"], capture_output=True, text=True)
    if answer.returncode != 0:
        sys.stderr.write(answer.stderr)
        sys.exit(answer.returncode)
    return tomllib.loads(answer.stdout)


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


def banner(found, ready_after_s, pid):
    host, port = reachable(found["proxy"]["listen"][0])
    suffix = found["network"]["suffix"]
    local = any(ipaddress.ip_network(prefix).overlaps(LOOPBACK) for prefix in found["proxy"]["origin"]["allow"]
                if "." in prefix)
    # *.localhost leads to 127.0.0.1 by itself; any other name or address curl has to be told.
    leads_here = suffix.endswith("localhost") and host == "127.0.0.1"
    aim = "" if leads_here else f" --connect-to ::{f'[{host}]' if ':' in host else host}:{port}"
    lines = [
        "",
        f"Reef is running (pid {pid}, ready after {ready_after_s:.1f} s). Put .{suffix}:{port} behind a host name:",
        "",
        f"  open   http://www.example.com.{suffix}:{port}/",
        f"  curl   curl -i{aim} http://www.example.com.{suffix}:{port}/",
    ]
    if local:
        lines += [f"  local  python3 -m http.server 8000 --bind 127.0.0.1 &   # a web server of your own",
                  f"         curl -i{aim} http://127.0.0.1.8000.{suffix}:{port}/     # twice: the second comes from the cache"]
    else:
        lines += ["  local  to try it with a web server of your own: scripts/run --allow-origin 127.0.0.0/8, then",
                  f"         http://127.0.0.1.8000.{suffix}:{port}/ is http://127.0.0.1:8000/"]
    lines += [f"  admin  http://{found['admin']['listen'][0]}/  (health: /healthz)", ""]
    return "\n".join(lines)


PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LIBC = ctypes.CDLL(None)


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(prog="run")
    parser.add_argument("--reefd", required=True)
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("flags", nargs="*")
    options = parser.parse_args()
    found = settings(options.reefd, options.flags)
    admin = found["admin"]["listen"][0]
    if is_ready(admin):
        sys.exit(f"run: something already answers on the admin listener {admin}: another node? "
                 f"End it, or give this one other ports (--listen --dns-listen --rpc-listen --admin-listen)")

    command = [options.reefd, *options.flags]
    log = None
    if options.detach:
        log = pathlib.Path(tempfile.mkdtemp(prefix="reef-")) / "reefd.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    else:
        # A process group of its own: Ctrl-C reaches only us and is passed on once; a second signal would end the
        # node at once instead of letting it drain. And when we are killed, it goes too.
        process = subprocess.Popen(command, process_group=0, preexec_fn=end_with_parent)

    def forward(number, _frame):
        if process.poll() is None:
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
        wait_until(lambda: is_ready(admin), 30, "the node ready", alive)
    except NodeError as error:
        process.terminate()
        sys.exit(f"run: {error}")
    print(banner(found, time.monotonic() - start, process.pid))
    if options.detach:
        print(f"  stop   kill {process.pid}\n  log    {log}\n")
        return 0
    print("Ctrl-C ends it.", flush=True)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
