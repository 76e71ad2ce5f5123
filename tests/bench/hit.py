#!/usr/bin/env python3
"""Cache hits: requests a second and CPU per request, beside nginx's proxy_cache in the same run.

One worker each, pinned to one core; wrk on another core, connections kept open. Rounds of both are interleaved, and
what is compared are medians. CPU is the run time of the server's threads by the kernel's account (schedstat). That
the hits are hits is checked by the origin's request count. nginx runs without access log, with open_file_cache,
sendfile and unlimited requests a connection.

Exit status 0: Reef needs at most --target times nginx's CPU per request at every size.
"""
import argparse
import http.server
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Origin(http.server.ThreadingHTTPServer):
    """Serves /SIZE as that many bytes, fresh for a day, and counts."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests += 1
        body = b"x" * int(self.path.strip("/"))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Cache-Control", "max-age=86400")
        self.send_header("ETag", '"%d"' % len(body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ns(pid):
    """Run time of all threads of a process."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


class Server:
    def __init__(self, name, port, host, command, core):
        self.name, self.port, self.host = name, port, host
        self.process = subprocess.Popen(["taskset", "-c", str(core)] + command, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid

    def get(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": self.host})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()

    def wait(self, path):
        deadline = time.monotonic() + 10
        while True:
            try:
                return self.get(path)
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"hit: {self.name} does not answer")
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_reef(directory, origin, core):
    build = pathlib.Path(os.environ.get("REEF_BUILD_DIR") or ROOT / "build" / "release")
    program = build / "tests" / "bench" / "reef_bench_proxy"
    if not program.exists():
        raise SystemExit(f"hit: {program} is not built")
    port = free_port()
    (directory / "reef").mkdir()
    host = f"localhost.{origin.server_port}.reef.localhost"
    return Server("reef", port, host, [str(program), f"127.0.0.1:{port}", str(directory / "reef"), "1"], core)


def start_nginx(directory, origin, core):
    if shutil.which("nginx") is None:
        raise SystemExit("hit: nginx is not installed (scripts/bootstrap --tests)")
    port = free_port()
    home = directory / "nginx"
    (home / "tmp").mkdir(parents=True)
    (home / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
{"user root;" if os.getuid() == 0 else ""}
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=10000 inactive=600s;
  open_file_cache_valid 600s;
  client_body_temp_path {home}/tmp/body; proxy_temp_path {home}/tmp/proxy; fastcgi_temp_path {home}/tmp/f;
  uwsgi_temp_path {home}/tmp/u; scgi_temp_path {home}/tmp/s;
  proxy_cache_path {home}/cache levels=1:2 keys_zone=hits:16m inactive=1d use_temp_path=off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://127.0.0.1:{origin.server_port};
      proxy_cache hits;
      proxy_cache_key $host$request_uri;
    }}
  }}
}}
""")
    server = Server("nginx", port, "www.example.com", ["nginx", "-p", str(home), "-c", str(home / "nginx.conf")], core)
    server.wait("/1")
    children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    workers = [pid for pid in children if "worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
    server.pid = int(workers[0])
    return server


def measure(server, path, options):
    """One run of wrk: requests a second, CPU in us per request, errors."""
    script = options.directory / "report.lua"
    script.write_text("done = function(s, l, r) io.write(string.format('RESULT %d %d %d\\n', s.requests, s.duration, "
                      "s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout)) end\n")
    before = cpu_ns(server.pid)
    out = subprocess.run(
        ["taskset", "-c", str(options.load_core), "wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s",
         "-s", str(script), "-H", f"Host: {server.host}", f"http://127.0.0.1:{server.port}{path}"],
        capture_output=True, text=True, check=True, timeout=options.seconds + 30).stdout
    used = cpu_ns(server.pid) - before
    line = [text for text in out.splitlines() if text.startswith("RESULT")][0].split()
    requests, duration_us, errors = int(line[1]), int(line[2]), int(line[3])
    return {"requests_per_s": requests / (duration_us / 1e6), "cpu_us": used / 1000 / requests, "errors": errors}


def run(options):
    cores = sorted(os.sched_getaffinity(0))
    options.server_core, options.load_core = cores[0], cores[-1]
    if len(cores) < 2:
        raise SystemExit("hit: needs two cores, one for the server and one for the load")
    with tempfile.TemporaryDirectory(prefix="reef-hit-") as directory:
        options.directory = pathlib.Path(directory)
        origin = Origin()
        servers = []
        try:
            servers.append(start_reef(options.directory, origin, options.server_core))
            servers.append(start_nginx(options.directory, origin, options.server_core))
            for server in servers:
                for size in options.sizes:
                    for _ in range(2):
                        status, body = server.wait(f"/{size}")
                        if status != 200 or len(body) != size:
                            raise SystemExit(f"hit: {server.name} gave {status} with {len(body)} bytes for /{size}")
            asked = origin.requests
            runs = {(server.name, size): [] for server in servers for size in options.sizes}
            for number in range(options.rounds + 1):
                for size in options.sizes:
                    for server in (servers if number % 2 == 0 else servers[::-1]):
                        result = measure(server, f"/{size}", options)
                        if number > 0:  # the first round warms up
                            runs[server.name, size].append(result)
            origin_requests = origin.requests - asked
        finally:
            for server in servers:
                server.stop()
            origin.shutdown()

    rows = []
    for size in options.sizes:
        row = {"bytes": size}
        for name in ("reef", "nginx"):
            row[name] = {key: round(statistics.median(r[key] for r in runs[name, size]), 2)
                         for key in ("requests_per_s", "cpu_us")}
            row[name]["rounds_cpu_us"] = [round(r["cpu_us"], 2) for r in runs[name, size]]
            row[name]["errors"] = sum(r["errors"] for r in runs[name, size])
        row["cpu_ratio"] = round(statistics.median(
            a["cpu_us"] / b["cpu_us"] for a, b in zip(runs["reef", size], runs["nginx", size])), 3)
        rows.append(row)
    errors = sum(row[name]["errors"] for row in rows for name in ("reef", "nginx"))
    return {
        "benchmark": "hit", "rounds": options.rounds, "seconds": options.seconds, "connections": options.connections,
        "sizes": rows, "origin_requests_during_hits": origin_requests, "errors": errors, "target": options.target,
        "met": origin_requests == 0 and errors == 0 and all(row["cpu_ratio"] <= options.target for row in rows),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each server and size (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one run (default 2)")
    parser.add_argument("--connections", type=int, default=32, help="kept open by wrk (default 32)")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1024, 41984],
                        help="bytes of the objects (default 1024,41984)")
    parser.add_argument("--target", type=float, default=0.8, help="CPU per request over nginx's (default 0.8)")
    options = parser.parse_args()
    result = run(options)
    print(f"{'bytes':>8}  {'reef req/s':>11} {'nginx req/s':>11}  {'reef us':>8} {'nginx us':>8}  {'ratio':>6}")
    for row in result["sizes"]:
        print(f"{row['bytes']:>8}  {row['reef']['requests_per_s']:>11.0f} {row['nginx']['requests_per_s']:>11.0f}  "
              f"{row['reef']['cpu_us']:>8.2f} {row['nginx']['cpu_us']:>8.2f}  {row['cpu_ratio']:>6.3f}")
    print(f"origin requests during hits: {result['origin_requests_during_hits']}, errors: {result['errors']}, "
          f"target ratio {result['target']}: {'met' if result['met'] else 'not met'}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=2) + "\n")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
