"""Transforms that wait. Apart from the others, because importing asyncio takes longer than starting a worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from expensive import note

from stagerunner import RetryLater


async def asked(order: dict[str, Any]) -> dict[str, Any]:
    """For predictions: 5 ms of waiting."""
    await asyncio.sleep(0.005)
    return order


async def tailed(text: str, *, log: str, seconds: float, every: int, long: float) -> str:
    """For job K: half to one and a half of `seconds`, but one call in `every` takes `long`."""
    number = int(text)
    note(log, "+", 1, text)
    spread = 0.5 + number * 7919 % 997 / 997
    await asyncio.sleep(long if number % every == every // 2 else seconds * spread)
    note(log, "-", 1, text)
    return text


async def asked_by_hand(text: str, *, port: int) -> dict[str, Any]:
    """For job K: ask the service of `tests/support/billing.py`. Raises RetryLater, and ValueError for no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        body = json.dumps({"messages": [{"role": "user", "content": text}]})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n{body}".encode())
        said, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        words = said.decode().split()
        if words[1:2] == ["429"]:
            raise RetryLater(float(words[words.index("Retry-After:") + 1]))
        if words[1:2] != ["200"]:
            raise ValueError("no answer")
        return {"id": text, "price": json.loads(answer)["choices"][0]["message"]["content"]}
    finally:
        writer.close()
