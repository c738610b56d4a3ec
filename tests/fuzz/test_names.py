"""Whatever a name stands for, at either end: the right bytes come out, or a clear error and an output left as it was.

Each oddity of what is read meets three kinds of sink (with `--full` all of them), and an oddity of what is written that
is drawn with a seed, as the kind of source is. What comes out is worked out here, from the records.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

ROWS = [{"n": str(n), "text": f"{n:05d} " + "xyz" * (n % 30)} for n in range(4000)]
"""About 250 KB, so that several splits are read; as text throughout, for that is what CSV and tables give back."""

OTHER = [{"n": "other", "text": "o" * (n % 120)} for n in range(6000)]
"""More bytes, in other lines: what is read of it by mistake is there, and torn."""

SINKS = ("lines", "jsonl", "csv", "sqlite", "stdout")
SUFFIX = {"lines": ".txt", "jsonl": ".jsonl", "csv": ".csv", "sqlite": ".db", "stdout": ".txt"}

MEDDLER = """
import os, subprocess, sys
from pathlib import Path
from stagerunner import stage

if os.environ.get("PLANTED"):  # the bug of not verifying the file that was opened
    from stagerunner_parts.sources.pieces import InputFile
    InputFile.verify = lambda self, fd: True

@stage
def meddle(record):
    "Do something to the files, once, when the first record has come: the rest is read afterwards."
    script = Path(__file__).with_name("meddling.py")
    try:
        script.rename(script.with_name("meddled.py"))
    except FileNotFoundError:
        return record
    subprocess.run([sys.executable, script.with_name("meddled.py")], check=True)
    return record
"""


def encoded(kind: str, rows: list[dict[str, str]]) -> bytes:
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if kind == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["n", "text"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()
    return "".join(row["text"] + "\n" for row in rows).encode()


class Case:
    """One command, what is given to it, and what has to come of it."""

    def __init__(self, folder: Path, source: str, sink: str, target: str) -> None:
        self.folder, self.source, self.sink = folder, source, sink
        folder.mkdir()
        self.content = encoded(source, ROWS)
        self.rows: list = [row["text"] for row in ROWS] if source == "lines" else list(ROWS)
        self.path = self.put(f"in.{source}", self.content)
        self.given, self.stdin, self.pass_fds = str(self.path), subprocess.DEVNULL, ()
        self.env = {"HOME": str(folder / "home")}
        self.must_work = True
        self.meddling = ""
        self.cleanup = ExitStack()
        (folder / "home").mkdir()
        self.target = folder / f"out{SUFFIX[sink]}"
        self.written = str(self.target)
        self.before: bytes | None = None
        self.compressed = False
        TARGETS[target](self)

    def put(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def pour(self, pipe: Path | int) -> None:
        """Write the content into a pipe as long as it has a reader."""

        def fill() -> None:
            with suppress(BrokenPipeError), open(pipe, "wb") as file:
                file.write(self.content)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        self.cleanup.callback(thread.join, 30)

    # Running it

    def run(self) -> None:
        with self.cleanup:
            self.ended = self._call()
            if self.ended.returncode == 0:
                found = self._found()
                # Compared by itself: drawing the difference of so many records takes minutes.
                same = found == self.rows
                assert same, self._told(f"exit 0, and {len(found)} records of {len(self.rows)}, or others")
            else:
                self._refused()

    def _call(self) -> subprocess.CompletedProcess:
        self.put("meddler.py", MEDDLER.encode())
        if self.meddling:
            self.put("meddling.py", self.meddling.encode())
        given, written = self._said("GIVEN", self.given), self._said("WRITTEN", self.written)
        end = {"use": "sqlite", "with": {"path": written, "table": "t"}} if self.sink == "sqlite" else written
        chain = {
            "version": 1,
            "plugins": ["./meddler.py"],
            "source": {"use": self.source, "with": {"path": given}} if self.source_is_named else given,
            "stages": ["meddle"],
            "sink": "stdout" if self.sink == "stdout" else end,
            "run": {"frame": 100, "window": "16KiB"},
        }
        self.put("chain.yaml", json.dumps(chain).encode())
        command = [sys.executable, "-m", "stagerunner", "run", "chain.yaml", "-q"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | self.env,
            stdin=self.stdin,
            pass_fds=self.pass_fds,
            capture_output=True,
            timeout=60,
        )

    def _said(self, name: str, path: str) -> str:
        """The path as the config has it: no YAML can hold what isn't UTF-8, so that comes from outside."""
        if path.isascii():
            return path
        self.env[name] = path
        return f"${{env:{name}}}"

    source_is_named = True

    def _found(self) -> list:
        if self.sink == "sqlite":
            with closing(sqlite3.connect(self.target)) as base:
                base.row_factory = sqlite3.Row
                return [dict(row) for row in base.execute("SELECT * FROM t ORDER BY rowid")]
        content = self.ended.stdout if self.sink == "stdout" else self.target.read_bytes()
        text = (gzip.decompress(content) if self.compressed else content).decode()
        if self.sink == "csv":
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if self.sink == "jsonl" or self.source != "lines":
            return [json.loads(line) for line in text.splitlines()]
        return text.splitlines()

    def _refused(self) -> None:
        """It didn't work, and says so; what was there is still there, and nothing else is."""
        assert not self.must_work, self._told("it had to work")
        assert self.ended.returncode in (1, 2, 75), self._told("an exit code of its own")
        assert b"error" in self.ended.stderr, self._told("nothing said")
        assert b"Traceback" not in self.ended.stderr, self._told("a traceback")
        if self.sink not in ("sqlite", "stdout"):
            now = self.target.read_bytes() if self.target.exists() else None
            assert now == self.before, self._told("the output was touched")

    def _told(self, what: str) -> str:
        ends = f"{self.source} {self.given!r} → {self.sink} {self.written!r}"
        return f"{what}: {ends}: exit {self.ended.returncode}: {self.ended.stderr.decode(errors='replace')[-1500:]}"


