"""Parts of files over HTTP, each with what its own answer says about the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stagerunner_parts.remote.store import Refused


class NoRangesError(Refused):
    """The server gives the whole file where a part was asked for."""


def part(system: Any, url: str, start: int, stop: int) -> tuple[bytes, Mapping[str, str]]:
    """These bytes of a file, and the headers that came with them. system: fsspec's file system for HTTP."""
    from fsspec.asyn import sync  # fsspec is imported only where it is used

    found: tuple[bytes, Mapping[str, str]] = sync(system.loop, _part, system, url, start, stop)
    return found


async def _part(system: Any, url: str, start: int, stop: int) -> tuple[bytes, Mapping[str, str]]:
    session = await system.set_session()
    headers = {**system.kwargs.get("headers", {}), "Range": f"bytes={start}-{stop - 1}"}
    async with session.get(system.encode_url(url), **(system.kwargs | {"headers": headers})) as answer:
        if answer.status == 200:  # the whole file, which may be large: it isn't read
            raise NoRangesError(f"{answer.status} in answer to a Range")
        answer.raise_for_status()
        return await answer.read(), answer.headers


def whole_size(headers: Mapping[str, str]) -> int | None:
    """The size of the file of which this is a part; None if the server doesn't say."""
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
    return int(found[1]) if found else None
