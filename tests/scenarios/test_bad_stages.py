"""Whatever a stage does, the run ends well or reports what was wrong. Nothing hangs, and nothing is lost silently."""

from __future__ import annotations

import pytest

from stagerunner.errors import SetupFailed, StageFailed
from stagerunner.events import Output, RecordFailed, WorkerFailed

BAD = """
@stage
def bad(record):
    if record == 5:
        {deed}
    return record

class Stubborn(Exception):
    def __init__(self, one, two):
        super().__init__("can't be built again")

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text either")

class Closed:
    def __reduce__(self):
        raise TypeError("I stay here")
"""

DEEDS = {
    "raises": ("raise ValueError('five')", "ValueError", "five"),
    "forgets to return": ("return None", "NoneReturned", "None"),
    "gives what can't be pickled": ("return lambda: 5", "AttributeError", "can't be sent on"),
    "gives what refuses to be pickled": ("return Closed()", "TypeError", "I stay here"),
    "raises what can't be built again": ("raise Stubborn(1, 2)", "Stubborn", "can't be built again"),
    "raises what has no text": ("raise Unspeakable", "Unspeakable", ""),
    "raises StopIteration": ("raise StopIteration", "StopIteration", ""),
    "raises GeneratorExit": ("raise GeneratorExit", "GeneratorExit", ""),
    "exits": ("sys.exit(3)", "SystemExit", "3"),
    "is interrupted": ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    "recurses": ("bad(5)", "RecursionError", "recursion"),
    "rejects": ("raise Reject('not five')", "Reject", "not five"),
}


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("deed", DEEDS)
def test_a_bad_record_costs_one_record(project, deed, engine):
    code, kind, text = DEEDS[deed]
    project.plugin(BAD.format(deed=code))

    results = project.results({"use": "bad", "on_error": "skip"}, records=range(10), run={"engine": engine})

    assert list(results) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    (failed,) = project.told(RecordFailed)
    assert (failed.type, failed.where) == (kind, "record 5")
    assert text in failed.message
    assert results.summary.balanced


