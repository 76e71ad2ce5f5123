"""A small HTTP/1.1 origin server for experiments and tests: counts what it is asked, and can be made slow.

In the process:    origin = Origin({"/a.bin": Resource(b"...")}).start();  origin.url("/a.bin");  origin.counts()
As a process:      python3 -m reeflab.origin --listen 127.0.0.1:8000 --objects 12 --bytes 41000 --kbit 384
                   GET /_counts then answers {"path": fetches}, GET /_log the requests in order.
"""
import argparse
import dataclasses
import email.utils
import hashlib
import http.server
import json
import random
import socket
import sys
import threading
import time
from typing import Optional


@dataclasses.dataclass
class Resource:
    """One object and how it is answered."""
    body: bytes
    content_type: str = "application/octet-stream"
    cache_control: Optional[str] = "max-age=3600"
    last_modified: Optional[float] = 1_700_000_000.0   # seconds since the epoch; None: no such header
    etag: Optional[str] = ""                           # "": made from the body; None: no such header
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    delay_s: float = 0.0                               # before the first byte
    chunked: bool = False                              # Transfer-Encoding: chunked, no Content-Length

    def entity_tag(self):
        if self.etag == "":
            return '"' + hashlib.sha256(self.body).hexdigest()[:16] + '"'
        return self.etag


def make_objects(count, size, seed=1, prefix="/object-", suffix=".bin"):
    """`count` different resources of `size` bytes; the same for the same seed."""
    source = random.Random(seed)
    return {f"{prefix}{i:02d}{suffix}": Resource(source.randbytes(size)) for i in range(count)}


class Uplink:
    """A line of so many bytes a second that all connections share: the bytes leave in slices, in turn."""
    SLICE = 1448  # about one TCP segment, so that connections share the line evenly

    def __init__(self, bytes_per_s):
        self.bytes_per_s = bytes_per_s
        self.lock = threading.Lock()
        self.free_at = 0.0

    def send(self, write, data):
        if not self.bytes_per_s:
            write(data)
            return
        for start in range(0, len(data), self.SLICE):
            piece = data[start:start + self.SLICE]
            with self.lock:
                now = time.monotonic()
                self.free_at = max(self.free_at, now) + len(piece) / self.bytes_per_s
                wait = self.free_at - now
            time.sleep(max(0.0, wait))
            write(piece)


