"""A service that is paid by the call, as a process of its own: slow now and then, sometimes failing, and with a bill.

Each request is `POST /STAGE` with the record's id as JSON, and costs money whether or not the answer arrives. It also
speaks as much of OpenAI's protocol as a client needs that sends the id as the last message; then the stage is "chat".
What it answers is drawn from the seed, the stage, the id and how often that was asked for before. A bill is one line
for each call that costs: `stage id fate nanoseconds nanoseconds`, the moments at which it came in and was paid.

    with Service(folder / "bill") as service:
        ask(service.port)
        service.bill.calls()
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, NamedTuple

QUICK, SLOW = (0.002, 0.008), (0.08, 0.12)
"""Seconds a call takes, from and to; a slow one is the first attempt at a record, once in SLOW_ONES."""

SLOW_ONES = 60

TROUBLES = {"later": 0.01, "refused": 0.04, "error": 0.03, "dropped": 0.02, "nonsense": 0.01}
"""What may happen instead of an answer, and how often. later: 429, refused: 500, both unpaid; the others are paid."""

PATIENT = 3
"""From this attempt at a record on, there is an answer."""

UNPAID = ("later", "refused")
PAUSE = "0.01"
"""What a 429 says of when to come back, in seconds."""


def price(stage: str, number: int) -> int:
    """What the service answers."""
    return Random(f"{stage} {number}").randrange(1000)


class Plan(NamedTuple):
    """What becomes of one call. fate: a key of TROUBLES, or "paid"."""

    seconds: float
    fate: str


def drawn(seed: int, stage: str, number: int, attempt: int, slowness: float = 1.0) -> Plan:
    """slowness: QUICK and SLOW times this."""
    draw = Random(f"{seed} {stage} {number} {attempt}")
    slow = attempt == 0 and draw.randrange(SLOW_ONES) == 0
    seconds, luck = slowness * draw.uniform(*(SLOW if slow else QUICK)), draw.random()
    for fate, share in TROUBLES.items() if attempt < PATIENT else ():
        luck -= share
        if luck < 0:
            return Plan(seconds, fate)
    return Plan(seconds, "paid")


def needed(seed: int, stage: str, number: int, slowness: float = 1.0) -> float:
    """Seconds that a record takes at the service until it is answered, all attempts together."""
    plans = (drawn(seed, stage, number, attempt, slowness) for attempt in itertools.count())
    seconds = 0.0
    for plan in plans:
        seconds += plan.seconds
        if plan.fate == "paid":
            break
    return seconds


class Call(NamedTuple):
    """A call that was paid. came, paid: seconds of the monotonic clock, which all processes share."""

    stage: str
    number: int
    answered: bool
    came: float
    paid: float


class Bill:
    """The lines that the service has written so far."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def length(self) -> int:
        """How many calls were paid so far."""
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0

    def calls(self) -> list[Call]:
        lines = (line.split() for line in self.path.read_text().splitlines())
        return [
            Call(stage, int(number), fate == "paid", int(came) / 1e9, int(paid) / 1e9)
            for stage, number, fate, came, paid in lines
        ]


class Service:
    """The service, while the context lasts. twice: it bills one call in so many again. slowness: see `drawn`."""

    def __init__(self, path: Path, seed: int = 0, twice: int = 0, slowness: float = 1.0) -> None:
        self.bill = Bill(path)
        command = [sys.executable, __file__, str(path), str(seed), str(twice), str(slowness)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class _Counter:
    """What the service does with each request."""

    def __init__(self, bill: Path, seed: int, twice: int, slowness: float) -> None:
        self._bill = os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._seed, self._twice, self._slowness = seed, twice, slowness
        self._asked: Counter[tuple[str, int]] = Counter()
        self._paid = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until one is dropped or the client is gone."""
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, EOFError):
            pass  # the client was killed
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        came = time.monotonic_ns()
        if head.startswith("get "):  # clients ask whether it is there
            writer.write(_answer("paid", {"data": []}))
            return True
        size = int(head.partition("content-length:")[2].split()[0])
        asked = json.loads(await reader.readexactly(size))
        chat = isinstance(asked, dict)
        stage, number = ("chat", _last_message(asked)) if chat else (head.split()[1].removeprefix("/"), asked)
        seconds, fate = drawn(self._seed, stage, number, self._asked[stage, number], self._slowness)
        self._asked[stage, number] += 1
        await asyncio.sleep(seconds)
        if fate not in UNPAID:
            self._pay(f"{stage} {number} {fate} {came} {time.monotonic_ns()}\n")
        if fate == "dropped":
            return False
        writer.write(_answer(fate, _said(price(stage, number)) if chat else {"price": price(stage, number)}))
        await writer.drain()
        return "connection: close" not in head

    def _pay(self, line: str) -> None:
        self._paid += 1
        both = self._twice and self._paid % self._twice == 0
        os.write(self._bill, line.encode() * (2 if both else 1))


def _last_message(asked: dict[str, Any]) -> int:
    content = asked["messages"][-1]["content"]
    return int(content if isinstance(content, str) else content[0]["text"])


def _said(amount: int) -> dict[str, Any]:
    """The answer as a completion of a chat."""
    choice = {"index": 0, "message": {"role": "assistant", "content": f"{amount}"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    return {"id": "1", "object": "chat.completion", "model": "any", "choices": [choice], "usage": usage}


def _answer(fate: str, answer: dict[str, Any]) -> bytes:
    status = {"later": f"429 Too Many Requests\r\nRetry-After: {PAUSE}", "refused": "500 No", "error": "503 Sorry"}
    body = "<html>" if fate == "nonsense" else json.dumps(answer)
    head = f"HTTP/1.1 {status.get(fate, '200 OK')}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


async def _main(bill: str, seed: str, twice: str, slowness: str) -> None:
    counter = _Counter(Path(bill), int(seed), int(twice), float(slowness))
    server = await asyncio.start_server(counter.serve, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