@pytest.mark.parametrize("deed", DEEDS)
def test_a_bad_record_ends_the_run_where_its_stage_says_fail(project, deed):
    code, kind, _ = DEEDS[deed]
    project.plugin(BAD.format(deed=code))
    got = []

    with pytest.raises(StageFailed, match=kind):
        for record in project.results("bad", records=range(10)):
            got.append(record)

    assert got == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("deed", ["raise ValueError('no')", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_a_setup_that_fails_ends_the_run(project, deed, engine):
    project.plugin(f"""
        @stage
        class Bad:
            def setup(self):
                {deed}
            def process(self, record):
                return record
    """)

    with pytest.raises(SetupFailed, match="bad could not be set up"):
        list(project.results("same", "bad", records=range(10), run={"engine": engine}))


def test_an_import_that_fails_in_the_worker_ends_the_run(project):
    project.plugin("""
        if os.getenv("IN_A_WORKER"):
            raise ImportError("there is no such library")
        @stage
        def bad(record):
            return record
    """)
    stage = {"use": "bad", "env": {"IN_A_WORKER": "yes"}}

    with pytest.raises(SetupFailed, match="there is no such library"):
        list(project.results(stage, records=range(10)))


def test_a_setup_that_takes_too_long_three_times_ends_the_run(project):
    project.plugin("""
        @stage
        class Bad:
            def setup(self):
                time.sleep(60)
            def process(self, record):
                return record
    """)

    with pytest.raises(Exception, match="time limit"):
        list(project.results({"use": "bad", "start_timeout": "20ms"}, records=range(10)))
    assert len(project.told(WorkerFailed)) == 3


def test_what_a_stage_prints_is_shown_line_by_line(project):
    project.plugin("""
        @stage
        def bad(record):
            print("at", record)
            sys.stderr.write("half")
            sys.stderr.write(" a line\\n")
            return record
    """)

    assert list(project.results({"use": "bad", "workers": 2}, records=[1, 2], run={"frame": 1})) == [1, 2]

    told = project.told(Output)
    assert {line.worker for line in told} == {0, 1}
    assert sorted(line.text for line in told) == ["at 1", "at 2", "half a line", "half a line"]


def test_what_a_stage_prints_without_a_newline_is_shown_at_its_end(project):
    project.plugin("""
        @stage
        def bad(record):
            sys.stdout.write("x" * 100_000)
            return record
    """)

    list(project.results("bad", records=[1]))

    assert "".join(line.text for line in project.told(Output)) == "x" * 100_000


@pytest.mark.parametrize("engine", ["inline", "process"])
def test_a_record_that_can_not_be_unpickled_costs_one_record(project, engine):
    project.plugin("""
        class Stubborn(Exception):
            def __init__(self, one, two):
                super().__init__("only one argument is kept")
        @stage
        def bad(record):
            return Stubborn(1, 2) if record == 5 else record
    """)
    after = {"use": "same", "on_error": "skip"}

    results = project.results("bad", after, records=range(10), run={"engine": engine})

    assert list(results) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_standard_input_is_empty_in_a_stage(project):
    project.plugin("""
        @stage
        def bad(record):
            return sys.stdin.read()
    """)

    assert list(project.results("bad", records=[1])) == [""]


@pytest.mark.parametrize(
    ("engine", "deed"),
    [("process", "raise ValueError('late')"), ("process", "os._exit(4)"), ("inline", "raise ValueError('late')")],
)
def test_a_close_that_fails_is_reported_after_everything_was_delivered(project, deed, engine):
    project.plugin(f"""
        @stage
        class Bad:
            def process(self, record):
                return record
            def close(self):
                {deed}
    """)
    source, sink = {"use": "range", "with": {"stop": 100}}, {"use": "jsonl", "with": {"path": "out.jsonl"}}

    summary = project.execute("bad", source=source, sink=sink, run={"engine": engine})

    assert summary.exit_code == 1
    assert "closing failed in bad" in summary.messages[0]
    assert (project / "out.jsonl").read_text() == "".join(f"{n}\n" for n in range(100))


def test_a_close_that_hangs_is_waited_for_as_long_as_the_grace(project):
    project.plugin("""
        @stage
        class Bad:
            def process(self, record):
                return record
            def close(self):
                time.sleep(60)
    """)

    assert list(project.results("bad", records=range(10), run={"grace": "100ms"})) == list(range(10))


LARGE = """
@stage
def large(record):
    return "x" * (300_000 if record in (5, 11) else 60_000)

@stage
def several(record):
    for _ in range(5 if record == 5 else 1):
        yield "x" * 60_000
"""


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize(("stage", "bad"), [("large", ["record 5", "record 11"]), ("several", ["record 5"])])
def test_a_result_that_is_too_large_costs_only_its_own_record(project, stage, bad, engine):
    project.plugin(LARGE)
    run = {"engine": engine, "max_growth": "256KiB", "frame": 20}

    results = project.results({"use": stage, "on_error": "skip"}, "same", records=range(40), run=run)

    assert [len(result) for result in results] == [60_000] * (40 - len(bad))
    assert sorted({failed.where for failed in project.told(RecordFailed)}, key=len) == bad
    assert {failed.type for failed in project.told(RecordFailed)} == {"TooLarge"}
    assert results.summary.balanced
    assert project.told(WorkerFailed) == []


def test_what_the_sink_can_not_send_is_the_sinks_failure(project):
    project.plugin(LARGE)
    sink = {"use": "lines", "with": {"path": "out.txt"}, "on_error": "skip"}
    run = {"max_growth": "256KiB", "frame": 20}

    summary = project.execute("large", source={"use": "range", "with": {"stop": 40}}, sink=sink, run=run)

    assert (summary.exit_code, summary.records["out"], summary.records["skipped"]) == (0, 38, 2)
    assert (project / "out.txt").stat().st_size == 38 * 60_001
    assert {(failed.stage, failed.type) for failed in project.told(RecordFailed)} == {("sink", "TooLarge")}


@pytest.mark.parametrize("engine", ["inline", "process"])
def test_an_option_can_be_of_a_type_that_the_plugin_defines(project, engine):
    project.plugin("""
        import enum

        class Color(enum.Enum):
            RED = "red"

        @stage
        def paint(record, *, color: Color):
            return f"{color.name} {record} {os.environ.get('SHADE')}"

        @source
        def colors(*, color: Color):
            yield color.value
    """)
    stage = {"use": "paint", "with": {"color": "red"}, "env": {"SHADE": "dark"}}

    given = project.results(stage if engine == "process" else stage | {"env": {}}, records=[1], run={"engine": engine})
    streamed = project.results("same", source={"use": "colors", "with": {"color": "red"}}, run={"engine": engine})

    assert list(given) == ["RED 1 dark" if engine == "process" else "RED 1 None"]
    assert list(streamed) == ["red"]


def test_a_run_that_is_to_stop_at_once_gives_its_workers_time_to_close(project):
    sink = {"use": "lines", "with": {"path": "out.txt"}}

    summary = project.execute("same", source={"use": "range", "with": {"stop": 9}}, sink=sink, run={"grace": "0s"})

    assert (summary.exit_code, summary.messages) == (0, ())


TWO_FAILURES = """
    @stage
    def odd(record):
        if record["n"] == 3:
            raise ValueError("three")
        return (lambda: 1) if record["n"] == 1 else record
"""


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("third", ["{", '{"n": 3}'], ids=["source", "stage"])
def test_of_two_failures_in_a_frame_the_one_of_the_earlier_record_ends_the_run(project, engine, third):
    project.plugin(TWO_FAILURES)
    project.write("in.jsonl", '{"n": 1}\n{"n": 2}\n' + third + "\n")

    with pytest.raises(StageFailed, match=r"sink failed: TypeError(.*\n)*.*line 1, byte 0") as failed:
        project.execute("odd", source="in.jsonl", sink="out.jsonl", run={"engine": engine})

    assert failed.value.summary.balanced
    assert failed.value.summary.records["out"] == 0


FULL = """
def full(record):
    "Fill the disk once, at one record."
    if record == 7 and once("full"):
        raise OSError(28, "No space left on device", "/scratch/x")
    return record

@stage
def plain(record): return full(record)

@stage.batch
def lists(records): return [full(record) for record in records]

@stage
async def later(record): return full(record)

@stage
class AtTheEnd:
    def __init__(self): self.held = []
    def process(self, record) -> None:
        self.held.append(record)
    def flush(self): yield from map(full, self.held)
    def snapshot(self): return self.held
    def restore(self, kept): self.held = kept
"""


@pytest.mark.parametrize("name", ["plain", "lists", "later", "AtTheEnd"])
def test_a_full_disk_is_no_records_fault_and_ends_a_run_that_can_be_resumed(project, name):
    """Whatever `on_error` says: else a stage that keeps something would go on without it."""
    project.plugin(FULL)
    stage = {"use": f"./parts.py:{name}", "on_error": "skip", "retry": 3}
    project.config(stage, source={"use": "range", "with": {"stop": 20}}, sink="out.txt")

    stopped = project.cli("run", "chain.yaml", "-q")
    resumed = project.cli("run", "chain.yaml", "-q", "--resume")

    assert (stopped.returncode, resumed.returncode) == (75, 0), stopped.stderr + resumed.stderr
    assert b"failed: No space left on device; --resume goes on" in stopped.stderr
    assert (project / "out.txt").read_text() == "".join(f"{number}\n" for number in range(20))
