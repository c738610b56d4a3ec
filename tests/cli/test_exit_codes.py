"""What a call ends with when something is wrong around it: a code that says what kind of trouble it is, words on
standard error, and no traceback of ours.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from support.project import Project, command

from stagerunner import StagerunnerError, load
from stagerunner.api import prepare
from stagerunner.cli import entry

PARTS = """
from stagerunner import Origin, Split

def do(deed):
    "One of the things that nobody who calls a method expects."
    if deed == "exits":
        sys.exit()
    if deed == "leaves":
        raise GeneratorExit
    if deed == "interrupts":
        raise KeyboardInterrupt
    if deed == "mumbles":
        raise type("Mute", (Exception,), {"__str__": lambda self: sys.exit(), "__repr__": lambda self: 1 / 0})
    if deed == "bursts":
        raise type("Bare", (BaseException,), {})("\\udc80")
    return {"text": "text", "none": None, "set": {1}, "object": object()}[deed]

class Odd:
    "Does the deed in one of its methods, and what is right in all others."
    def __init__(self, *, at: str, deed: str, path: Path | None = None):
        self.at, self.deed, self.path, self.at_end = at, deed, path, 0
        self.turn("__init__")
    def turn(self, method, right=None):
        return do(self.deed) if method == self.at else right
    def check(self):
        self.turn("check")

@source
class Reading(Odd):
    def splits(self, after):
        yield Split([1, 2, 3], self.turn("size of a split", 3), self.turn("position of a split", 3))
        if self.at == "splits":
            yield do(self.deed)
    def read(self, split):
        return self.turn("read", split.data)
    def identity(self):
        return self.turn("identity", 1)
    def size(self):
        return self.turn("size", 3)
    def locate(self, split, number):
        return self.turn("locate", Origin("odd", None, number))

@sink
class Writing(Odd):
    keeps = "truncate"
    def encode(self, records):
        return self.turn("encode", "".join(f"{record}\\n" for record in records).encode())
    def open(self, position):
        self.turn("open")
    def write(self, data):
        self.turn("write")
    def position(self):
        return self.turn("position", 0)
    def commit(self, row):
        self.turn("commit")
    def finish(self):
        self.turn("finish")
    def abort(self):
        self.turn("abort")
    def target(self):
        return self.turn("target", self.path)
    def describe(self):
        return self.turn("describe", "my output")

class Named:
    def __init__(self, text):
        self.text = text
    @classmethod
    def parse(cls, text):
        return do(text) if text != "well" else cls(text)

@stage
def asks(record, *, named: Named):
    return record

@stage
def fails(record):
    raise ValueError("no")
"""


@pytest.fixture
def odd(tmp_path, monkeypatch) -> Project:
    project = Project(tmp_path)
    project.plugin(PARTS)
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def call(capsys):
    """`stagerunner ARGUMENTS` in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        return entry.main(arguments), *capsys.readouterr()

    return call


def whole(code: int, told: str) -> int:
    """The code, once it is seen that words go with it, and none of ours that only we understand."""
    assert told or code in (0, 141)
    assert not re.search(r'Traceback|File "[^"]*/stagerunner/', told), told
    return code


SOURCE = {"use": "range", "with": {"stop": 3}}
RAISED = ("exits", "leaves", "interrupts", "mumbles", "bursts")
CALLED = {"leaves": "GeneratorExit", "exits": "SystemExit", "interrupts": "KeyboardInterrupt", "mumbles": "Mute"} | {
    "bursts": "Bare"
}


@pytest.mark.parametrize("deed", RAISED)
@pytest.mark.parametrize("at", ["open", "write", "position", "commit", "finish", "target", "describe", "abort"])
def test_whatever_a_sink_raises_in_the_parent_is_its_failure_by_name(odd, call, at, deed):
    options = {"at": at, "deed": deed, "path": "out.txt"}
    odd.config("same", source=SOURCE, sink={"use": "writing", "with": options})

    code, _, told = call("run", "chain.yaml", "-q")

    if at in ("describe", "abort"):  # neither is asked for in a run that goes well
        assert whole(code, told) == 0
        return
    assert whole(code, told) == (2 if at == "target" else 1)
    assert CALLED[deed] in told
    assert f"(in {at}, parts.py:" in told
    assert ("the sink writing failed" if at == "target" else "the sink my output failed") in told