# What may be odd about what is read


def plain(case: Case) -> None:
    pass


def replaced(case: Case) -> None:
    case.must_work = False
    case.put("new", encoded(case.source, OTHER))
    case.meddling = f"import os; os.replace({str(case.folder / 'new')!r}, {str(case.path)!r})"


def truncated(case: Case) -> None:
    case.must_work = False
    case.meddling = f"import os; os.truncate({str(case.path)!r}, {len(case.content) // 2})"


def emptied_and_filled_again(case: Case) -> None:
    """A moment later, for what happens within one tick of the clock has no time of its own."""
    case.must_work = False
    case.put("new", encoded(case.source, OTHER))
    new, path = str(case.folder / "new"), str(case.path)
    later = f"os.utime({path!r}, ns=(0, os.stat({path!r}).st_mtime_ns + 10**9))"
    case.meddling = f"import os, shutil; shutil.copyfile({new!r}, {path!r}); {later}"


def growing(case: Case) -> None:
    case.meddling = f"open({str(case.path)!r}, 'ab').write({b'more' * 20000!r})"


def named_pipe(case: Case) -> None:
    pipe = case.folder / "pipe"
    os.mkfifo(pipe)
    case.given = str(pipe)
    case.pour(pipe)
    # If nothing reads the pipe, this lets the waiting writer go.
    case.cleanup.callback(lambda: os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)))


def descriptor(case: Case) -> None:
    file = case.cleanup.enter_context(open(case.path, "rb"))
    case.given, case.pass_fds = f"/dev/fd/{file.fileno()}", (file.fileno(),)


def descriptor_of_a_pipe(case: Case) -> None:
    reading, writing = os.pipe()
    case.given, case.pass_fds = f"/proc/self/fd/{reading}", (reading,)
    case.pour(writing)
    case.cleanup.callback(os.close, reading)


def descriptor_that_is_not_open(case: Case) -> None:
    case.given, case.must_work, case.rows = "/dev/fd/77", False, ["nothing may come"]


def standard_input(case: Case) -> None:
    case.stdin = case.cleanup.enter_context(open(case.path, "rb"))
    case.given = random.Random(case.sink).choice(["-", "/dev/stdin", "/proc/self/fd/0"])


def process_file(case: Case) -> None:
    case.given = "/proc/version"
    if not Path(case.given).exists():
        pytest.skip("there is no /proc")
    case.rows = Path(case.given).read_text().splitlines()


def link_to_a_link(case: Case) -> None:
    (case.folder / "one").symlink_to(case.path.name)
    (case.folder / "two").symlink_to(case.folder / "one")
    case.given = str(case.folder / "two")


def link_in_a_circle(case: Case) -> None:
    (case.folder / "loop").symlink_to("loop")
    case.given, case.must_work = "loop", False


def not_utf8(case: Case) -> None:
    name = os.fsdecode(b"in\xff\xfe" + f".{case.source}".encode())
    case.path.rename(case.folder / name)
    case.given = str(case.folder / name)


def glob_of_what_is_not_utf8(case: Case) -> None:
    not_utf8(case)
    case.given = str(case.folder / f"in*.{case.source}")


def odd_characters(case: Case) -> None:
    path = case.path.rename(case.folder / f"a [b]*?\n'{{c}}.{case.source}")
    case.given = str(path)


def at_home(case: Case) -> None:
    case.path.rename(case.folder / "home" / case.path.name)
    case.given = f"~/{case.path.name}"


