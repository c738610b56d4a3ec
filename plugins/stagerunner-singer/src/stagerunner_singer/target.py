"""The sink `singer`: records go as lines to the standard input of a target.

    last worker: SCHEMA and RECORD lines ─▶ parent ─▶ target's stdin; STATE at each commit ─▶ target ─▶ the STATE lines
                                                                                    that it has taken care of

A target doesn't say what it has done with records behind the last STATE that it wrote, and can't take anything back. So
a run into a target can't be resumed. It is complete only if the target has confirmed the last STATE.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from stagerunner import sink
from stagerunner_singer.commands import GivenFiles, words

SAID = "records"
"""The key of our STATE: how many commits there were, which a target must have confirmed in the end."""


@sink("singer")
class Target:
    """Hand records to a Singer target.

    A record is a mapping for the stream `stream`; or {"stream", "record", "schema"}, as the source `singer` gives it.

    command: the target, as a text or a list of words.
    config: the target's config, written out or a path.
    stream: the stream of records that don't name theirs.
    schema: the JSON schema of these records, a path; without it, anything is allowed.
    keys: the names of the fields that make up the key of these records.
    """

    keeps = "nothing"

    def __init__(
        self,
        *,
        command: str | list[str],
        config: Path | dict[str, Any] | None = None,
        stream: str = "records",
        schema: Path | None = None,
        keys: list[str] | None = None,
    ) -> None:
        self.command = command
        self.config = config
        self.stream = stream
        self.schema = schema
        self.keys = keys or []
        self._given: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self._confirmed = -1
        self._commits = 0

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the target can't be run."""
        words(self.command)
        for path in (self.config, self.schema):
            if isinstance(path, Path) and not path.is_file():
                raise FileNotFoundError(f"there is no file {path}")
        self._schema()

    def describe(self) -> str:
        """Its name in messages."""
        return words(self.command)[0]

    # In the last worker

    def encode(self, records: list[Any]) -> bytes:
        """The lines of these records, with the schema of each stream before its first one. Raises TypeError for a
        record that is no mapping."""
        lines, told = [], set()
        for record in records:
            stream, content, schema = self._parts(record)
            if stream not in told:
                told.add(stream)
                lines.append({"type": "SCHEMA", "stream": stream, **schema})
            lines.append({"type": "RECORD", "stream": stream, "record": content})
        return "".join(json.dumps(line, default=str) + "\n" for line in lines).encode()

    def _parts(self, record: Any) -> tuple[str, Any, dict[str, Any]]:
        """A record's stream, content and schema."""
        if not isinstance(record, dict):
            raise TypeError(f"a Singer record is a mapping, not {type(record).__name__}")
        if record.keys() - {"schema"} == {"stream", "record"}:
            return record["stream"], record["record"], record.get("schema") or {"schema": {}, "key_properties": []}
        return self.stream, record, {"schema": self._schema(), "key_properties": self.keys}

    def _schema(self) -> Any:
        if self._given is None:
            self._given = {} if self.schema is None else json.loads(self.schema.read_text())
        return self._given

    # In the parent

    def open(self, position: Any) -> None:
        files = GivenFiles()
        with closing(files):
            self._process = subprocess.Popen(
                [*words(self.command), *files.flag("config", self.config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=files.descriptors,
            )
        self._threads = [
            self._reading(self._process.stdout, self._confirm),
            self._reading(self._process.stderr, self._show),
        ]

    def _reading(self, stream: Any, take: Callable[[bytes], None]) -> threading.Thread:
        """A thread, since the target must never wait for us to read what it says."""

        def read() -> None:
            for line in stream:
                take(line)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _confirm(self, line: bytes) -> None:
        try:
            self._confirmed = json.loads(line)[SAID]
        except (ValueError, TypeError, KeyError):
            self._show(line)  # it isn't our state

    def _show(self, line: bytes) -> None:
        print(f"{Path(self.describe()).name}: {line.decode(errors='replace').rstrip()}", file=sys.stderr)

    def write(self, data: memoryview) -> None:
        """Raises RuntimeError if the target has ended."""
        process = self._running()
        try:
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"the target ended with {process.wait()} before all was written") from None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def position(self) -> Any:
        """How many commits the target has confirmed."""
        return self._confirmed

    def commit(self, row: Any) -> None:
        self._commits += 1
        self.write(memoryview(json.dumps({"type": "STATE", "value": {SAID: self._commits}}).encode() + b"\n"))

    def finish(self) -> None:
        """Raises RuntimeError if the target fails, or ends without having confirmed everything."""
        self.commit(None)
        code = self._end()
        if code:
            raise RuntimeError(f"the target ended with {code}")
        if self._confirmed != self._commits:
            raise RuntimeError("the target ended without writing the last STATE: it may not have kept all records")

    def abort(self) -> None:
        """The target ends as it does when its input ends."""
        self._end()

    def _end(self) -> int:
        process = self._running()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        code = process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return code
