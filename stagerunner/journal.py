"""The journal: one SQLite file per output that says where source and sink stand.

One run owns it at a time (SQLite's lock, which ends with the process). It may lag the sink and never leads it. Rows
are JSON, and snapshots in them MessagePack, so that reading a journal never runs code.

    running ──▶ finishing ──▶ done          each step may be repeated
"""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from stagerunner.errors import OutputBusy, RunFailed, Stopped, UsageError
from stagerunner.guard import head, is_ctrl_c, may_pass, reason

_PRIMARY = 0xFF
"""The bits of an error code of SQLite that name the error; the bits above are details."""

_TABLE = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    hash_seed TEXT NOT NULL,
    row TEXT NOT NULL
)
"""


COLUMNS = {"id", "state", "fingerprint", "hash_seed", "row"}

STATES = ("running", "finishing", "done")

PLAIN = frozenset((type(None), bool, int, float, str, bytes))

COMPARED = 2**20
"""Characters of a snapshot from which on it isn't compared with what comes back: it was compared while it was
small."""


class Journal:
    """An open journal, locked until it is closed. Raises OutputBusy if another run has it."""

    def __init__(self, path: Path, *, power: bool = False) -> None:
        self.path = path
        self._db = _connect(path)
        try:
            self._refuse_foreign()
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if power else 'NORMAL'}")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(_TABLE)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise OutputBusy(f"another run owns this output (its journal {path} is locked)") from None
            raise Stopped(f"the journal {path} can't be written: {error}") from None
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise not_a_journal(path, error) from None

    def _refuse_foreign(self) -> None:
        """Raises DatabaseError for a database that is no journal, before anything is changed in it."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(run)")}
        if tables and not columns >= COLUMNS:
            raise sqlite3.DatabaseError(f"it is a database with {', '.join(sorted(tables))}")

    def read(self) -> Entry | None:
        """What the last run into this output left; None if there was none."""
        try:
            found = self._db.execute("SELECT state, fingerprint, hash_seed, row FROM run").fetchone()
            return None if found is None else _entry(*found)
        except sqlite3.OperationalError as error:  # it has our columns, so the system refused
            raise Stopped(f"the journal {self.path} can't be read: {error}") from None
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise not_a_journal(self.path, error) from None

    def begin(self, fingerprint: dict[str, Any], hash_seed: str, row: dict[str, Any]) -> None:
        """Replace the old entry by one with this row; the row is empty for a run that starts anew."""
        self._execute(
            "INSERT OR REPLACE INTO run VALUES (1, 'running', ?, ?, ?)",
            (json.dumps(fingerprint), hash_seed, json.dumps(row)),
        )

    def write(self, row: dict[str, Any]) -> None:
        """Record a commit: everything up to this row is in the sink."""
        self._execute("UPDATE run SET row = ?", (json.dumps(row),))

    def mark(self, state: str) -> None:
        """Set the state: `running`, `finishing` or `done`."""
        self._execute("UPDATE run SET state = ?", (state,))

    def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise Stopped(f"the journal {self.path} can't be written: {error}") from None

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()


def not_a_journal(path: Path, why: object) -> UsageError:
    """The error for a file that is no journal. The file is not changed."""
    return UsageError(f"{path} isn't a journal of stagerunner ({why}); remove it, or name another one with --journal")


def _entry(state: Any, fingerprint: Any, seed: Any, row: Any) -> Entry:
    """Raises TypeError or ValueError for values that no run has written."""
    entry = Entry(state, json.loads(fingerprint), seed, json.loads(row))
    if state not in STATES or not isinstance(entry.fingerprint, dict) or not isinstance(entry.row, dict):
        raise ValueError("its row has another shape")
    if not (isinstance(seed, str) and seed.isdecimal() and int(seed) < 2**32):
        raise ValueError("its hash seed is invalid")
    return entry


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise UsageError(f"the journal {path} can't be opened: it isn't a file")
        return sqlite3.connect(path, timeout=0, isolation_level=None)
    except OSError as error:
        kind = Stopped if may_pass(error) else UsageError
        raise kind(f"the journal {path} can't be opened: {reason(error)}") from None
    except sqlite3.Error as error:
        # SQLite doesn't say why: the folder is read-only, or no descriptors are left.
        kind = Stopped if os.access(path.parent, os.W_OK | os.X_OK) and path.parent.exists() else UsageError
        raise kind(f"the journal {path} can't be opened: {error}") from None


class Entry(Struct, frozen=True):
    """A journal's content. state: running, finishing or done. row: as Delivery.commit made it."""

    state: str
    fingerprint: dict[str, Any]
    hash_seed: str
    row: dict[str, Any]


def encode_snapshots(snapshots: dict[int, Any]) -> str:
    """Snapshots as text for a row. Raises TypeError for one that is not plain data."""
    return b64encode(msgspec.msgpack.encode(snapshots)).decode()


def decode_snapshots(text: str) -> dict[int, Any]:
    """The snapshots of a row. Raises ValueError."""
    return msgspec.msgpack.decode(b64decode(text), type=dict[int, Any])


def validate_snapshots(snapshots: dict[int, Any], names: list[str]) -> dict[int, Any]:
    """The snapshots as a journal gives them back. Raises RunFailed, naming the stage, for one that is not plain data.

    names: of the stages, by index.
    """
    for stage, snapshot in snapshots.items():
        try:
            text = encode_snapshots({stage: snapshot})
            same = len(text) >= COMPARED or decode_snapshots(text) == {stage: snapshot}
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise RunFailed(f"the snapshot of {names[stage]} is not plain data: {head(error)}") from None
        if not same and (odd := _odd(snapshot)):
            raise RunFailed(
                f"the snapshot of {names[stage]} contains a {odd}; only JSON-like values and bytes survive a resume"
            )
    return decode_snapshots(encode_snapshots(snapshots))


def _odd(data: Any) -> str:
    """The type of a value in here that comes back as another type, or "". A tuple comes back as a list, which will
    do."""
    if type(data) is dict:
        return next(filter(None, map(_odd, (*data, *data.values()))), "")
    if type(data) in (list, tuple):
        return next(filter(None, map(_odd, data)), "")
    return "" if type(data) in PLAIN else type(data).__name__


HIDDEN = "salted "
"""Prefix of the digest of a value that must not be shown."""


def differences(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """The changes between two fingerprints, one line each, old and new side by side."""
    lines = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{at}{key}.")
        elif _is_hidden(before) or _is_hidden(after):
            lines.append(f"{at}{key}: holds something else now (not shown: it may be a secret)")
        else:
            lines.append(f"{at}{key}: was {_shown(before)}, is {_shown(after)}")
    return lines


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)


def _is_hidden(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(HIDDEN)