def upper_case(case: Case) -> None:
    packed = case.put(f"IN.{case.source.upper()}.GZ", gzip.compress(case.content))
    case.given = packed.name
    case.source_is_named = case.source == "lines"


def no_newline_at_the_end(case: Case) -> None:
    case.path.write_bytes(case.content.removesuffix(b"\n"))


def byte_order_mark(case: Case) -> None:
    case.path.write_bytes(b"\xef\xbb\xbf" + case.content)


def mounted(case: Case) -> None:
    mount(case, case.path)


def mount(case: Case, path: Path) -> None:
    other = case.put(f"mounted-{path.name}", path.read_bytes())
    if subprocess.run(["mount", "--bind", str(other), str(path)], capture_output=True, timeout=30).returncode:
        pytest.skip("nothing can be mounted here")
    case.cleanup.callback(subprocess.run, ["umount", "--lazy", str(path)], check=True, timeout=30)


SOURCES = (
    *(plain, replaced, truncated, emptied_and_filled_again, growing, named_pipe, descriptor, descriptor_of_a_pipe),
    *(
        descriptor_that_is_not_open,
        standard_input,
        process_file,
        link_to_a_link,
        link_in_a_circle,
        not_utf8,
        odd_characters,
    ),
    *(glob_of_what_is_not_utf8, at_home, upper_case, no_newline_at_the_end, byte_order_mark, mounted),
)


# What may be odd about what is written


def new_file(case: Case) -> None:
    pass


def mode_and_owner(case: Case) -> None:
    """An earlier output keeps both."""
    if case.sink in ("lines", "jsonl", "csv"):
        case.before = b"before\n"
        case.target.write_bytes(case.before)
        case.target.chmod(0o640)
        case.cleanup.callback(lambda: _same_mode(case.target, 0o640))


def _same_mode(path: Path, mode: int) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == mode


def through_a_link(case: Case) -> None:
    if case.sink in ("lines", "jsonl", "csv"):
        link = case.folder / f"link{SUFFIX[case.sink]}"
        link.symlink_to(case.target.name)
        case.written = str(link)
        case.cleanup.callback(lambda: _still_a_link(link))


def _still_a_link(link: Path) -> None:
    assert link.is_symlink()


def written_at_home(case: Case) -> None:
    case.target = case.folder / "home" / f"out{SUFFIX[case.sink]}"
    case.written = f"~/{case.target.name}"


def written_in_upper_case(case: Case) -> None:
    if case.sink in ("lines", "jsonl", "csv"):
        case.target = case.folder / f"OUT{SUFFIX[case.sink].upper()}.GZ"
        case.written, case.compressed = str(case.target), True


def written_not_in_utf8(case: Case) -> None:
    if case.sink in ("lines", "jsonl", "csv"):
        case.target = case.folder / os.fsdecode(b"out\xfe" + SUFFIX[case.sink].encode())
        case.written = str(case.target)


def written_over_a_mount(case: Case) -> None:
    """Nothing can be renamed onto it."""
    if case.sink in ("lines", "jsonl", "csv"):
        case.before, case.must_work = b"before\n", False
        case.target.write_bytes(case.before)
        mount(case, case.target)


TARGETS = {
    target.__name__: target
    for target in (
        *(new_file, mode_and_owner, through_a_link, written_over_a_mount),
        *(written_at_home, written_in_upper_case, written_not_in_utf8),
    )
}


def case_of(folder: Path, oddity: Callable[[Case], None], sink: str) -> Case:
    draw = random.Random(f"{oddity.__name__} {sink}")
    kinds = ["jsonl", "csv"] if sink in ("csv", "sqlite") else ["lines", "jsonl", "csv"]
    kind = "lines" if oddity is process_file else draw.choice(kinds)
    case = Case(folder / sink, kind, sink, draw.choice(list(TARGETS)))
    oddity(case)
    return case


@pytest.mark.parametrize("oddity", SOURCES, ids=lambda oddity: oddity.__name__.replace("_", " "))
def test_the_right_bytes_or_a_clear_error(tmp_path, full, oddity):
    at = SOURCES.index(oddity)
    sinks = SINKS if full else [SINKS[(at + step) % len(SINKS)] for step in (0, 1, 3)]
    texts = oddity is process_file
    cases = [case_of(tmp_path, oddity, sink) for sink in sinks if not texts or sink not in ("csv", "sqlite")]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(case.run) for case in cases]:
            done.result()


@pytest.mark.parametrize("oddity", [replaced, emptied_and_filled_again])
def test_it_notices_when_the_file_that_was_opened_is_not_looked_at(tmp_path, oddity):
    case = Case(tmp_path / "case", "lines", "lines", "new_file")
    oddity(case)
    case.env["PLANTED"] = "yes"
    with pytest.raises(AssertionError, match="exit 0, and"):
        case.run()
