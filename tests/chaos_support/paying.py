"""The plugin file of the spend test: stages that pay a service for each record, in a plain and in an async form."""

from __future__ import annotations

import json
from typing import Any

from stagerunner import RetryLater, stage

Record = dict[str, Any]


class Sorry(Exception):
    """The service gave no answer that is of any use."""


def price_of(status: int, later: str, body: bytes) -> int:
    """Raises RetryLater if the service is busy, and Sorry or a ValueError if the answer is useless."""
    if status == 429:
        raise RetryLater(float(later))
    if status != 200:
        raise Sorry(f"status {status}")
    return json.loads(body)["price"]


@stage
def first(record: Record, *, port: int) -> Record:
    """Ask with http.client, and wait."""
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/first", json.dumps(record["id"]))
        answer = connection.getresponse()
        return {**record, "first": price_of(answer.status, answer.headers.get("Retry-After", "0"), answer.read())}
    finally:
        connection.close()


@stage
async def second(record: Record, *, port: int) -> Record:
    """Ask by hand, and let others ask meanwhile."""
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        body = json.dumps(record["id"])
        writer.write(
            f"POST /second HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        if not answer:
            raise Sorry("the connection was dropped")
        words = head.decode().split()
        later = words[words.index("Retry-After:") + 1] if "Retry-After:" in words else "0"
        return {**record, "second": price_of(int(words[1]), later, answer)}
    finally:
        writer.close()
