"""One cell of the scoreboard: one library, one case, in a process of its own. What it saw goes to FOLDER/report.json.

usage: python contender.py LIBRARY CASE
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mischief
import peers

RECORDS = 6000
TEN_GB_RECORD = 65536


class Case(NamedTuple):
    """second: the stage in the middle. items: what comes in. setup: called in each worker. most: results to take.

    pause: seconds the consumer takes for each result.
    """

    second: Callable[[Any], Any]
    items: mischief.Some = mischief.Some(RECORDS)
    setup: Callable[[], None] | None = None
    most: int | None = None
    pause: float = 0.0


CASES = {
    "worker killed": Case(mischief.second_is_killed),
    "item 5,000 raises": Case(mischief.second_raises),
    "unpicklable result": Case(mischief.second_returns_a_lambda),
    "exception that can't be rebuilt": Case(mischief.second_raises_awkwardly),
    "os._exit(0)": Case(mischief.second_exits),
    "setup fails": Case(mischief.first, setup=mischief.no_setup),
    "Ctrl-C": Case(mischief.second_takes_its_time, mischief.Some(None)),
    "parent killed": Case(mischief.second_takes_its_time, mischief.Some(None)),
    "break after ten": Case(mischief.first, mischief.Some(None), most=10),
    "10 GB, slow consumer": Case(mischief.first, mischief.Some(163_840, TEN_GB_RECORD), pause=0.05),
}


def ours(case: Case, on_error: str) -> Iterator[Any]:
    import stagerunner

    second = case.second if case.setup is None else mischief.SecondWithoutLicence
    config = f"""
version: 1
stages:
  - mischief:first
  - {{use: "mischief:{second.__name__}", name: second, on_error: {on_error}}}
  - mischief:third
"""
    return stagerunner.load(config).run(case.items())


def results_of(library: str, case: Case) -> Iterator[Any]:
    if library.startswith("stagerunner"):
        return ours(case, "skip" if "skip" in library else "fail")
    stages = [mischief.first, case.second, mischief.third]
    return peers.CHAINS[library](stages, case.items, case.setup)


class Report:
    """What the consumer saw. Each number is written to a file at once, since the consumer may be killed."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._folder = folder
        self._ids = os.open(folder / "ids", os.O_WRONLY | os.O_CREAT)

    def seen(self, number: int) -> None:
        self.count += 1
        os.write(self._ids, struct.pack("=I", number))

    def ended(self, error: BaseException | None) -> None:
        told: dict[str, Any] = {"ended": time.time()}
        if error is not None:
            told |= {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}
            told |= {"trace": "".join(traceback.format_exception(error))}
        (self._folder / "report.json").write_text(json.dumps(told))


def consume(results: Iterator[Any], case: Case, report: Report) -> None:
    for record in results:
        report.seen(record["id"])
        if case.most is not None and report.count >= case.most:
            mischief.fault()
            break
        time.sleep(case.pause)


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background processes ignore Ctrl-C
    library, case = sys.argv[1], CASES[sys.argv[2]]
    report, raised = Report(Path(os.environ[mischief.FOLDER])), None
    try:
        consume(results_of(library, case), case, report)
    except BaseException as error:
        raised = error
    report.ended(raised)
    sys.exit(1 if raised is not None else 0)


if __name__ == "__main__":
    main()
