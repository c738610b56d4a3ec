"""`memo`: what was paid for once is not paid for again, whatever dies, and what may have changed is computed anew."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from support.leaks import needs_proc
from support.project import Project
from support.waiting import wait_until

from stagerunner.events import Notice, Output
from stagerunner.memo.store import Store, prepare
from stagerunner.plan import memo as planned

PARTS = """
HOME = Path(__file__).parent

def called(record):
    file = os.open(HOME / "calls", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, f"{record}\\n".encode())
    os.close(file)

@stage
def plain(record):
    called(record)
    count("usd", 2)
    return f"<{record}>"

@stage
def some(record: str) -> str | None:
    called(record)
    return f"<{record}>" if int(record) % 3 else None

@stage
def many(record: str):
    called(record)
    count("usd", 2)
    for number in range(int(record) % 4):
        yield f"{record}.{number}"

@stage
async def awaited(record) -> str | None:
    called(record)
    count("usd", 2)
    return f"<{record}>" if int(record) % 3 else None

@stage.batch
def lists(records: list[str]) -> list[str | None]:
    for record in records:
        called(record)
    count("usd", 2 * len(records))
    return [f"<{record}>" if int(record) % 3 else None for record in records]

@stage.batch(many=True)
def list_of_lists(records: list[str]) -> list[list[str]]:
    for record in records:
        called(record)
    return [[f"<{record}>"] * (int(record) % 3) for record in records]

@stage.batch
async def awaited_lists(records: list[str]) -> list[str]:
    for record in records:
        called(record)
    return [f"<{record}>" for record in records]

@stage
async def slow(record):
    called(record)
    import asyncio
    await asyncio.sleep(0.02)
    if record == "bad" and once("failed"):
        raise ValueError("not now")
    return f"<{record}>"

@stage.batch
def poisoned(records):
    for record in records:
        called(record)
        if record == "bad":
            raise ValueError("never")
    return records

@stage.batch
def deadly_lists(records):
    for record in records:
        called(record)
        if record in ("150", "350") and once(record):
            os.kill(parent() if (HOME / "parent").exists() else os.getpid(), signal.SIGKILL)
    return [f"<{record}>" for record in records]

@stage
async def deadly_async(record):
    called(record)
    import asyncio
    await asyncio.sleep(0.001)
    if record in ("150", "350") and once(record):
        os.kill(parent() if (HOME / "parent").exists() else os.getpid(), signal.SIGKILL)
    return f"<{record}>"

@stage
def fussy(record):
    called(record)
    if record == "7" and once("failed"):
        raise ValueError("not now")
    return record

@stage
def deadly(record):
    called(record)
    if record in ("150", "350") and once(record):
        os.kill(parent() if (HOME / "parent").exists() else os.getpid(), signal.SIGKILL)
    return f"<{record}>"

@stage
class Cramped:
    "Nothing that its worker writes may grow beyond 40 kB."
    def setup(self):
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    def process(self, record):
        called(record)
        return record * 200

@stage
def odd(record):
    return {"n": int(record), "odd": {1, iter([])} and {"a", record}} if record != "5" else complex

@stage
def anything(record):
    called(record)
    return str(record)

@stage
def stopping(record):
    called(record)
    if record == "5":
        enough()
    return record
