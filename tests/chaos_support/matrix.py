"""The crash matrix: cells, a choice of them in which every pair occurs, and what each is to come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

from chaos_support.case import Case

CRASHING, TRAPPED, TOUCHY = (
    Path(__file__).with_name(name) for name in ("crashing.py", "crashing_source.py", "crashing_sink.py")
)

FAULTS = ("raise", "SystemExit", "os._exit(0)", "os._exit(1)", "SIGSEGV", "SIGKILL", "SIGSTOP", "loop")
BLOCKS = ("import", "setup", "unpickle", "transform", "pickle", "flush", "snapshot", "close")
POSITIONS = ("first", "middle", "last")
WORKERS = (1, 3)
TIMES = ("once", "always")

RAISING = ("raise", "SystemExit")
HANGING = ("SIGSTOP", "loop")
STATE = ("flush", "snapshot")
POISON = 11
"""The last of a frame of four: the rest of its split can't be read if it kills the source."""


@dataclass(frozen=True, slots=True)
class Cell:
    fault: str
    place: str
    position: str
    workers: int
    times: str

    def __str__(self) -> str:
        return ", ".join(map(str, astuple(self)))


ALL = [Cell(*values) for values in product(FAULTS, BLOCKS, POSITIONS, WORKERS, TIMES)]


def pairwise(cells: Iterable[Cell], least: int) -> list[Cell]:
    """Cells in which every two values of two columns meet; then those with most triples that are new, `least` in all.

    Greedy and without chance: always the same.
    """
    left, chosen = list(cells), list[Cell]()
    for size in (2, 3):
        wanted = {part for cell in left for part in _parts(cell, size)} - {p for c in chosen for p in _parts(c, size)}
        while wanted and (size == 2 or len(chosen) < least):
            best = max(left, key=lambda cell: len(wanted & set(_parts(cell, size))))
            left.remove(best)
            chosen.append(best)
            wanted -= set(_parts(best, size))
    return chosen


def _parts(cell: Cell, size: int) -> Iterator[tuple[Any, ...]]:
    return combinations(enumerate(astuple(cell)), size)


def case_of(cell: Cell, folder: Path) -> Case:
    """Three stages, one of them with the fault; 40 records, one of them poison. Half of the cells have two sinks."""
    records = [{"key": "a", "value": number, "deed": "poison" if number == POISON else ""} for number in range(40)]
    place = POSITIONS.index(cell.position)
    mark = str(folder / "mark") if cell.times == "once" and cell.fault not in RAISING else ""
    # The stage with the fault has that many workers, or the one behind it, where there can only be one.
    wide = (place + (cell.place in STATE)) % 3
    chain = [_stage(number, cell.workers if number == wide else 1) for number in range(3)]
    _put_fault(chain, cell, place, {"fault": cell.fault, "mark": mark, "harmless": False})
    keys = _ends(cell, folder, {"fault": cell.fault, "mark": mark, "harmless": False})
    sink = "tee" if cell.times == "once" and "sink" not in keys else "jsonl"
    return Case(folder, chain, records, sink, _RUN, keys, CRASHING)


_RUN = {"frame": 4, "checkpoint": "1ms", "window": "1KiB", "grace": "1s"}


def _stage(number: int, workers: int) -> dict[str, Any]:
    return {"use": "stateless", "name": f"s{number}", "workers": workers, "on_error": "dead_letter", "with": {}}


def _put_fault(chain: list[dict[str, Any]], cell: Cell, place: int, options: dict[str, Any]) -> None:
    stage = chain[place]
    if cell.place in STATE:
        stage |= {"use": "stateful", "workers": 1}
    if cell.fault in HANGING:
        stage |= {"timeout": "500ms", "start_timeout": "1s"}
    if cell.place == "import":
        stage["env"] = {"CRASH_AT_IMPORT": cell.fault, "CRASH_MARK": options["mark"]}
    elif cell.place == "unpickle":
        if place:  # what a stage gives is copied there, which unpickles it for the first time
            limits = {key: stage[key] for key in ("timeout", "start_timeout") if key in stage}
            chain[place - 1] |= {"with": {**options, "trap": True}} | limits
    elif not (cell.place == "pickle" and cell.position == "last"):
        stage["with"] = {**options, "at": cell.place}


def _ends(cell: Cell, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """A source or sink with the fault, where it is read by the first worker or written by the last."""
    if cell.place == "unpickle" and cell.position == "first":
        path = str(folder / "in.jsonl")
        source = {"use": "trapped", "with": {"path": path, **options}, "on_error": "dead_letter"}
        return {"source": source, "plugins": [str(CRASHING), str(TRAPPED)]}
    if cell.place == "pickle" and cell.position == "last":
        sink = {"use": "touchy", "with": {"path": "out/out.jsonl", **options}, "on_error": "dead_letter"}
        return {"sink": sink, "plugins": [str(CRASHING), str(TOUCHY)]}
    return {}
