"""Files for the jobs that read and write: made once per size and seed, compared by checksum."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DISTINCT = 50 * 10**6
"""So many bytes of lines are made, then repeated: making lines takes longer than most jobs."""

WORDS = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "grove", "harbour")


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stagerunner-bench-") as name:
        yield Path(name)


def order(number: int, dice: random.Random) -> str:
    """A line of about 184 bytes."""
    words = " ".join(dice.choices(WORDS, k=14))
    return (
        f'{{"id":{number},"name":"customer {number % 9973}","price":{dice.randrange(100, 99900) / 100},'
        f'"quantity":{dice.randrange(1, 20)},"note":"{words}"}}\n'
    )


def text(number: int, dice: random.Random) -> str:
    return f"  {number} {' '.join(dice.choices(WORDS, k=10))}  \n"


def row(number: int, dice: random.Random) -> str:
    return f"{number},customer {number % 9973},{dice.randrange(100, 99900) / 100},{dice.randrange(1, 20)}\n"


def made(path: Path, size: int, line: Callable[[int, random.Random], str], head: str = "") -> int:
    """Write lines until the file has `size` bytes; returns their number. After DISTINCT bytes the lines repeat."""
    dice, lines, length = random.Random(11), list[str](), 0
    while length < min(size, DISTINCT):
        lines.append(line(len(lines), dice))
        length += len(lines[-1])
    times = -(-size // length)
    with path.open("w") as file:
        file.write(head)
        for _ in range(times):
            file.writelines(lines)
    return times * len(lines)


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
