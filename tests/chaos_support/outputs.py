"""The sinks of a case, by name: one of a kind, or several in which each gets a share. What stands in them after a run.

Conditions and partitions are by `key`, which all records have.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

OUTPUTS = {
    "lines": "out.txt",
    "jsonl": "out.jsonl",
    "csv": "out.csv",
    "gz": "out.jsonl.gz",
    "append": "out.jsonl",
    "sqlite": "out.db",
    "parquet": "parts",
}
"""One sink, and its output."""

FILE, PACKED, CSV, PARTED = "all.jsonl", "all.jsonl.gz", "some.csv", "by-key"
ONE, OTHER, STRICT = "one.db", "other.db", "strict.db"

BRANCHED = {
    "tee": (FILE, PACKED),
    "switch": (FILE, CSV),
    "partitions": (PARTED, FILE),
    "file and table": (PACKED, ONE),
    "tables": (ONE, OTHER),
    "tables that refuse rows": (STRICT, ONE, PARTED),
}
"""Several sinks, and the output of each."""

DROPPED = "dropped.jsonl"
"""The records that stages of a chain with several sinks drop."""

EARLY, LATE = "key < 'd'", "key >= 'd'"

BEFORE = b'{"was": "here before"}\n'
"""What stands in a file that is appended to."""

_SINKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    FILE: ("jsonl", FILE, {}),
    PACKED: ("jsonl", PACKED, {}),
    CSV: ("csv", CSV, {}),
    PARTED: ("jsonl", f"{PARTED}/{{key}}.jsonl", {}),
    ONE: ("sqlite", ONE, {"table": "results"}),
    OTHER: ("sqlite", OTHER, {"table": "results"}),
    STRICT: ("sqlite", STRICT, {"table": "results", "mode": "append", "extras": "ignore", "missing": "fill"}),
}


def names(sink: str) -> tuple[str, ...]:
    """What a run leaves in its folder, besides dead letters and journals."""
    return (*BRANCHED[sink], DROPPED) if sink in BRANCHED else (OUTPUTS[sink],)


def sinks_of(out: str, sink: str) -> dict[str, Any]:
    """The keys of a config that say where results go."""
    if sink not in BRANCHED:
        return {"sink": _one(out, sink)}
    conditions = {"switch": (EARLY, LATE), "tables": ("", LATE), "tables that refuse rows": ("", EARLY, "")}
    found = []
    for name, when in zip(BRANCHED[sink], conditions.get(sink, ("", "")), strict=True):
        use, path, options = _SINKS[name]
        made = {"use": use, "name": name.replace(".", "-"), "with": {"path": f"{out}/{path}", **options}}
        refuses = {"on_error": "dead_letter"} if name == STRICT else {}
        found.append({**made, **refuses, **({"when": when} if when else {})})
    return {"sinks": found, "dropped": f"{out}/{DROPPED}"}


def _one(out: str, sink: str) -> dict[str, Any]:
    path = f"{out}/{OUTPUTS[sink]}"
    if sink == "sqlite":
        return {"use": "sqlite", "with": {"path": path, "table": "results"}}
    if sink == "append":
        return {"use": "jsonl", "with": {"path": path, "mode": "append"}}
    if sink == "parquet":
        return {"use": "parquet", "with": {"path": path, "rows": 30, "group": 12}}
    return {"use": "jsonl" if sink == "gz" else sink, "with": {"path": path}}


def lay_out(out: Path, sink: str) -> None:
    """What is there before a run."""
    out.mkdir(exist_ok=True)
    if sink == "append":
        (out / OUTPUTS[sink]).write_bytes(BEFORE)
    if STRICT in BRANCHED.get(sink, ()):
        with closing(sqlite3.connect(out / STRICT)) as base:
            base.execute("CREATE TABLE results (key TEXT, value INTEGER UNIQUE CHECK (value % 9 <> 4), deed TEXT)")


def content(out: Path, sink: str) -> Any:
    """What stands in the output; of several, by name. None for what isn't there."""
    if sink not in BRANCHED:
        return _content(out / OUTPUTS[sink])
    return {name: _dropped(out / name) if name == DROPPED else _content(out / name) for name in names(sink)}


def _content(path: Path) -> Any:
    if not path.exists():
        return None
    if path.is_dir():
        return {part.name: part.read_bytes() for part in sorted(path.iterdir()) if not part.name.startswith(".")}
    read = _READ.get(path.suffix)
    return read(path) if read else path.read_bytes()


def _unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _rows(path: Path) -> Any:
    base = sqlite3.connect(path)  # an ordinary connection: it rolls back what a killed process left unfinished
    try:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = base.execute("SELECT * FROM results ORDER BY rowid").fetchall() if "results" in tables else None
        return sorted(tables), rows
    finally:
        base.close()


_READ: dict[str, Callable[[Path], Any]] = {".gz": _unpacked, ".db": _rows}


def _dropped(path: Path) -> Any:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(one["stage"], one["reason"], place(one["origin"]), one.get("record")) for one in map(json.loads, lines)]


def place(origin: dict[str, Any]) -> dict[str, Any]:
    """A path without the folder of the case, so that cases can be compared."""
    return origin | {"name": Path(origin["name"]).name} if "name" in origin else origin
