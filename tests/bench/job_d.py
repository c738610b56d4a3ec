"""Job D: JSON lines → a small transform → JSON lines, file to file, against the plain loop with the same codec.

Also with the work in three stages, against a shell pipe of three scripts, `Pool.imap` and mpire over chunks of lines,
and the bound of a chain whose stages share no process; and what a checkpoint every second costs in CPU.

usage: python job_d.py [--quick]                 python job_d.py loop STAGE…        stdin → stdout, for the shell pipe
"""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import files
import msgspec
import peers
import transforms
from measure import CORES, HERE, Outcome, Row, clocked, in_turns, present, rates, ratios, say, spread

import stagerunner

STAGES: dict[str, Callable[[Any], Any]] = {name: getattr(transforms, name) for name in ("bill", "net", "vat", "shape")}
LINES = 2000
PAIRS = 5
"""Pairs at least of runs with and without a journal."""
LOOP, ONE, TWO = "plain loop", "one stage, one worker", "one stage, two workers"
OFF, AUTO = "three stages, fuse: off", "three stages, fuse: auto"
SHELL, POOL, MPIRE = "a.py | b.py | c.py", "Pool.imap over lines", "mpire over lines"
BOUND = "bound"
UNWRITTEN = "the same, no journal"
FRAME = 49152
"""Bytes of lines that the bound takes at a time: about a frame of ours."""
PAIRED = 480 * 10**6
"""Bytes at least through which the cost of checkpoints is measured: there have to be some in every run."""


def loop(source: Path, out: Path) -> None:
    """The loop as one writes it."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    with source.open("rb") as lines, out.open("wb") as file:
        for line in lines:
            file.write(encode(transforms.bill(decode(line))) + b"\n")


def chain(source: Path, out: Path, stages: list[str], workers: int, run: str) -> None:
    uses = "".join(f"  - {{use: 'transforms:{name}', workers: {workers}}}\n" for name in stages)
    config = f"version: 1\nsource: {source}\nstages:\n{uses}sink: {out}\nrun: {{{run}}}\n"
    stagerunner.run(config)


def shell(source: Path, out: Path) -> None:
    steps = " | ".join(f"{sys.executable} {HERE / 'job_d.py'} loop {name}" for name in ("net", "vat", "shape"))
    subprocess.run(f"cat {source} | {steps} > {out}", shell=True, check=True)


def filtered(names: list[str]) -> None:
    """One script of the shell pipe."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    functions = [STAGES[name] for name in names]
    for line in sys.stdin.buffer:
        record = decode(line)
        for function in functions:
            record = function(record)
        sys.stdout.buffer.write(encode(record) + b"\n")


def pool(source: Path, out: Path) -> None:
    with source.open("rb") as lines, out.open("wb") as file, peers.FORK.Pool(CORES) as workers:
        file.writelines(workers.imap(_lines, _chunks(lines)))


def mpire(source: Path, out: Path) -> None:
    with source.open("rb") as lines, out.open("wb") as file:
        file.writelines(peers.mpire([_lines], partial(_chunks, lines), chunk=1))


def _chunks(lines: BinaryIO) -> Iterator[list[bytes]]:
    return iter(lambda: list(itertools.islice(lines, LINES)), [])


def _lines(lines: list[bytes]) -> bytes:
    decode = msgspec.json.Decoder().decode
    return msgspec.json.Encoder().encode_lines([transforms.bill(decode(line)) for line in lines])


def bound(source: Path, out: Path) -> None:
    """Three stages that share no process, at best: on every core the work and two hops of pickle; nothing is moved."""
    workers = [peers.FORK.Process(target=_share, args=(source, out, number)) for number in range(CORES)]
    for worker in workers:
        worker.start()
    for number, worker in enumerate(workers):
        worker.join()
        _part(out, number).unlink()
        if worker.exitcode:
            raise AssertionError(f"the bound's part {number} failed: {worker.exitcode}")
    out.touch()


