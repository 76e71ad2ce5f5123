"""An origin that answers with whatever bytes a test wants, and remembers the bytes of every request.

    async def script(talk):            # one request has arrived on this connection
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")

    with RawOrigin({"/short": script}) as origin:
        origin.seen("/short")          # the requests for it, complete ones first

Runs an asyncio loop in a thread of its own. After a script returns the connection takes the next request, unless the
script closed it; a path without a script gets `default` (200 with a small fresh body).
"""
import asyncio
import dataclasses
import socket
import struct
import threading

REQUEST_BYTES_MAX = 64 << 20


@dataclasses.dataclass
class Request:
    """One request as it came: `whole` is false where its body ended too early or was malformed."""
    head: bytes
    body: bytes = b""
    whole: bool = True
    connection: int = 0

    @property
    def path(self):
        return self.head.split(b" ", 2)[1].decode("latin-1") if self.head.count(b" ") >= 2 else ""

    @property
    def method(self):
        return self.head.split(b" ", 1)[0].decode("latin-1")

    def field(self, name):
        """The value of its first such line, or None."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


class Talk:
    """One connection while a script answers on it."""

    def __init__(self, reader, writer, number):
        self.reader, self.writer, self.number = reader, writer, number
        self.request = None
        self.closed = False

    async def send(self, data, gap_s=0.0, piece=0):
        """All of it; with `piece` in such pieces, `gap_s` apart. False: the other side is gone."""
        try:
            for at in range(0, len(data), piece or len(data) or 1):
                self.writer.write(data[at:at + piece] if piece else data)
                await self.writer.drain()
                if gap_s:
                    await asyncio.sleep(gap_s)
        except OSError:
            self.close()
            return False
        return not self.writer.is_closing()

    async def gone(self, timeout_s):
        """Waits until the other side has closed, or `timeout_s`; what it sends is dropped."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self.reader.read(65536):
                    pass
            return True
        except (TimeoutError, OSError):
            return False

    def close(self):
        self.closed = True
        self.writer.close()

    def reset(self):
        """Closes so that the other side sees a reset."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.closed = True
        self.writer.transport.abort()


def fresh(body, fields="", max_age=3600):
    """A whole answer that may be kept."""
    return (f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nCache-Control: max-age={max_age}\r\n"
            f"{fields}\r\n").encode() + body


async def default(talk):
    await talk.send(fresh(b"content of " + talk.request.path.encode("latin-1")))


class RawOrigin:
    """scripts: path (without query) -> script; may be changed while it runs. on_connect: called instead of reading
    a request, with the Talk; true ends the connection."""

    def __init__(self, scripts=None, *, on_connect=None):
        self.scripts, self.on_connect = dict(scripts or {}), on_connect
        self.requests, self.lock = [], threading.Lock()
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self.tasks = set()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def seen(self, path=None):
        """Requests so far, those of `path` only (query included) where given."""
        with self.lock:
            return [request for request in self.requests if path is None or request.path == path]

    def forget(self):
        with self.lock:
            self.requests.clear()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(lambda *_: None)  # clients that break off are what is tested
        self.loop.run_until_complete(self._start())
        self.loop.run_forever()

    async def _start(self):
        self.server = await asyncio.start_server(self._serve, sock=self.listener, limit=1 << 20)

    async def _end(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        talk = Talk(reader, writer, self.connections)
        try:
            if self.on_connect and await self.on_connect(talk):
                return
            while not talk.closed and await self._one(talk):
                pass
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _one(self, talk):
        head = await talk.reader.readuntil(b"\r\n\r\n")
        request = Request(head, connection=talk.number)
        talk.request = request
        with self.lock:
            self.requests.append(request)
        request.whole = False
        if "chunked" in (request.field("Transfer-Encoding") or ""):
            await self._read_chunks(talk.reader, request)
        else:
            length = min(int(request.field("Content-Length") or 0), REQUEST_BYTES_MAX)
            while len(request.body) < length:
                more = await talk.reader.read(min(65536, length - len(request.body)))
                if not more:
                    return False
                request.body += more
        request.whole = True
        await self.scripts.get(request.path.split("?", 1)[0], default)(talk)
        return True

    @staticmethod
    async def _read_chunks(reader, request):
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size > 0:
                request.body += await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("chunk without an end")
            if size == 0:
                return