"""


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project(tmp_path)
    made.plugin(PARTS)
    return made


def feed(project, number):
    project.write("in.txt", "".join(f"{n}\n" for n in range(number)))


def calls(project):
    """Record → how often it was called."""
    path = project / "calls"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def memo(project, use="plain", name="kept.memo", **settings):
    return project.config({"use": use, "memo": name, **settings}, source="in.txt", sink="out.txt")


def run(project, *stages, **keys):
    """Run it and return the summary of its only stage, and what is written."""
    summary = project.execute(*stages, **{"source": "in.txt", "sink": "out.txt", **keys})
    return summary.stages[0], (project / "out.txt").read_bytes()


FORMS = {
    **{use: {"use": use} for use in ("plain", "some", "many", "awaited", "lists", "list_of_lists", "awaited_lists")},
    "gathered": {"use": "lists", "batch": {"size": 8, "wait": "100ms"}},
    "short lists": {"use": "lists", "batch": {"size": 3, "wait": "100ms"}},
    "gathered lists of lists": {"use": "list_of_lists", "batch": {"size": 8, "wait": "100ms"}},
    "gathered async": {"use": "awaited_lists", "batch": {"size": 8, "wait": "100ms"}, "concurrency": 2},
}


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("form", FORMS)
def test_a_second_run_calls_nothing_and_gives_the_same(project, form, engine):
    feed(project, 50)
    stage = {**FORMS[form], "memo": True, **({"workers": 2} if engine == "process" else {})}
    first, written = run(project, stage, run={"engine": engine})
    again, same = run(project, stage, run={"engine": engine})

    assert set(calls(project).values()) == {1}
    assert (first.hits, again.hits) == (0, 50)
    assert same == written
    assert (again.out, again.filtered, again.created, again.counters) == (
        first.out,
        first.filtered,
        first.created,
        first.counters,
    )


@pytest.mark.parametrize("form", FORMS)
def test_equal_records_are_called_once(project, form):
    project.write("in.txt", "1\n2\n" * 20)
    stage, written = run(project, {**FORMS[form], "memo": True})
    assert calls(project) == {"1": 1, "2": 1}
    assert stage.hits == 38
    _, expected = run(project, FORMS[form])
    assert written == expected


def test_equal_records_in_flight_wait_for_the_first_of_them(project):
    """After a failure the next of them is called."""
    project.write("in.txt", "a\nbad\n" * 20)
    stage = {"use": "slow", "memo": True, "concurrency": 40, "on_error": "skip"}
    summary, written = run(project, stage, run={"frame": 10})
    assert calls(project) == {"a": 1, "bad": 2}
    assert (summary.hits, summary.skipped) == (37, 1)
    assert written == b"<a>\n" + b"<a>\n<bad>\n" * 19


@pytest.mark.parametrize("form", FORMS)
def test_some_are_known_and_some_are_not(project, form):
    numbers = [7, 3, 9, 3, 4, 50, 8, 61, 7, 2]
    project.write("in.txt", "".join(f"{n}\n" for n in numbers[::2]))
    run(project, {**FORMS[form], "memo": True})
    project.write("in.txt", "".join(f"{n}\n" for n in numbers * 2))
    _, written = run(project, {**FORMS[form], "memo": True})
    assert set(calls(project).values()) == {1}
    assert written == run(project, FORMS[form])[1]


@pytest.mark.parametrize("form", FORMS)
def test_records_that_pass_the_stage_are_not_looked_up(project, form):
    feed(project, 20)
    stage = {**FORMS[form], "memo": "kept.memo", "when": "int(record) % 2"}
    for _ in range(2):
        summary = project.execute(stage, source="in.txt", sink="out.txt").stages[0]
        assert summary.counters["passed"] == 10
    assert summary.hits == 10
    assert set(calls(project)) == {str(number) for number in range(1, 20, 2)}
    assert set(calls(project).values()) == {1}


def test_a_list_that_fails_keeps_what_each_record_gave_alone(project):
    project.write("in.txt", "a\nbad\nb\n")
    stage = {"use": "poisoned", "batch": {"size": 3, "wait": "5s"}, "memo": True, "on_error": "skip"}
    assert run(project, stage)[1] == b"a\nb\n"
    before = calls(project)
    summary, written = run(project, stage)
    assert written == b"a\nb\n"
    assert calls(project) - before == {"bad": 1}
    assert summary.hits == 2


@needs_proc
@pytest.mark.parametrize("victim", ["worker", "parent"])
@pytest.mark.parametrize(
    ("stage", "in_flight"),
    [
        ({"use": "deadly", "workers": 2}, 2),
        ({"use": "deadly_async", "concurrency": 8}, 8),
        ({"use": "deadly_lists", "batch": {"size": 8, "wait": "20ms"}}, 8),
        ({"use": "deadly_lists"}, 512),
    ],
)
def test_after_a_kill_only_what_was_in_flight_is_called_again(project, victim, stage, in_flight):
    feed(project, 500)
    if victim == "parent":
        (project / "parent").touch()
    memo(project, **stage)
    deaths = 0
    while (ran := project.cli("run", "chain.yaml", *(["--resume"] if deaths else []), "-q")).returncode:
        assert (ran.returncode, ran.stderr) == (-signal.SIGKILL, b"")
        deaths += 1
    assert deaths in ((1, 2) if victim == "parent" else (0,))  # one list may hold both that kill
    assert (project / "out.txt").read_text() == "".join(f"<{n}>\n" for n in range(500))
    again = {record: number - 1 for record, number in calls(project).items() if number > 1}
    assert sum(again.values()) <= 2 * in_flight
    assert len(calls(project)) == 500


def test_failures_are_not_kept(project):
    feed(project, 10)
    stage = {"use": "fussy", "memo": True, "on_error": "skip"}
    run(project, stage)
    summary, _ = run(project, stage)
    assert calls(project) == {str(n): 2 if n == 7 else 1 for n in range(10)}
    assert summary.hits == 9


def test_a_call_that_said_enough_is_not_kept(project):
    feed(project, 10)
    for _ in range(2):
        _, written = run(project, {"use": "stopping", "memo": True})
        assert written == b"0\n1\n2\n3\n4\n5\n"
    assert calls(project)["5"] == 2
    assert calls(project)["4"] == 1


def test_results_that_are_too_old_are_computed_again(project):
    feed(project, 5)
    run(project, {"use": "plain", "memo": {"ttl": "1h"}})
    with closing(sqlite3.connect(project / ".out.txt.memo")) as db, db:
        db.execute("UPDATE results SET made = made - 4000 WHERE rowid <= 2")
    summary, _ = run(project, {"use": "plain", "memo": {"ttl": "1h"}})
    assert summary.hits == 3


def test_a_record_without_a_key_is_computed_each_time_and_it_is_said_once(project):
    feed(project, 10)
    for _ in range(2):
        project.events.clear()
        _, written = run(project, "odd", {"use": "anything", "memo": True})
    assert project.told(Output)[0].text == "memo: records that hold a builtins.type have no key, so each is computed"
    assert len(project.told(Output)) == 1
    assert len(written.splitlines()) == 10


# Bad files


def spoil(project, how):
    path = project / "kept.memo"
    match how:
        case "corrupt":
            path.write_bytes(b"not a database, but long enough" * 1000)
        case "folder":
            path.mkdir()
        case "foreign":
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("CREATE TABLE people (name)")


@pytest.mark.parametrize("how", ["corrupt", "folder", "foreign"])
def test_a_file_that_can_not_be_used_is_done_without_and_it_is_said_once(project, how):
    feed(project, 20)
    spoil(project, how)
    _, written = run(project, {"use": "plain", "memo": "kept.memo", "workers": 2})
    assert written == b"".join(b"<%d>\n" % n for n in range(20))
    assert [event.text.partition(": ")[0] for event in project.told(Notice)] == [
        f"continuing without the memo {project / 'kept.memo'}"
    ]


@pytest.mark.parametrize("damage", ["middle", "values"])
def test_a_file_that_is_damaged_in_the_middle_gives_nothing_wrong(project, damage):
    feed(project, 300)
    _, whole = run(project, {"use": "plain", "memo": "kept.memo"})
    path = project / "kept.memo"
    if damage == "middle":
        data = bytearray(path.read_bytes())
        data[4096:-4096] = random.Random(1).randbytes(len(data) - 8192)
        path.write_bytes(data)
    else:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE results SET value = randomblob(40)")
    summary, written = run(project, {"use": "plain", "memo": "kept.memo"})
    assert written == whole
    assert summary.hits == 0
    assert all(len(event.text) < 300 and "Traceback" not in event.text for event in project.told(Output))


def test_when_the_disk_is_full_it_keeps_what_it_has_and_goes_on(project):
    feed(project, 300)
    stage = {"use": "cramped", "memo": "kept.memo"}
    _, written = run(project, stage)
    assert len(written.splitlines()) == 300
    said = [event.text for event in project.told(Output)]
    assert len(said) == 1
    assert said[0].startswith(f"memo: nothing more is kept in {project / 'kept.memo'}: ")

    again, same = run(project, stage)
    assert same == written
    assert 0 < again.hits < 300


def test_two_runs_at_once_share_it(project):
    feed(project, 400)
    for name in ("one", "two"):
        stage = {"use": "plain", "memo": "kept.memo", "workers": 2}
        path = project.config(stage, source="in.txt", sink=f"{name}.txt")
        path.rename(project / f"{name}.yaml")
    runs = [project.start("run", f"{name}.yaml", "-q") for name in ("one", "two")]
    for running in runs:
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out, err) == (0, b"", b"")
    assert (project / "one.txt").read_bytes() == (project / "two.txt").read_bytes()
    # One record may be in flight in each of the four workers at once.
    assert max(calls(project).values()) <= 4
    summary, _ = run(project, {"use": "plain", "memo": "kept.memo", "workers": 2})
    assert summary.hits == 400


def test_code_that_changes_during_the_run_is_not_taken_for_that_in_the_key(project):
    """The worker dies and starts again with other code; the memo must not hold its results under the old key."""
    feed(project, 20)
    old = PARTS
    changing = """
