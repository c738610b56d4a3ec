"""Dead letters: records that could not be processed, one line of JSON each, with why and where from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from stagerunner.errors import Stopped
from stagerunner.records import CodeFrame, Failure, Origin


def letter(failure: Failure, stage: str, origin: Origin, conceal: Callable[[str], str] = str) -> dict[str, Any]:
    """A failure as it stands in the file. conceal: masks secrets in what somebody said; the record stays as it was."""
    line: dict[str, Any] = {
        "stage": stage,
        "type": failure.type,
        "message": conceal(failure.message),
        "origin": {key: value for key, value in origin._asdict().items() if value is not None},
        "attempts": failure.attempts,
        "frames": _frames(failure.frames),
    }
    if failure.causes:
        line["causes"] = [
            {"how": how, "type": type, "message": conceal(message), "frames": _frames(frames)}
            for how, type, message, frames in failure.causes
        ]
    if failure.record is None and failure.text:
        line["text"] = failure.text
    else:
        line["record"] = failure.record
    return line


def _frames(frames: tuple[CodeFrame, ...]) -> list[dict[str, Any]]:
    return [{"file": file, "line": line, "function": function} for file, line, function in frames]


def encode(line: dict[str, Any]) -> bytes:
    """One line of JSON. What JSON can't say is told as its representation, under `text`."""
    try:
        return msgspec.json.encode(line, enc_hook=_as_text) + b"\n"
    except Exception:
        record = line.pop("record", None)
        return msgspec.json.encode({**line, "text": repr(record)[:1000]}) + b"\n"


def _as_text(value: Any) -> str:
    return repr(value)[:1000]


class DeadLetters:
    """The file of a run. Written where it stands; `position` is its length in bytes. conceal: see `letter`."""

    def __init__(self, path: Path, conceal: Callable[[str], str] = str) -> None:
        self.path = path
        self.conceal = conceal
        self._fd = -1
        self._waiting = bytearray()

    def open(self, position: int | None) -> None:
        """Start anew, or go on at `position`: what lies behind it belongs to no checkpoint. Raises Stopped."""
        with self._guarded():
            self._open(position)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Stopped(f"the dead letters {self.path} can't be written: {error.strerror or error}") from None

    def _open(self, position: int | None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        here = os.fstat(self._fd).st_size
        if position is not None and here < position:
            raise OSError(f"{self.path} has {here} bytes, but {position} had been written")
        os.ftruncate(self._fd, position or 0)
        os.lseek(self._fd, 0, os.SEEK_END)

    def write(self, line: dict[str, Any]) -> None:
        self._waiting += encode(line)
        if len(self._waiting) > 65536:
            self.push()

    def push(self) -> None:
        """Hand everything to the system."""
        with self._guarded():
            while self._waiting:
                written = os.write(self._fd, self._waiting)
                del self._waiting[:written]

    def sync(self) -> None:
        with self._guarded():
            os.fsync(self._fd)

    @property
    def position(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
