"""The source `singer`: a tap runs as a child of the source's process; its STATE messages are marks.

tap ── lines on stdout ──▶ RECORD: a record · STATE: a mark · SCHEMA: kept · anything else: malformed, or passed over
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Literal

from stagerunner import Malformed, Mark, Origin, source
from stagerunner_singer.commands import GivenFiles, words

PASSED_OVER = frozenset(("ACTIVATE_VERSION",))
"""Messages that say nothing of a record."""


class NoJson(ValueError):
    """NaN or an infinity: Python's reader takes them, but no sink could write them."""


@source("singer")
class Tap:
    """Run a Singer tap and give its records.

    A record is {"stream": its stream, "record": the tap's record}, or just the tap's record if `streams` names one
    stream. What the tap writes to standard error is shown.

    command: the tap, as a text or a list of words.
    config: the tap's config, written out or a path.
    catalog: the catalog of what to extract, a path.
    properties: the same for older taps that call it so, a path.
    state: where to begin, a path; a resumed run goes on from the tap's own state.
    streams: only records of these streams.
    schema: put the stream's schema into each record, under "schema", which the sink `singer` hands on.
    resume: state trusts the tap to go on behind its state. skip runs it anew and leaves out what was committed.
    """

    max_record = 16 * 2**20

    def __init__(
        self,
        *,
        command: str | list[str],
        config: Path | dict[str, Any] | None = None,
        catalog: Path | None = None,
        properties: Path | None = None,
        state: Path | None = None,
        streams: list[str] | None = None,
        schema: bool = False,
        resume: Literal["state", "skip"] = "state",
    ) -> None:
        self.command = command
        self.config = config
        self.catalog = catalog
        self.properties = properties
        self.state = state
        self.streams = streams
        self.schema = schema
        self.resume = resume
        self._bare = streams is not None and len(streams) == 1 and not schema

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the tap can't be run."""
        words(self.command)
        if self.streams == []:
            raise ValueError("`streams` names no stream; leave it out for all of them")
        for path in (self.config, self.catalog, self.properties, self.state):
            if isinstance(path, Path) and not path.is_file():
                raise FileNotFoundError(f"there is no file {path}")

    def identity(self) -> Any:
        """The contents of the files that say what is extracted. Of the config only its place: it may hold secrets."""
        return [path.read_text() for path in (self.catalog, self.properties, self.state) if path is not None]

    def locate(self, after: Any, number: int) -> Origin:
        before = 0 if after is None else after["records"]
        return Origin(words(self.command)[0], None, before + number)

    def read(self, after: Any) -> Iterator[Any]:
        """Raises RuntimeError if the tap fails, after everything that it gave."""
        begin = after or {"records": 0}
        state = begin.get("state", self.state)
        passed = begin["records"] if self.resume == "skip" else 0
        messages = _Messages(self, begin["records"] - passed)
        files = GivenFiles()
        with closing(files):
            tap = self._start(files, state)
        with tap:
            assert tap.stdout is not None
            for item in messages.read(tap.stdout):
                if passed:
                    passed -= type(item) is not Mark
                else:
                    yield item
        if tap.returncode:
            raise RuntimeError(f"the tap {words(self.command)[0]} ended with {_ending(tap.returncode)}")
        if passed:
            raise RuntimeError(f"the tap gave {passed} records fewer than were committed: it doesn't repeat itself")

    def _start(self, files: GivenFiles, state: Any) -> subprocess.Popen[bytes]:
        given = {"config": self.config, "catalog": self.catalog, "properties": self.properties, "state": state}
        flags = [word for name, content in given.items() for word in files.flag(name, content)]
        return subprocess.Popen(
            [*words(self.command), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=files.descriptors,
        )

    def record(self, stream: str, record: Any, schema: Any) -> Any:
        """The record that a stage gets."""
        if self._bare:
            return record
        return {"stream": stream, "record": record} | ({"schema": schema} if self.schema else {})


class _Messages:
    """Turns a tap's lines into records and marks."""

    def __init__(self, tap: Tap, records: int) -> None:
        self._tap = tap
        self._records = records
        """Records so far, those of the runs before included."""
        self._schemas: dict[str, Any] = {}

    def read(self, lines: IO[bytes]) -> Iterator[Any]:
        """Records, Malformed for what is no message, and marks."""
        most = self._tap.max_record
        while line := lines.readline(most + 1):
            if len(line) > most:
                while not line.endswith(b"\n") and (line := lines.readline(most)):
                    pass
                line = b""
            if line.strip() or len(line) == 0:
                yield from self._taken(line)

    def _taken(self, line: bytes) -> Iterator[Any]:
        message = _message(line)
        kind = "" if isinstance(message, Malformed) else message.get("type")
        if kind == "SCHEMA":
            self._schemas[message["stream"]] = message
        elif kind == "STATE":
            if self._tap.resume == "state" and not _unfinished(message.get("value")):
                yield Mark({"state": message.get("value"), "records": self._records})
        elif kind == "RECORD":
            if self._tap.streams is None or message["stream"] in self._tap.streams:
                yield from self._counted(self._record(message))
        elif kind == "BATCH":
            raise RuntimeError("the tap gives BATCH messages, which can't be read; switch batches off in its config")
        elif kind not in PASSED_OVER:
            odd = message if isinstance(message, Malformed) else Malformed("NotSinger", f"no message: {kind!r}", line)
            yield from self._counted(odd)

    def _record(self, message: dict[str, Any]) -> Any:
        schema = self._schemas.get(message["stream"])
        kept = schema and {"schema": schema.get("schema"), "key_properties": schema.get("key_properties") or []}
        return self._tap.record(message["stream"], message["record"], kept)

    def _counted(self, item: Any) -> Iterator[Any]:
        self._records += 1
        yield item
        if self._tap.resume == "skip":
            yield Mark({"records": self._records})


def _message(line: bytes) -> Any:
    """The message of a line, a mapping; Malformed if it is none. b"" stands for a line that was too long."""
    if not line:
        return Malformed("TooLarge", "a line of the tap is longer than max_record allows")
    try:
        message = json.loads(line, parse_constant=_refuse)
    except NoJson as why:
        return Malformed("NotSinger", f"the tap wrote {why}, which JSON doesn't have", line)
    except ValueError:
        return Malformed("NotSinger", "the tap wrote a line that isn't a message", line)
    kind = message.get("type") if isinstance(message, dict) else None
    needed = {"RECORD": ("stream", "record"), "SCHEMA": ("stream",)}.get(str(kind), ())
    if kind is None or any(key not in message for key in needed):
        return Malformed("NotSinger", "the tap wrote a line that isn't a message", line)
    return message


def _refuse(constant: str) -> None:
    raise NoJson(constant)


def _unfinished(state: Any) -> bool:
    """Whether it is the state of a stream in no order, from which taps of the Singer SDK can't go on."""
    if isinstance(state, dict):
        return "progress_markers" in state or any(map(_unfinished, state.values()))
    return isinstance(state, list) and any(map(_unfinished, state))


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"