@stage
def changing(record):
    called(record)
    if record == "10" and once("changed"):
        file = HOME / "parts.py"
        file.write_text(file.read_text().replace("@old", "@new"))
        os.kill(os.getpid(), signal.SIGKILL)
    return record + "@old"
"""
    project.plugin(old + changing)
    _, written = run(project, {"use": "changing", "memo": "kept.memo"}, run={"frame": 1})
    assert any("was changed since the run was planned" in event.text for event in project.told(Output))
    project.plugin(old + changing)
    _, written = run(project, {"use": "changing", "memo": "kept.memo"})
    assert written == b"".join(b"%d@old\n" % n for n in range(20))


# Edits

HELPER = "FACTOR = 1\ndef help(text):\n    return f'{text}*{FACTOR}'\n"
STAGE = """
import helper_of_memo_tests
SUFFIX = "a"

@stage
def edited(record: str, *, times: int = 1, words: Path = None) -> str:
    called(record)
    said = words.read_text() if words else ""
    return helper_of_memo_tests.help(record * times) + SUFFIX + os.environ.get("MEMO_TEST", "") + said
"""


class Edits:
    """A stage with all that may change its results, and random changes of it."""

    def __init__(self, project, seed):
        self.project = project
        self.random = random.Random(seed)
        self.at = {"factor": 1, "suffix": "a", "times": 1, "env": "x", "words": "one", "comment": 0}
        self.write()

    def write(self):
        at = self.at
        # Of another size for each number: Python takes a file of the same size and second for the one it has compiled.
        factor = f"= {at['factor']}  " + "#" * at["factor"]
        self.project.write("helper_of_memo_tests.py", HELPER.replace("= 1", factor))
        self.project.plugin(PARTS + STAGE.replace('"a"', repr(at["suffix"])) + "#" * at["comment"])
        self.project.write("words.txt", at["words"])

    def change(self):
        what = self.random.choice(sorted(self.at))
        old = self.at[what]
        others = [1, 2, 3] if isinstance(old, int) else ["one", "two", "six"]
        self.at[what] = self.random.choice([other for other in others if other != old])
        self.write()
        return what

    def due(self):
        """What has to be written of the records of `feed(project, 4)`."""
        at = self.at
        end = f"*{at['factor']}{at['suffix']}{at['env']}{at['words']}\n"
        return "".join(str(number) * at["times"] + end for number in range(4)).encode()

    def stage(self, **settings):
        options = {"times": self.at["times"], "words": "words.txt"}
        return {"use": "edited", "with": options, "env": {"MEMO_TEST": self.at["env"]}, **settings}


@pytest.mark.parametrize("seed", range(3))
def test_after_any_edit_the_results_are_those_of_a_fresh_run_and_nothing_is_computed_twice(project, monkeypatch, seed):
    monkeypatch.syspath_prepend(str(project.folder))
    edits, seen = Edits(project, seed), set[str]()
    feed(project, 4)
    for _ in range(6):
        summary, written = run(project, edits.stage(memo="kept.memo"))
        assert written == edits.due()
        state = repr(sorted(edits.at.items()))
        assert summary.hits == (4 if state in seen else 0)
        assert run(project, edits.stage(memo="kept.memo"))[0].hits == 4
        seen.add(state)
        edits.change()
    assert run(project, edits.stage())[1] == edits.due()


def test_code_that_the_source_does_not_show_keeps_nothing(project, monkeypatch):
    monkeypatch.syspath_prepend(str(project.folder))
    project.write("hidden_of_memo_tests.py", "FACTOR = 1\n")
    project.plugin(
        PARTS
        + """
