#!/usr/bin/env python3
"""What scripts/run starts and says: the node becomes ready, the banner's own curl line works with a local web
server and is a hit the second time, SIGTERM ends it with 0, and wrong settings are reefd's one line and exit 2."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from reeflab import program  # noqa: E402
from reeflab.node import wait_until  # noqa: E402
from reeflab.origin import Origin, Resource  # noqa: E402

PORTS = ["--listen", "127.0.0.21:18090", "--dns-listen", "127.0.0.21:15300", "--rpc-listen", "127.0.0.21:18091",
         "--admin-listen", "127.0.0.21:18092"]
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def command(*flags, detach=False):
    own = ["--detach"] if detach else []
    return [sys.executable, "-m", "reeflab.run_node", "--reefd", str(program("reefd", "dev")), *own, "--", *flags]


def curl(url):
    """Status, headers (lower-case names) and body of a GET through the node at 127.0.0.21."""
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", "--connect-to", "::127.0.0.21:18090", url],
                          capture_output=True, timeout=30)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").split("\r\n")
    headers = dict((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
    return int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0, headers, body


def a_node_in_the_foreground(directory, env):
    body = os.urandom(50_000)
    output = pathlib.Path(directory) / "output"
    with Origin({"/page": Resource(body)}) as origin, open(output, "wb") as out:
        process = subprocess.Popen(command("--data-dir", f"{directory}/a", "--allow-origin", "127.0.0.0/8", *PORTS),
                                   stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env)
        try:
            wait_until(lambda: b"Ctrl-C ends it" in output.read_bytes() or process.poll() is not None, 60, "the banner")
            text = output.read_text()
            check("http://www.example.com.reef.localhost:18090/" in text, "the banner says what to open")
            shown = re.search(r"curl -i --connect-to ::127\.0\.0\.21:18090 (http://127\.0\.0\.1\.8000\.reef\.localhost:18090)/", text)
            check(shown is not None, "and how to try it with a web server of one's own")
            url = f"http://127.0.0.1.{origin.port}.reef.localhost:18090/page"
            status, headers, got = curl(url)
            check(status == 200 and got == body, f"the first request brings the right bytes (status {status})")
            check("fwd=" in headers.get("cache-status", ""), f"from the origin: {headers.get('cache-status')}")
            wait_until(lambda: admin_status()["proxy"]["fills_open"] == 0, 10, "the fill's end")
            status, headers, got = curl(url)
            check(status == 200 and got == body, f"so does the second (status {status})")
            check("; hit" in headers.get("cache-status", ""), f"from the cache: {headers.get('cache-status')}")
            check(origin.fetches() == 1, f"the origin was asked once: {origin.fetches()}")
            second = subprocess.run(command(*PORTS), capture_output=True, text=True, env=env, timeout=60)
            check(second.returncode != 0 and "already answers" in second.stderr, f"a second one is refused: {second.stderr.strip()}")
            process.send_signal(signal.SIGTERM)
            check(process.wait(30) == 0, "SIGTERM ends both with 0")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def admin_status():
    with urllib.request.urlopen("http://127.0.0.21:18092/api/status", timeout=10) as answer:
        return json.load(answer)


def a_detached_node(directory, env):
    done = subprocess.run(command("--data-dir", f"{directory}/b", *PORTS, detach=True), capture_output=True, text=True,
                          env=env, timeout=60)
    found = re.search(r"stop\s+kill (\d+)", done.stdout)
    check(done.returncode == 0 and found is not None, "--detach says how to stop the node")
    if found:
        pid = int(found.group(1))
        os.kill(pid, signal.SIGTERM)

        def ended():
            try:
                return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                return True

        wait_until(ended, 30, "the detached node's end")
        check(True, "and that stops it")


def wrong_settings(env):
    done = subprocess.run(command("--workers", "many"), capture_output=True, text=True, env=env, timeout=60)
    check(done.returncode == 2, f"wrong settings exit 2 (was {done.returncode})")
    check(done.stderr == 'reefd: --workers: found "many"; allowed: a whole number from 0 to 256\n', f"in one line: {done.stderr!r}")


def main():
    env = dict(os.environ, PYTHONPATH=str(ROOT / "scripts" / "lib"), PYTHONDONTWRITEBYTECODE="1")
    with tempfile.TemporaryDirectory(prefix="reef-run-test-") as directory:
        a_node_in_the_foreground(directory, env)
        a_detached_node(directory, env)
        wrong_settings(env)
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
