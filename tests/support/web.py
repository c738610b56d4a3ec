"""A web server in the test's own process: it answers as the test says, and remembers what it was asked.

with Web(lambda request: Reply(404)) as web:
    …web.url…
web.requests, web.connections
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple


class Request(NamedTuple):
    """headers: with their names in lower case. connection: its number, in the order in which they were opened."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    """body: bytes or text as it is, anything else as JSON. headers: None leaves one out. after: seconds until it is
    sent. drop: close the connection before the answer (0), or after so many bytes of it. close: say that the connection
    ends with the answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str | None] = {}  # noqa: RUF012 - never written to
    after: float = 0.0
    drop: int | None = None
    close: bool = False

    @property
    def bytes(self) -> bytes:
        body = self.body.encode() if isinstance(self.body, str) else self.body
        body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Length": str(len(body)), **({"Connection": "close"} if self.close else {}), **self.headers}
        told = (f"{name}: {text}" for name, text in headers.items() if text is not None)
        lines = [f"HTTP/1.1 {self.status} Said", *told, "", ""]
        return "\r\n".join(lines).encode("latin-1") + body


class Web:
    """The server, while the context lasts. answer: Request → Reply; it runs in the server's thread, one at a time."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.open = self.most_open = 0
        """Requests without an answer yet, now and at most."""
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.001))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while await self._one(reader, writer, number):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client is gone, or the test over
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split()
        request = Request(method, target, headers, body, number)
        self.requests.append(request)
        reply = self._answer(request)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await asyncio.sleep(reply.after)
        finally:
            self.open -= 1
        writer.write(reply.bytes[: reply.drop])
        await writer.drain()
        return reply.drop is None and not reply.close