@stage
def dynamic(record):
    called(record)
    return record * __import__("hidden_" + "of_memo_tests").FACTOR
"""
    )
    feed(project, 5)
    for factor in (1, 2):
        project.write("hidden_of_memo_tests.py", f"FACTOR = {factor}\n" * factor)  # of another size, too
        _, written = run(project, {"use": "dynamic", "memo": "kept.memo"})
        assert written.split() == [str(n).encode() * factor for n in range(5)]
    assert "hidden_of_memo_tests in a way that its source doesn't show" in project.told(Output)[0].text


def code_does_not_count(monkeypatch):
    """The version of a stage has no code in it, and no worker looks whether it has changed."""
    version = planned._version

    def versioned(plan, stage, code):
        return version(plan, stage, code._replace(files={}, packages=frozenset()))

    monkeypatch.setattr(planned, "_version", versioned)


@pytest.mark.parametrize("bug", [False, True])
def test_a_memo_that_is_read_for_changed_code_is_noticed(project, monkeypatch, bug):
    monkeypatch.syspath_prepend(str(project.folder))
    if bug:
        code_does_not_count(monkeypatch)
    edits = Edits(project, 0)
    feed(project, 4)
    wrong = []
    for edit in ({}, {"factor": 2}, {"suffix": "b"}, {"env": "y"}):
        edits.at |= edit
        edits.write()
        if run(project, edits.stage(memo="kept.memo"))[1] != edits.due():
            wrong.append(edit)
    assert wrong == ([{"factor": 2}, {"suffix": "b"}] if bug else [])


# Without a file to be beside


def test_without_an_output_file_it_is_beside_the_config(project):
    feed(project, 5)
    project.config({"use": "plain", "memo": True}, source="in.txt")
    for _ in range(2):
        assert project.cli("run", "chain.yaml").stdout.split() == [b"<%d>" % n for n in range(5)]
    assert (project / ".chain.memo").exists()
    assert set(calls(project).values()) == {1}


def test_nothing_else_is_left(project):
    feed(project, 5)
    run(project, {"use": "plain", "memo": True})
    hidden = {path.name for path in Path(project.folder).glob(".*")}
    assert hidden == {".out.txt.memo", ".out.txt.stagerunner"}


def test_what_a_running_chain_has_kept_can_be_seen(project):
    waits = "\n@stage\ndef waits(record):\n    if record == '5':\n        wait_for('go')\n    return record\n"
    project.plugin(PARTS + waits)
    feed(project, 10)
    memo(project, "waits")
    prepare(str(project / "kept.memo"))
    running = project.start("run", "chain.yaml", "-q")
    store = Store(str(project / "kept.memo"))
    wait_until(lambda: [entries.results for entries in store.entries()] == [5])
    store.close()
    (project / "go").touch()
    assert running.communicate(timeout=60) == (b"", b"")


def test_nothing_of_sqlite_is_left_by_a_run_that_fails(project):
    feed(project, 20)
    memo(project, "fussy")
    assert project.cli("run", "chain.yaml", "--progress", "none").returncode == 1
    assert [path.name for path in Path(project.folder).glob("kept.memo*")] == ["kept.memo"]


def test_a_memo_that_can_not_be_used_is_said_even_without_progress(project):
    feed(project, 5)
    spoil(project, "corrupt")
    memo(project)
    for flags, said in ((["--progress", "none"], 1), (["-q"], 0)):
        ended = project.cli("run", "chain.yaml", *flags)
        assert (ended.returncode, ended.stderr.count(b"warning: continuing without the memo")) == (0, said)