class Origin:
    """The server. `resources` may be changed while it runs; unknown paths are 404.

    bytes_per_s  of all connections together (0: no cap)
    delay_s      before the first byte of every answer
    """

    def __init__(self, resources, *, address="127.0.0.1", port=0, bytes_per_s=0, delay_s=0.0):
        self.resources = dict(resources)
        self.delay_s = delay_s
        self.uplink = Uplink(bytes_per_s)
        self.lock = threading.Lock()
        self.requests = []   # of dicts: time, method, path, host, status, headers
        self.bodies_sent = {}
        self.body_bytes = 0
        origin = self

        class Handler(_Handler):
            server_origin = origin

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is not news
                    super().handle_error(request, client_address)

        self.server = Server((address, port), Handler)
        self.address, self.port = address, self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def url(self, path="/"):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}{path}"

    def counts(self):
        """path -> answers that carried the body (status 200 or 206; a 304 or a HEAD is not a fetch)."""
        with self.lock:
            return dict(self.bodies_sent)

    def fetches(self):
        return sum(self.counts().values())

    def log(self):
        with self.lock:
            return list(self.requests)

    def reset(self):
        with self.lock:
            self.requests.clear()
            self.bodies_sent.clear()
            self.body_bytes = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "reeflab-origin", ""
    server_origin: Origin
    timeout = 60

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def do_POST(self):
        self.answer()

    do_PUT = do_DELETE = do_OPTIONS = do_POST

    def answer(self):
        origin, path = self.server_origin, self.path.split("?", 1)[0]
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length) if length else b""
        if path == "/_counts":
            return self.send_json(origin.counts())
        if path == "/_log":
            return self.send_json(origin.log())
        resource = origin.resources.get(self.path) or origin.resources.get(path)
        if resource is None:
            resource = Resource(b"no such object\n", "text/plain", cache_control=None, last_modified=None, etag=None, status=404)
        if self.command not in ("GET", "HEAD"):
            resource = Resource(sent, cache_control="no-store", last_modified=None, etag=None)
        status, body, extra = self.select(resource)
        with origin.lock:
            origin.requests.append({"time": time.time(), "method": self.command, "path": self.path,
                                    "host": self.headers.get("Host", ""), "status": status,
                                    "headers": {k.lower(): v for k, v in self.headers.items()}})
            if self.command == "GET" and status in (200, 206):
                origin.bodies_sent[path] = origin.bodies_sent.get(path, 0) + 1
                origin.body_bytes += len(body)
        if origin.delay_s or resource.delay_s:
            time.sleep(origin.delay_s + resource.delay_s)
        self.send_response(status)
        self.send_validators(resource)
        for name, value in {**resource.headers, **extra}.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Type", resource.content_type)
            if resource.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or status in (204, 304):
            return
        if resource.chunked:
            for start in range(0, len(body), 4096):
                piece = body[start:start + 4096]
                origin.uplink.send(self.wfile.write, b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            origin.uplink.send(self.wfile.write, body)

    def select(self, resource):
        """(status, body, extra headers) after conditions and a single range (RFC 9110 §13, §14)."""
        tag, modified = resource.entity_tag(), resource.last_modified
        if resource.status == 200:
            none_match = self.headers.get("If-None-Match")
            since = self.headers.get("If-Modified-Since")
            if none_match is not None:
                if tag and tag in [part.strip().removeprefix("W/") for part in none_match.split(",")]:
                    return 304, b"", {}
            elif since and modified is not None:
                try:
                    if modified <= email.utils.parsedate_to_datetime(since).timestamp():
                        return 304, b"", {}
                except (TypeError, ValueError):
                    pass
            wanted = self.headers.get("Range", "")
            size = len(resource.body)
            if wanted.startswith("bytes=") and "," not in wanted and self.headers.get("If-Range", tag) == tag:
                first, _, last = wanted[6:].partition("-")
                try:
                    start = int(first) if first else max(0, size - int(last))
                    end = min(int(last), size - 1) if first and last else size - 1
                except ValueError:
                    return 200, resource.body, {}
                if start >= size or start > end:
                    return 416, b"", {"Content-Range": f"bytes */{size}"}
                return 206, resource.body[start:end + 1], {"Content-Range": f"bytes {start}-{end}/{size}"}
        return resource.status, resource.body, {}

    def send_validators(self, resource):
        if resource.cache_control is not None:
            self.send_header("Cache-Control", resource.cache_control)
        if resource.last_modified is not None:
            self.send_header("Last-Modified", email.utils.formatdate(resource.last_modified, usegmt=True))
        if resource.entity_tag() is not None:
            self.send_header("ETag", resource.entity_tag())

    def send_json(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser(prog="python3 -m reeflab.origin", description="An origin of random objects /object-NN.bin.")
    parser.add_argument("--listen", default="127.0.0.1:8000", metavar="HOST:PORT")
    parser.add_argument("--objects", type=int, default=12)
    parser.add_argument("--bytes", type=int, default=41_000, help="of each object")
    parser.add_argument("--kbit", type=float, default=0, help="uplink in kbit/s, all connections together (0: no cap)")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="before the first byte of each answer")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    origin = Origin(make_objects(options.objects, options.bytes, options.seed), address=host.strip("[]"), port=int(port),
                    bytes_per_s=options.kbit * 125, delay_s=options.delay).start()
    print(f"origin on {origin.url()}: {options.objects} objects of {options.bytes} bytes", flush=True)
    try:
        origin.thread.join()
    except KeyboardInterrupt:
        origin.stop()


if __name__ == "__main__":
    main()