def _share(source: Path, out: Path, number: int) -> None:
    """One core's lines. They stay in a file of their own."""
    decode, encode = msgspec.json.Decoder().decode_lines, msgspec.json.Encoder().encode_lines
    size = source.stat().st_size
    with source.open("rb") as lines, _part(out, number).open("wb") as file:
        if number:
            lines.seek(size * number // CORES - 1)
            lines.readline()  # the neighbour's
        while (left := size * (number + 1) // CORES - lines.tell()) > 0:
            records = decode(lines.read(min(left, FRAME)) + lines.readline())
            for stage in (transforms.net, transforms.vat):
                records = pickle.loads(pickle.dumps([stage(record) for record in records], 5))
            file.write(encode([transforms.shape(record) for record in records]))


def _part(out: Path, number: int) -> Path:
    return out.with_suffix(f".{number}")


WAYS: dict[str, Callable[[Path, Path], None]] = {
    LOOP: loop,
    ONE: partial(chain, stages=["bill"], workers=1, run="checkpoint: 1s"),
    TWO: partial(chain, stages=["bill"], workers=2, run="checkpoint: 1s"),
    OFF: partial(chain, stages=["net", "vat", "shape"], workers=2, run="fuse: off"),
    AUTO: partial(chain, stages=["net", "vat", "shape"], workers=2, run="fuse: auto"),
    SHELL: shell,
    POOL: pool,
}
if peers.installed("mpire"):
    WAYS[MPIRE] = mpire
PAIR = {TWO: WAYS[TWO], UNWRITTEN: partial(chain, stages=["bill"], workers=2, run="journal: off")}
AIMS = {ONE: "1.15 ×", TWO: "1.75 ×", OFF: "1.2 ×", AUTO: "1.75 ×"}


def rows(quick: bool) -> Iterator[Row]:
    size, rounds = (60 * 10**6, 2) if quick else (10**9, 7)
    with files.folder() as place:
        source = place / "in.jsonl"
        count = files.made(source, size, files.order)
        files.made(place / "small.jsonl", 10**6, files.order)
        _same_output(place)
        say(f"{count:,} lines, {size / 1e6:.0f} MB")
        part = place / "part.jsonl"
        some = files.made(part, size // 8, files.order)
        ways = WAYS | {BOUND: bound}
        contenders = {name: partial(_once, way, source, place / "out.jsonl", count) for name, way in ways.items()}
        contenders[SHELL] = partial(_once, shell, part, place / "out.jsonl", some)
        yield from _table(in_turns(contenders, rounds), size)
        yield _checkpoints(place, part, some, rounds)


def _once(way: Callable[[Path, Path], None], source: Path, out: Path, count: int) -> Outcome:
    def work() -> int:
        way(source, out)
        return count

    outcome = clocked(work)
    out.unlink()
    return outcome


def _same_output(place: Path) -> None:
    """Every way gives the loop's bytes, or this raises."""
    sums = {}
    for name, way in WAYS.items():
        out = place / "check.jsonl"
        way(place / "small.jsonl", out)
        sums[name] = files.checksum(out)
        out.unlink()
    wrong = [name for name, found in sums.items() if found != sums[LOOP]]
    if wrong:
        raise AssertionError(f"not the loop's output: {', '.join(wrong)}")


def _table(came: dict[str, list[Outcome]], size: int) -> Iterator[Row]:
    def speed(name: str) -> str:
        per_record = size / came[LOOP][0].amount / 1e6  # the shell pipe has fewer of them
        return spread([outcome.rate * per_record for outcome in came[name]]).text("{:.0f}") + " MB/s"

    for name, aim in AIMS.items():
        yield Row(f"{size / 1e6:.0f} MB, {name}", speed(name), f"{LOOP}: {speed(LOOP)}", _ratio(came, name, LOOP), aim)
    yield Row(f"the same, {OFF}", speed(OFF), f"{BOUND}: {speed(BOUND)}", _ratio(came, OFF, BOUND), "–")
    yield Row(f"the same, {BOUND}", speed(BOUND), f"{LOOP}: {speed(LOOP)}", _ratio(came, BOUND, LOOP), "–")
    for name in filter(came.__contains__, (SHELL, POOL, MPIRE)):
        yield Row(f"the same, {TWO}", speed(TWO), f"{name}: {speed(name)}", _ratio(came, TWO, name), "1 ×")


def _checkpoints(place: Path, source: Path, count: int, rounds: int) -> Row:
    """What a checkpoint a second costs: the same chain with and without a journal, one right after the other."""
    times = -(-PAIRED // source.stat().st_size)
    for number in range(times):
        (place / f"paired-{number}.jsonl").hardlink_to(source)
    every = place / "paired-*.jsonl"
    contenders = {name: partial(_once, way, every, place / "out.jsonl", times * count) for name, way in PAIR.items()}
    came = in_turns(contenders, max(PAIRS, rounds))
    dearer = spread([_cpu(one) / _cpu(other) for one, other in zip(came[TWO], came[UNWRITTEN], strict=True)])
    lasted = spread([outcome.seconds for outcome in came[TWO]])
    return Row(
        f"CPU per record, a checkpoint a second, runs of {lasted.text('{:.0f}')} s",
        f"{spread([_cpu(outcome) for outcome in came[TWO]]).text()} µs",
        f"{UNWRITTEN}: {spread([_cpu(outcome) for outcome in came[UNWRITTEN]]).text()} µs",
        dearer.text() + " ×",
        "≤ 1.07 ×",
    )


def _cpu(outcome: Outcome) -> float:
    return 1e6 * outcome.cpu / outcome.amount


def _ratio(came: dict[str, list[Outcome]], name: str, other: str) -> str:
    assert rates(came[name])
    return ratios(came[name], came[other]).text() + " ×"


if __name__ == "__main__":
    if sys.argv[1:2] == ["loop"]:
        filtered(sys.argv[2:])
    else:
        present("D. JSON lines, file to file", rows)