@pytest.mark.parametrize("deed", RAISED)
@pytest.mark.parametrize("at", ["splits", "identity", "size", "locate", "read"])
def test_whatever_a_source_raises_is_its_failure_by_name(odd, call, at, deed):
    stage = {"use": "fails", "on_error": "skip"} if at == "locate" else "same"
    odd.config(stage, source={"use": "reading", "with": {"at": at, "deed": deed}}, sink="out.txt")

    code, _, told = call("run", "chain.yaml", "-q")

    if at in ("locate", "size"):  # where a record stands is told as far as it is known; `size` is for the progress
        assert whole(code, told) in ((0,) if at == "locate" else (0, 1))
        return
    assert whole(code, told) == 1
    assert CALLED[deed] in told
    assert "source failed" in told


@pytest.mark.parametrize("deed", RAISED)
@pytest.mark.parametrize("at", ["__init__", "check"])
@pytest.mark.parametrize("verb", ["check", "run", "show"])
def test_whatever_a_part_raises_while_it_is_planned_is_a_mistake(odd, call, verb, at, deed):
    odd.config("same", source={"use": "reading", "with": {"at": at, "deed": deed}}, sink="out.txt")

    code, out, told = call(verb, "chain.yaml")

    assert (whole(code, told), out) == (2, "")
    assert CALLED[deed] in told


@pytest.mark.parametrize("deed", RAISED)
def test_whatever_an_option_raises_that_reads_itself_is_a_mistake(odd, call, deed):
    odd.config({"use": "asks", "with": {"named": deed}}, source=SOURCE, sink="out.txt")

    code, _, told = call("check", "chain.yaml")

    assert whole(code, told) == 2
    assert CALLED[deed] in told
    assert "stages[0].with.named" in told


@pytest.mark.parametrize("deed", RAISED)
def test_whatever_a_plugin_raises_when_it_is_imported_is_a_mistake(odd, call, deed):
    odd.write("broken.py", odd.write("said.py", "import sys\n" + PARTS[1 : PARTS.index("class Odd")]).read_text())
    odd.write("broken.py", (odd / "said.py").read_text() + f"do({deed!r})\n")
    odd.config("same", source=SOURCE, sink="out.txt")

    for arguments in (("check", "chain.yaml"), ("run", "chain.yaml", "-q"), ("stages",), ("plugins",)):
        code, _, told = call(*arguments, "-p", "./broken.py")
        assert whole(code, told) == 2
        assert CALLED[deed] in told


WRONG = [
    ("source", "splits", "text", 1, "splits gave a str, not a Split"),
    ("source", "splits", "none", 1, "splits gave a NoneType, not a Split"),
    ("source", "size of a split", "text", 1, "gave a str, not a whole number"),
    ("source", "position of a split", "set", 1, "what splits gave isn't JSON data"),
    ("source", "identity", "object", 1, "what identity gave isn't JSON data"),
    ("source", "locate", "text", 0, ""),
    ("source", "read", "none", 1, "source failed: TypeError"),
    ("sink", "encode", "text", 1, "TypeError"),
    ("sink", "encode", "none", 1, "TypeError"),
    ("sink", "position", "set", 1, "the sink my output failed: what position gave isn't JSON data"),
    ("sink", "target", "text", 2, "target gave a str, not a Path"),
    ("sink", "describe", "none", 0, ""),
]


