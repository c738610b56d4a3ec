"""An `async def` stage. It speaks just enough HTTP to need no library."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, urlsplit

from stagerunner import Reject, stage


@stage
async def country_name(order: dict[str, Any], *, url: str) -> dict[str, Any]:
    """Replace the code of a country by its name.

    url: where the service is; it is asked for /countries/CODE?order=ID.
    """
    status, body = await get(f"{url}/countries/{quote(order['country'])}?order={quote(order['id'])}")
    if status == 404:
        raise Reject(f"there is no country {order['country']!r}")
    if status != 200:
        raise ConnectionError(f"the service said {status}")
    return {**order, "country": body}


async def get(url: str) -> tuple[int, str]:
    """Status and body of one request."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
    try:
        writer.write(f"GET {where.path}?{where.query} HTTP/1.0\r\nHost: {where.netloc}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), body.decode()
