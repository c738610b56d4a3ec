"""Job E: five trivial stages, file to file, over text lines, JSON lines and CSV: never slower than the plain loop.

usage: python job_e.py [--quick]
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import files
import msgspec
from measure import Outcome, Row, clocked, in_turns, present, ratios, spread
from transforms import same

import stagerunner

STAGES = 5


def five(record: Any) -> Any:
    for _ in range(STAGES):
        record = same(record)
    return record


def text_loop(source: Path, out: Path) -> None:
    with source.open() as lines, out.open("w") as file:
        for line in lines:
            file.write(five(line.rstrip("\n")) + "\n")


def json_loop(source: Path, out: Path) -> None:
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    with source.open("rb") as lines, out.open("wb") as file:
        for line in lines:
            file.write(encode(five(decode(line))) + b"\n")


def csv_loop(source: Path, out: Path) -> None:
    with source.open(newline="") as lines, out.open("w", newline="") as file:
        rows = csv.DictReader(lines)
        writer = csv.DictWriter(file, rows.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(five(row))


Loop = Callable[[Path, Path], None]
KINDS: dict[str, tuple[str, Callable[..., str], str, Loop]] = {
    "text lines": ("in.txt", files.text, "", text_loop),
    "JSON lines": ("in.jsonl", files.order, "", json_loop),
    "CSV": ("in.csv", files.row, "id,name,price,quantity\n", csv_loop),
}
"""Name of the file, a line of it, its head, the loop."""

LITTLE = 20 * 10**6
"""Bytes of the input with --quick, and of the one by which the whole's length is found."""

SECONDS = 21
"""How long the loop should take, over the whole input."""


def chain(source: Path, out: Path) -> None:
    uses = ", ".join(['"transforms:same"'] * STAGES)
    stagerunner.run(f"version: 1\nsource: {source}\nstages: [{uses}]\nsink: {out}\nrun: {{fuse: auto}}\n")


def rows(quick: bool) -> Iterator[Row]:
    for kind, (name, line, head, loop) in KINDS.items():
        size, rounds = LITTLE, 2
        with files.folder() as place:
            source, out = place / name, place / name.replace("in", "out")
            count = files.made(source, size, line, head)
            same_output(source, out, loop)
            if not quick:
                size, rounds = int(SECONDS * LITTLE / once(loop, source, out, count).seconds), 7
                count = files.made(source, size, line, head)
            contenders = {
                "chain": partial(once, chain, source, out, count),
                "loop": partial(once, loop, source, out, count),
            }
            came = in_turns(contenders, rounds)
        speeds = {name: spread([size / o.seconds / 1e6 for o in outcomes]) for name, outcomes in came.items()}
        yield Row(
            f"five trivial stages, {kind}, {size / 1e6:.0f} MB",
            speeds["chain"].text("{:.0f}") + " MB/s",
            f"plain loop: {speeds['loop'].text('{:.0f}')} MB/s",
            ratios(came["chain"], came["loop"]).text() + " ×",
            "0.95 ×",
        )


def same_output(source: Path, out: Path, loop: Loop) -> None:
    sums = []
    for way in (loop, chain):
        way(source, out)
        sums.append(files.checksum(out))
    if sums[0] != sums[1]:
        raise AssertionError(f"{source.name}: not the loop's output")


def once(way: Loop, source: Path, out: Path, count: int) -> Outcome:
    def work() -> int:
        way(source, out)
        return count

    return clocked(work)


if __name__ == "__main__":
    present("E. Five trivial stages, file to file", rows)