@pytest.mark.parametrize(("end", "at", "deed", "code", "words"), WRONG)
def test_a_value_of_a_wrong_type_is_a_failure_of_the_part_that_returned_it(odd, call, end, at, deed, code, words):
    part = {"use": "reading" if end == "source" else "writing", "with": {"at": at, "deed": deed, "path": "mine.txt"}}
    stage = {"use": "fails", "on_error": "skip"} if at == "locate" else "same"
    odd.config(stage, **({"source": SOURCE, "sink": "out.txt"} | {end: part}))

    found, _, told = call("run", "chain.yaml", "-q")

    assert whole(found, told) == code
    assert words in told


@pytest.mark.parametrize("deed", RAISED)
def test_the_python_api_raises_an_error_of_ours_whatever_a_part_does(odd, deed):
    sink = {"use": "writing", "with": {"at": "write", "deed": deed}}
    with pytest.raises(StagerunnerError, match="my output failed"):
        prepare(odd.config("same", source=SOURCE, sink=sink)).execute()

    source = {"use": "reading", "with": {"at": "splits", "deed": deed}}
    with pytest.raises(StagerunnerError, match="the source failed"):
        list(load(odd.config("same", source=source)).run())

    with pytest.raises(StagerunnerError, match=CALLED[deed]):
        load(odd.config("same", source={"use": "reading", "with": {"at": "check", "deed": deed}}))


# In a process of its own


def shell(folder: Path, line: str) -> tuple[int, bytes, str]:
    """A line for the shell in which `sr` is the command: exit code, standard output, standard error."""
    script = f'sr() {{ "{sys.executable}" -m stagerunner "$@"; }}; {line}'
    ended = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, timeout=60)
    return ended.returncode, ended.stdout, ended.stderr.decode(errors="replace")


COPY = "version: 1\nsource: in.txt\nstages: [text.strip]\nsink: o.txt\n"
COUNTS = "version: 1\nsource: in.txt\nstages: [{use: './p.py:counts', on_error: %s}]\nsink: o.txt\n%s"
FAR = COPY.replace("in.txt", "{use: range, with: {stop: 99999999999999999999}}").replace(
    "text.strip", "{use: take, with: {n: 3}}"
)


