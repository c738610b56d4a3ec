"""The file that results are kept in: one SQLite database, shared by all workers and runs that name it.

A connection is opened in the process that uses it, at first use. Every write is a transaction of its own, so whatever
was kept survives the death of any process. Nothing here ends a run: what SQLite refuses raises Unusable, and the stage
does without.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from zlib import crc32

from stagerunner.memo.keys import FORMAT
from stagerunner.records import NOTHING
from stagerunner.tuples import NamedTuple

MARK = 0x5354524D
"""SQLite's `application_id` of such a file: "STRM"."""

PATIENCE = 5.0
"""Seconds to wait while another process writes. A write takes some 20 µs."""

KEPT = 0.9
"""The share of its size to which a full file is emptied."""

_TABLE = """
CREATE TABLE IF NOT EXISTS results (
    key BLOB NOT NULL UNIQUE,
    stage TEXT NOT NULL,
    version BLOB NOT NULL,
    made INTEGER NOT NULL,
    value BLOB NOT NULL
)
"""


class Unusable(Exception):
    """The file can't be used. The text says why."""


class Entries(NamedTuple):
    """The results of one stage, made by one version of its code and options. first, last: when, in Unix seconds.
    present: the last run with this stage looked for these."""

    stage: str
    version: str
    results: int
    bytes: int
    first: int
    last: int
    present: bool = False


class Store:
    """The results in one file. power: a write survives a power failure. size: bytes of the file, about; None: any."""

    def __init__(self, path: str, *, power: bool = False, size: int | None = None) -> None:
        self.path = path
        self._power = power
        self._size = size
        self._open: sqlite3.Connection | None = None

    def get(self, key: bytes, since: float = 0) -> bytes | None:
        """The value under this key, if it was made at `since` or later; None if there is none. Raises Unusable."""
        with self._asked() as db:
            row = db.execute("SELECT made, value FROM results WHERE key = ?", (key,)).fetchone()
        return None if row is None or row[0] < since else _checked(row[1])

    def put(self, key: bytes, stage: str, version: bytes, value: bytes) -> None:
        """Keep a value in place of an older one. Raises Unusable."""
        row = (key, stage, version, int(time()), crc32(value).to_bytes(4, "big") + value)
        with self._asked() as db:
            if self._size is not None and _used(db) + len(value) > self._size:
                _make_room(db, int(self._size * KEPT) - len(value))
            db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", row)

    def entries(self) -> list[Entries]:
        """What is in the file, the newest last. Raises Unusable."""
        with self._asked() as db:
            rows = db.execute(
                "SELECT stage, lower(hex(version)), count(*), sum(length(value)), min(made), max(made),"
                " EXISTS (SELECT 1 FROM present p WHERE p.stage = r.stage AND p.version = r.version)"
                " FROM results r GROUP BY stage, version ORDER BY max(made), stage"
            ).fetchall()
        return [Entries(*row)._replace(present=bool(row[-1])) for row in rows]

    def prune(self, *, before: float | None = None, stage: str | None = None) -> int:
        """Remove what was made before this time, of this stage (None: of all); how many. Raises Unusable."""
        conditions = [("made < ?", before), ("stage = ?", stage)]
        given = [(text, value) for text, value in conditions if value is not None]
        where = " AND ".join(text for text, _ in given) or "1"
        with self._asked() as db:
            removed = db.execute(f"DELETE FROM results WHERE {where}", [value for _, value in given]).rowcount
            with suppress(sqlite3.OperationalError):  # a run that uses the file: the space is used again
                db.execute("VACUUM")
        return removed

    def close(self) -> None:
        if self._open is not None:
            with suppress(sqlite3.Error):
                self._open.close()
            self._open = None

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        """The connection. Raises Unusable for whatever SQLite or the system refuses."""
        try:
            if self._open is None:
                self._open = _connected(self.path, power=self._power)
            yield self._open
        except (sqlite3.Error, OSError) as error:
            raise Unusable(_why(error)) from None


def prepare(path: str, versions: Mapping[str, bytes] = NOTHING) -> None:
    """Make the file, unless it is there, and check that it can be used. Raises Unusable.

    versions: of the stages of this run, which are the present ones from now on.
    """
    store = Store(path)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with store._asked() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO present VALUES (?, ?)", versions.items())
            db.execute("COMMIT")
    except OSError as error:
        raise Unusable(_why(error)) from None
    finally:
        store.close()


def merge(path: str) -> None:
    """Put what SQLite holds beside the file into it, unless another process uses it."""
    store = Store(path)
    with suppress(Unusable), store._asked():
        pass
    store.close()


def existing(path: str) -> Store:
    """The store in a file that must be there. Raises Unusable."""
    if not Path(path).is_file():
        raise Unusable("there is no such file")
    return Store(path)


def _connected(path: str, *, power: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        _refuse_foreign(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if power else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        db.execute(_TABLE)
        db.execute("CREATE TABLE IF NOT EXISTS present (stage TEXT PRIMARY KEY, version BLOB NOT NULL)")
        db.execute(f"PRAGMA application_id = {MARK}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _refuse_foreign(db: sqlite3.Connection) -> None:
    """Raises Unusable for a database that is no memo, before anything is changed in it."""
    (mark,), (version,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and mark != MARK:
        raise Unusable("it is a database of something else")
    if tables and version != FORMAT:
        raise Unusable("another version of stagerunner has made it")


def _checked(value: bytes) -> bytes | None:
    """The value without its checksum; None if it isn't what was kept."""
    return value[4:] if isinstance(value, bytes) and crc32(value[4:]).to_bytes(4, "big") == value[:4] else None


def _used(db: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _make_room(db: sqlite3.Connection, size: int) -> None:
    """Remove the oldest results, a tenth of them at a time, until so many bytes are left."""
    oldest = "SELECT rowid FROM results ORDER BY rowid LIMIT (SELECT count(*) / 10 + 1 FROM results)"
    while _used(db) > size and db.execute(f"DELETE FROM results WHERE rowid IN ({oldest})").rowcount:
        pass


def _why(error: Exception) -> str:
    """The reason in SQLite's or the system's words."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def file_size(path: str) -> int:
    """Bytes of the file and of those that SQLite keeps beside it."""
    return sum(os.path.getsize(one) for one in (path, f"{path}-wal") if os.path.exists(one))  # noqa: PTH202, PTH110
