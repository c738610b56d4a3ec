"""Job F: one record at a time through three stages, against a raw four-hop `Pipe` ping-pong; and what idling costs.

The next record is asked for only when the last one's result has come: one record in a frame, one frame in the window.

usage: python job_f.py [--quick]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import peers
from measure import Row, descendants, in_turns, present, spread

import stagerunner

CONFIG = """
version: 1
stages: [{use: "transforms:same"}, {use: "transforms:same"}, {use: "transforms:same"}]
run: {frame: 1, window: 1B, fuse: FUSE}
"""
OFF = "one record at a time, three stages, a process each"
AUTO = "the same, `fuse: auto` (they share one)"
RAW = "raw four-hop Pipe"
WARM = 200
IDLE = "version: 1\nstages: [text.strip, text.strip, text.strip]\nrun: {fuse: off}\n"


class Latency(NamedTuple):
    """Microseconds."""

    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Records per second, by the median."""
        return 1e6 / self.p50


def latency(nanoseconds: list[int]) -> Latency:
    ordered = sorted(nanoseconds[WARM:])
    return Latency(ordered[len(ordered) // 2] / 1e3, ordered[int(len(ordered) * 0.99)] / 1e3)


def ours(count: int, fuse: str) -> Latency:
    sent: list[int] = []

    def asked_for() -> Iterator[dict[str, Any]]:
        for number in range(count):
            sent.append(time.perf_counter_ns())
            yield {"id": number}

    results = stagerunner.load(CONFIG.replace("FUSE", fuse)).run(asked_for())
    return latency([time.perf_counter_ns() - sent[record["id"]] for record in results])


def raw(count: int) -> Latency:
    """Three processes that hand on what they get."""
    head, feed = peers.FORK.Pipe(duplex=False)
    inbound, processes = head, []
    for _ in range(3):
        reader, writer = peers.FORK.Pipe(duplex=False)
        processes.append(peers.FORK.Process(target=_hand_on, args=(inbound, writer), daemon=True))
        processes[-1].start()
        writer.close()
        inbound.close()
        inbound = reader
    took = []
    for number in range(count):
        began = time.perf_counter_ns()
        feed.send({"id": number})
        inbound.recv()
        took.append(time.perf_counter_ns() - began)
    feed.send(None)
    for process in processes:
        process.join()
    return latency(took)


def _hand_on(inbound: Any, outbound: Any) -> None:
    while (record := inbound.recv()) is not None:
        outbound.send(record)
    outbound.send(None)


def idle(seconds: float) -> float:
    """Percent of a core that a chain of three takes while its standard input is silent."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "idle.yaml"
        config.write_text(IDLE)
        command = [sys.executable, "-m", "stagerunner", "run", str(config), "-q"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as chain:
            assert chain.stdin is not None
            assert chain.stdout is not None
            chain.stdin.write(b"ready\n")
            chain.stdin.flush()
            chain.stdout.read(len(b"ready\n"))
            used = _used(chain.pid, seconds)
            chain.stdin.close()
    return used


def _used(root: int, seconds: float) -> float:
    """Percent of a core that a tree of processes uses over so many seconds."""
    pids = [root, *descendants(root)]
    before = sum(map(_seconds, pids))
    time.sleep(seconds)
    return 100 * (sum(map(_seconds, pids)) - before) / seconds


def _seconds(pid: int) -> float:
    """CPU seconds of one process, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def rows(quick: bool) -> Iterator[Row]:
    count, rounds = (1500, 5) if quick else (10_000, 9)
    contenders = {OFF: partial(ours, count, "off"), AUTO: partial(ours, count, "auto"), RAW: partial(raw, count)}
    came = in_turns(contenders, rounds)
    for name in (OFF, AUTO):
        yield from _against_raw(name, came[name], came[RAW])
    yield Row("idle, three stages", f"{idle(5 if quick else 30):.2f} % of a core", "", "", "< 0.5 %")


def _against_raw(name: str, ours: list[Latency], raw: list[Latency]) -> Iterator[Row]:
    for place, (percentile, aim) in enumerate((("p50", "≤ 1.5 ×"), ("p99", "≤ 2 ×"))):
        mine, theirs = ([latency[place] for latency in one] for one in (ours, raw))
        ratio = spread([one / other for one, other in zip(mine, theirs, strict=True)])
        yield Row(
            f"{name}, {percentile}",
            spread(mine).text("{:.0f}") + " µs",
            f"{RAW}: {spread(theirs).text('{:.0f}')} µs",
            ratio.text() + " ×",
            aim,
        )


if __name__ == "__main__":
    present("F. Latency", rows)