@pytest.fixture
def copied(tmp_path) -> Path:
    """A folder with chains that work, most of them, and some databases."""
    files = {
        "in.txt": "1\n2\n3\n",
        "p.py": "from stagerunner import count\ndef counts(record):\n    count(None)\n    return record\n",
        "c.yaml": COPY,
        "ends.yaml": "version: 1\nstages: []\n",
        "far.yaml": FAR,
        "counts.yaml": COUNTS % ("fail", ""),
        "dead.yaml": COUNTS % ("dead_letter", "dead_letter: dead.jsonl\n"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    database(tmp_path / "other.db", "CREATE TABLE mine (a)")
    database(tmp_path / "columns.db", "CREATE TABLE run (a)")
    database(tmp_path / "text.db", OURS, "running", "{}", "1", "no JSON")
    database(tmp_path / "list.db", OURS, "running", "{}", "1", "[]")
    database(tmp_path / "seed.db", OURS, "running", "{}", "who knows", "{}")
    return tmp_path


OURS = "CREATE TABLE run (id, state, fingerprint, hash_seed, row)"


def database(path: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(statement)
        if values:
            base.execute("INSERT INTO run VALUES (1, ?, ?, ?, ?)", values)


SITUATIONS = {
    "a full standard output, of a check": ("sr check c.yaml --json > /dev/full", 75, "can't be written: No space"),
    "a full standard output, of a help page": ("sr --help > /dev/full", 75, "No space left on device"),
    "a full standard output, of the version": ("sr --version > /dev/full", 75, "No space left on device"),
    "a full standard output, of a list": ("sr stages > /dev/full", 75, "No space left on device"),
    "a full standard output, of a chain": ("sr show c.yaml > /dev/full", 75, "No space left on device"),
    "a full standard output, of the data": ("sr run ends.yaml -q < in.txt > /dev/full", 75, "No space left on device"),
    "a closed standard output, of a check": ("sr check c.yaml --json >&-", 1, "standard output is closed"),
    "a closed standard output, of the data": ("sr run ends.yaml -q < in.txt >&-", 2, "-o FILE writes a file"),
    "a closed standard output, of the summary": ("sr run c.yaml -q --summary - >&-", 2, "give --summary a file"),
    "a summary that finds no room": ("sr run c.yaml -q --summary /dev/full", 1, "the run itself finished"),
    "mistakes that are told as data": ("sr check nowhere.yaml --json", 2, "1 mistake"),
    "a folder as a journal": ("sr run c.yaml -q --journal .", 2, "it isn't a file"),
    "a device as a journal": ("sr run c.yaml -q --journal /dev/null", 2, "it isn't a file"),
    "somebody's database as a journal": ("sr run c.yaml -q --journal other.db", 2, "isn't a journal of stagerunner"),
    "a journal of other columns": ("sr run c.yaml -q --journal columns.db", 2, "isn't a journal of stagerunner"),
    "a journal whose row is no JSON": ("sr run c.yaml -q --journal text.db", 2, "isn't a journal of stagerunner"),
    "a journal whose row is no mapping": ("sr run c.yaml -q --journal list.db", 2, "isn't a journal of stagerunner"),
    "a journal with a hash seed that is none": (
        "sr run c.yaml -q --journal seed.db",
        2,
        "isn't a journal of stagerunner",
    ),
    "a range beyond the machine's integers": ("sr run far.yaml -q", 0, ""),
    "a stage that counts under no name": ("sr run counts.yaml -q", 1, "count() takes the name of a counter"),
    "dead letters, and no summary": ("sr run dead.yaml -q", 3, "3 dead letters in"),
    "a working folder that is gone": ('F=$PWD; mkdir x; cd x; rmdir ../x; sr run "$F/c.yaml" -q', 0, ""),
    "a working folder that is gone, and a check": ('F=$PWD; mkdir x; cd x; rmdir ../x; sr check "$F/c.yaml"', 0, "ok"),
    "a list in a folder that is gone": ("mkdir x; cd x; rmdir ../x; sr stages", 0, ""),
    "paths against a folder that is gone": ("mkdir x; cd x; rmdir ../x; sr run c.yaml", 2, "there is no file c.yaml"),
    "hardly any descriptors": ("ulimit -n 8; sr run c.yaml -q", 2, "open files"),
    "hardly any memory": ("ulimit -v 18000; sr run c.yaml -q", 75, "out of memory"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_wrong_around_a_call_has_its_code_and_its_words(copied, situation):
    line, code, words = SITUATIONS[situation]
    before = [(copied / name).read_bytes() for name in ("other.db", "columns.db")]

    found, _, told = shell(copied, line)

    assert whole(found, told) == code, told
    assert words in told
    assert [(copied / name).read_bytes() for name in ("other.db", "columns.db")] == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_standard_descriptors_that_are_closed_do_no_harm(copied, closed):
    code, _, _ = shell(copied, f"sr run c.yaml -q {closed}")

    assert (code, (copied / "o.txt").read_text()) == (0, "1\n2\n3\n")


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that every user may reach, which those of tests are not."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "in.txt").write_text("1\n2\n3\n")
        (folder / "f.py").write_text("from stagerunner import source\n@source\ndef feed():\n    yield 'a'\n")
        yield folder


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="only another user than root has limits")
@pytest.mark.parametrize(("most", "source"), [(1, "in.txt"), (4, "in.txt"), (2, "feed"), (3, "feed")])
def test_a_fork_that_the_system_refuses_can_be_tried_again(everybodys, most, source):
    """Where the fork server, the process of the source or one of the workers is one too many."""
    (everybodys / "f.yaml").write_text(
        f"version: 1\nplugins: [./f.py]\nsource: {source}\nstages: [{{use: text.strip, workers: 8}}]\nsink: o.txt\n"
    )
    user, reach = str(60_000 + os.getpid() * 4 % 5000 + most), "+dac_override,+dac_read_search"
    privileges = ["--reuid", user, "--clear-groups", "--inh-caps", reach, "--ambient-caps", reach]
    limited = [sys.executable, "-c", LIMITED, str(most), *command("run", "f.yaml", "-q")]

    ended = subprocess.run(["setpriv", *privileges, *limited], cwd=everybodys, capture_output=True, timeout=60)

    assert whole(ended.returncode, ended.stderr.decode()) == 75
    assert b"the system refused" in ended.stderr


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="nothing can be blocked")
def test_a_death_is_noticed_even_if_our_parent_blocked_every_signal(odd):
    odd.plugin("""
        @stage
        def dies(record):
            if record == 5 and once("died"):
                os.kill(os.getpid(), 9)
            return record
    """)
    odd.config("dies", source={"use": "range", "with": {"stop": 10}}, sink="out.txt")

    with odd.start("run", "chain.yaml", "-q", preexec_fn=deaf) as process:
        told = process.communicate(timeout=30)[1]

    assert (process.returncode, told) == (0, b"")
    assert (odd / "out.txt").read_text().split() == [str(number) for number in range(10)]


def deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


LOUD = """
import atexit, subprocess

def loud():
    print("printed")
    os.write(1, b"written\\n")
    sys.__stdout__.write("by the old name\\n")
    sys.__stdout__.flush()
    subprocess.run(["echo", "by a child"])

loud()
atexit.register(loud)

@stage
class Says:
    def setup(self):
        loud()
    def process(self, record):
        loud()
        return record
    def close(self):
        loud()

@source
class Told:
    def __init__(self):
        loud()
    def check(self):
        loud()
    def splits(self, after):
        loud()
        yield Split([1, 2], 2)
    def read(self, split):
        loud()
        return split.data
    def identity(self):
        return 1

@source
def fed():
    loud()
    yield from (1, 2)
"""


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("source", ["told", "fed"])
def test_only_data_reaches_standard_output_whatever_prints(tmp_path, source, engine):
    project = Project(tmp_path)
    project.plugin("from stagerunner import Split\n" + LOUD)
    project.config("says", source=source, run={"engine": engine})

    ended = project.cli("run", "chain.yaml", "-q")

    assert (ended.returncode, ended.stdout) == (0, b"1\n2\n")
    assert all(word in ended.stderr for word in (b"printed", b"written", b"by the old name", b"by a child"))


def test_only_json_reaches_standard_output_whatever_prints(tmp_path):
    project = Project(tmp_path)
    project.plugin("from stagerunner import Split\n" + LOUD)
    project.config("says", source="told")

    for call in (["check", "chain.yaml"], ["show", "chain.yaml"], ["stages", "-p", "./parts.py"]):
        ended = project.cli(*call, "--json")
        assert ended.returncode == 0
        json.loads(ended.stdout)


MESS = """
os.chdir("/")
os.umask(0o777)
sys.setrecursionlimit(60)
sys.stdin = sys.stdout = sys.stderr = None
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
"""


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_a_plugin_that_changes_the_process_around_itself_changes_no_run(tmp_path, engine):
    project = Project(tmp_path)
    project.plugin(MESS)
    project.config("same", run={"engine": engine})
    project.write("in.txt", "1\n2\n")

    ended = project.cli("run", "chain.yaml", "-i", "in.txt", "-o", "out.txt", "--journal", "j", "--summary", "s.json")

    assert ended.returncode == 0, ended.stderr
    assert (project / "out.txt").read_text() == "1\n2\n"
    assert all((project / name).stat().st_mode & 0o600 == 0o600 for name in ("out.txt", "j", "s.json"))


@pytest.mark.parametrize(
    "closes", ["os.close(2)", "os.close(0); os.close(1)", "sys.stderr.close()", "sys.stdout.close()"]
)
def test_what_we_have_to_say_is_said_whatever_a_part_has_closed(tmp_path, closes):
    project = Project(tmp_path)
    project.plugin(f"""
        @sink
        class Closing:
            keeps = "nothing"
            def encode(self, records):
                return b"x"
            def write(self, data):
                {closes}
                raise ValueError("so it is")
            def open(self, position): pass
            def position(self): pass
            def commit(self, row): pass
            def finish(self): pass
            def abort(self): pass
    """)
    project.config("same", source=SOURCE, sink="closing")

    ended = project.cli("run", "chain.yaml", "-q")

    assert ended.returncode == 1
    assert b"the sink Closing failed: ValueError: so it is (in write, parts.py:" in ended.stderr


HOOKS = [
    ("stages", "5", "stagerunner_stages failed: TypeError"),
    ("stages", "'ab'", "stagerunner_stages returned a str"),
    ("stages", "[part('x', 5)]", "stagerunner_stages returned a part with 5 where text is expected"),
    ("stages", "[part(5, 'a:b')]", "stagerunner_stages returned a part with 5 where text is expected"),
    ("sinks", "[part('x', 'a:b', suffixes=5)]", "returned a part with 5 where a tuple of suffixes is expected"),
    ("views", "[hookspecs.ViewSpec(None, 'a:b')]", "returned ViewSpec with None where text is expected"),
    ("engines", "[hookspecs.EngineSpec('x', 5)]", "returned EngineSpec with 5 where text is expected"),
    ("commands", "[hookspecs.CommandSpec(5, 'a:b')]", "returned CommandSpec with 5 where text is expected"),
    ("stages", "sys.exit()", "stagerunner_stages failed: SystemExit"),
]


@pytest.mark.parametrize(("hook", "given", "words"), HOOKS)
def test_what_a_hook_gives_that_is_nonsense_is_a_mistake_of_its_plugin(odd, call, hook, given, words):
    head = "import sys\nfrom stagerunner import hookimpl, hookspecs, part\n"
    odd.write("hooks.py", f"{head}@hookimpl\ndef stagerunner_{hook}():\n    return {given}\n")

    for arguments in (["stages"], ["plugins", "--json"]):
        code, _, told = call(*arguments, "-p", "./hooks.py")
        assert whole(code, told) == 2
        assert words in told


SPECS = """
import sys
from stagerunner import hookimpl
from stagerunner.hookspecs import CommandSpec, EngineSpec, ViewSpec

@hookimpl
def stagerunner_views():
    return [ViewSpec("odd", "{0}:View")]

@hookimpl
def stagerunner_engines():
    return [EngineSpec("odd", "{0}:Engine")]

@hookimpl
def stagerunner_run_started(event):
    raise GeneratorExit

class View:
    def __init__(self, console, plan):
        sys.exit()

class Engine:
    def transport(self, *given):
        sys.exit()
"""


def test_views_engines_and_observers_are_trusted_no_more_than_other_parts(odd, call, monkeypatch):
    monkeypatch.syspath_prepend(str(odd.folder))
    module = f"odd_specs_{os.getpid()}"
    odd.write(f"{module}.py", SPECS.format(module))
    odd.config("same", source=SOURCE, sink="out.txt")

    code, _, told = call("run", "chain.yaml", "-p", module, "--progress", "odd")
    assert whole(code, told) == 0
    assert f"stagerunner_run_started of {module} failed: GeneratorExit" in told
    assert "the view failed: SystemExit" in told

    code, _, told = call("run", "chain.yaml", "-p", module, "--engine", "odd", "-q")
    assert whole(code, told) == 1
    assert "the engine odd failed: SystemExit" in told


def test_half_a_character_is_valid_json(odd, call):
    odd.plugin("@stage\ndef half(record):\n    count('\\udc80')\n    raise ValueError('\\udc80')\n")
    odd.config({"use": "half", "on_error": "skip"}, source=SOURCE, sink="out.txt")

    code, _, told = call("run", "chain.yaml", "--log-format", "json", "--summary", "s.json")

    assert whole(code, told) == 0
    for line in [*told.splitlines(), (odd / "s.json").read_text()]:
        msgspec.json.decode(line)
