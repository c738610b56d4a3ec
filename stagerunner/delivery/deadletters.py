"""Dead letters: records that could not be processed, one line of JSON each, with the reason and the origin.

Several runs may share a file. Each line names the output that it belongs to, and a run removes lines of its own output
only. A fresh run removes those of an earlier run, a resumed one those behind its last checkpoint. A run holds a shared
lock. Existing lines are changed only before a run begins, and only under an exclusive lock.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from msgspec import Struct

from stagerunner.errors import OutputBusy, Stopped, UsageError
from stagerunner.evaluate.dead_letters.letters import (
    HEAD,
    STAYS,
    as_line,
    begins_letter,
    head,
    output_of,
    owner_of,
    read_letter,
    record_fields,
)
from stagerunner.records import CodeFrame, Failure, Origin

PATIENCE = 2.0
"""Seconds to wait for another run that removes its lines."""


def letter(failure: Failure, stage: str, origin: Origin, conceal: Callable[[str], str] = str) -> dict[str, Any]:
    """A failure as it is written to the file. conceal: masks secrets in messages; the record is not changed."""
    if failure.type == STAYS and isinstance(failure.record, str):
        before = read_letter(failure.record.encode(errors="surrogateescape"))
        if before is not None:
            return {key: value for key, value in before.items() if key not in HEAD}
    line: dict[str, Any] = {
        "stage": stage,
        "type": failure.type,
        "message": conceal(failure.message),
        "origin": _place(origin),
        "attempts": failure.attempts + origin.tried,
        "frames": _frames(failure.frames),
    }
    if failure.causes:
        line["causes"] = [
            {"how": how, "type": type, "message": conceal(message), "frames": _frames(frames)}
            for how, type, message, frames in failure.causes
        ]
    return line | _record(failure)


def dropped(failure: Failure, stage: str, origin: Origin, conceal: Callable[[str], str] = str) -> dict[str, Any]:
    """A record that a stage filtered out, as it is written to the file. conceal: masks secrets in the reason."""
    line: dict[str, Any] = {"stage": stage, "reason": conceal(failure.message), "origin": _place(origin)}
    return line | _record(failure)


def _place(origin: Origin) -> dict[str, Any]:
    return {key: value for key, value in origin._asdict().items() if value is not None and key != "tried"}


def _record(failure: Failure) -> dict[str, Any]:
    return {"text": failure.text} if failure.record is None and failure.text else record_fields(failure.record)


def _frames(frames: tuple[CodeFrame, ...]) -> list[dict[str, Any]]:
    return [{"file": file, "line": line, "function": function} for file, line, function in frames]


def label_of(path: Path, target: Path | None, otherwise: str) -> str:
    """The name of an output in a file of letters: its path relative to the file, so that both can be moved together."""
    if target is None:
        return otherwise
    return os.path.relpath(os.path.realpath(target), os.path.realpath(path.parent))


def take_away(path: Path, place: Path) -> None:
    """Rename the file so that it can be replayed; a run that writes dead letters now begins a new file.

    Raises OutputBusy while a run writes to it.
    """
    with path.open("rb") as file:
        if not _alone(file.fileno()):
            raise OutputBusy(f"a run is writing its dead letters to {path}; wait for it to end")
        path.replace(place)


def _alone(fd: int) -> bool:
    """Lock an open file; whether no other process holds a lock."""
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def bring_back(place: Path, path: Path) -> bool:
    """Undo `take_away`, unless dead letters were written since; whether it was undone."""
    try:
        with path.open("ab") as file:
            if not _alone(file.fileno()) or os.fstat(file.fileno()).st_size:
                return False
            place.replace(path)
    except OSError:
        return False
    return True


def outputs_in(path: Path) -> set[str]:
    """The outputs whose letters are in the file."""
    with path.open("rb") as lines:
        return {output for output in map(output_of, lines) if output}


class Found(Struct):
    """What a claimed file holds.

    mine: our lines that stay. dropped: lines to remove. first: the offset of the first of these. behind: whether a line
    that stays follows one of these. foreign: the file holds no dead letters.
    """

    mine: int = 0
    dropped: int = 0
    first: int = 0
    behind: bool = False
    foreign: bool = False


class DeadLetters:
    """The file of a run, appended to in place. `position`: how many letters of the run are in it.

    conceal: see `letter`. output: the name of our output. heirs: outputs whose letters are removed with ours when a run
    starts anew. what: its lines are; `dropped records` are owned, committed and cut in the same way.
    """

    def __init__(
        self,
        path: Path,
        conceal: Callable[[str], str] = str,
        output: str = "",
        heirs: tuple[str, ...] = (),
        what: str = "dead letters",
    ) -> None:
        self.path = path
        self._what = what
        self.conceal = conceal
        self._output = output
        self._heads = [(head(one), one) for one in (output, *heirs)]
        self._fd = -1
        self._waiting = bytearray()
        self._torn = False
        """The last write ended inside a line of ours."""
        self._regular = True
        self._found = Found()
        self._kept = 0
        self.position = 0

    def claim(self, position: int | None, *, forced: bool = False) -> None:
        """Lock the file and read it; change nothing yet.

        position: letters that were committed, or None to start anew. forced: some of them may be missing. Raises
        OutputBusy if our lines must be removed while another run writes, UsageError for a file without dead letters or
        with too few, Stopped if the system refuses.
        """
        try:
            self._claim(position, forced=forced)
        except BaseException:
            self.close()
            raise

    def _claim(self, position: int | None, *, forced: bool) -> None:
        with self._guarded():
            alone = self._lock()
            self._kept = position or 0
            if not self._regular:
                return
            self._found = self._look(alone=alone)
        if self._found.foreign:
            raise UsageError(f"{self.path} exists and holds something other than {self._what}; name another file")
        if self._found.dropped and not alone:
            raise OutputBusy(
                f"another run is writing its {self._what} to {self.path}, where some of an earlier run of this output "
                "have to be taken out first; wait for it to end, or name another file"
            )
        if self._found.mine < self._kept and not forced:
            raise UsageError(
                f"{self.path} has {self._found.mine} of the {self._kept} {self._what} that this run had written; bring "
                "the file back, run without --resume to start anew, or with --force-resume to go on without them"
            )

    def open(self, position: int | None) -> None:
        """Start anew, or go on behind the letter `position`. Calls `claim` first, if that was not done."""
        if self._fd < 0:
            self.claim(position)
        with self._guarded():
            if self._found.dropped and not self._found.behind:
                os.ftruncate(self._fd, self._found.first)
            elif self._found.dropped:
                self._rewrite()
            if self._regular:
                self._share()
        self.position = self._kept

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Stopped(f"the {self._what} {self.path} can't be written: {error.strerror or error}") from None

    # Locks

    def _lock(self) -> bool:
        """Open the file and lock it; whether the lock is exclusive."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = monotonic() + PATIENCE
        while True:
            found = self._locked()
            if found is not None:
                return found
            self.close()
            if monotonic() > until:
                raise OutputBusy(f"another run has locked the {self._what} {self.path}")
            sleep(0.02)

    def _locked(self) -> bool | None:
        """Whether the lock is exclusive; None if another run changes the file, or has just replaced it."""
        # O_NONBLOCK: don't wait for a reader of a named pipe, which is refused below.
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        mode = os.fstat(self._fd).st_mode
        self._regular = stat.S_ISREG(mode)
        if not self._regular:
            if not stat.S_ISCHR(mode):
                raise UsageError(f"{self.path} isn't a file; {self._what} need one")
            return True
        for how in (LOCK_EX, LOCK_SH):
            try:
                flock(self._fd, how | LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                return True  # a file system without locks
            return how == LOCK_EX if self._in_place() else None
        return None

    def _in_place(self) -> bool:
        """Whether the open file is still the one under this path."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._fd), self.path.stat())
        return False

    def _share(self) -> None:
        """Make the lock a shared one."""
        try:
            flock(self._fd, LOCK_SH | LOCK_NB)
            if self._in_place():
                return
        except BlockingIOError:
            pass
        except OSError:
            return
        # Between the two locks another run has replaced the file.
        self.close()
        self._lock()
        self._share()

    # Reading

    def _look(self, *, alone: bool) -> Found:
        found = Found()
        with self.path.open("rb") as file:
            first = file.readline()
            found.foreign = bool(first) and not begins_letter(first) and read_letter(first) is None
            file.seek(0)
            for at, _, ours in self._sorted(file, alone=alone):
                found.mine += ours is True
                if ours is not False:
                    found.behind = found.behind or found.dropped > 0
                    continue
                found.first = found.first if found.dropped else at
                found.dropped += 1
        return found

    def _sorted(self, lines: Iterable[bytes], *, alone: bool) -> Iterator[tuple[int, bytes, bool | None]]:
        """Each line with its offset. The last value: True for our lines that stay, False for lines to remove, None for
        other runs' lines."""
        at = 0
        for line in lines:
            owner = owner_of(line, self._heads)
            ours = None if owner is None else owner[0] == self._output and owner[1] <= self._kept
            # Half a line of a run that is gone is in no checkpoint.
            if alone and not line.endswith(b"\n") and begins_letter(line) and read_letter(line) is None:
                ours = False
            yield at, line, ours
            at += len(line)

    def _rewrite(self) -> None:
        """Replace the file by one without the lines to remove. There is a whole file at every moment."""
        place = self.path.resolve()
        beside = place.with_name(f".{place.name}.stagerunner-new")
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with place.open("rb") as old, open(os.dup(fd), "wb") as new:
                new.writelines(line for _, line, ours in self._sorted(old, alone=True) if ours is not False)
            _make_alike(self._fd, fd)
            os.fsync(fd)
            with suppress(OSError):
                flock(fd, LOCK_EX | LOCK_NB)
            beside.replace(place)
        except BaseException:
            os.close(fd)
            beside.unlink(missing_ok=True)
            raise
        self.close()
        self._fd = fd

    # Writing

    def write(self, line: dict[str, Any]) -> None:
        self.position += 1
        self._waiting += as_line(self._output, self.position, line)
        if len(self._waiting) > 65536:
            self.push()

    def push(self) -> None:
        """Write everything that waits, whole lines at once."""
        with self._guarded():
            if self._waiting and self._regular and not self._torn and self._ends_inside_a_line():
                self._waiting[:0] = b"\n"
            while self._waiting:
                written = os.write(self._fd, self._waiting)
                del self._waiting[:written]
                self._torn = bool(self._waiting)

    def _ends_inside_a_line(self) -> bool:
        """Whether the last line has no end: a writer was killed, or an editor left it out."""
        size = os.fstat(self._fd).st_size
        return size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def sync(self) -> None:
        with self._guarded():
            if self._regular:
                os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make_alike(one: int, other: int) -> None:
    """Give the other file the mode of the first, and its owner if that is allowed."""
    found = os.fstat(one)
    os.fchmod(other, stat.S_IMODE(found.st_mode))
    with suppress(OSError):
        os.fchown(other, found.st_uid, found.st_gid)
