from __future__ import annotations

import gzip

import pytest

from stagerunner.config.model import Run, Settings
from stagerunner.engines.base import Clock
from stagerunner.evaluate.work import Work
from stagerunner.parts.base import Part
from stagerunner.parts.stage import Form
from stagerunner.plan import Plan, PlannedStage
from stagerunner.records import DATA, SKIP, TO_THE_END
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.input import GivenRecords, PendingSplit
from stagerunner.window.balancing import SLOW
from stagerunner.window.core import CHARGE, Window
from stagerunner.window.demand import PARTS
from stagerunner.wire.frame import Metadata


class Workers:
    """What workers say of the frames that they have begun and open."""

    works_ahead = True

    def __init__(self):
        self.open, self.held, self.following = 0, -1, 10**9
        self.measured = []

    def begun(self):
        return [-1, 9]

    def opened(self):
        return self.open

    def holds(self, sequence):
        return sequence == self.held

    def gathered(self, sequence):
        return sequence < self.following

    def clocks(self):
        return self.measured


@pytest.fixture
def sent() -> list:
    return []


@pytest.fixture
def dispatch(sent):
    def make(
        records, limit: int | None = None, frame: int | None = 2, full: bool = False, workers: int = 1
    ) -> Dispatch:
        plan = Plan("test", (), run=Run(frame=frame), limit=limit)
        window = Window(2**20, least_frames=3, least_records=1, workers=workers)
        return Dispatch(plan, GivenRecords(records), window, Workers(), sent.append, lambda: full)

    return make


def test_splits_go_out_while_the_window_has_room(dispatch, sent):
    dispatch(range(100)).feed()

    assert [frame.sequence for frame in sent] == [0, 1, 2]


@pytest.mark.parametrize(
    ("lasting", "workers", "expected"),
    [
        pytest.param(2 * SLOW, 2, [DATA, DATA, DATA, DATA, SKIP, DATA], id="slow: to who has less"),
        pytest.param(2 * SLOW, 1, [DATA] * 5, id="one worker: there is nobody else"),
        pytest.param(SLOW / 2, 2, [DATA] * 5, id="quick: to each in turn"),
    ],
)
def test_slow_frames_go_to_who_has_less_to_do(dispatch, sent, lasting, workers, expected):
    slow = dispatch(range(100), workers=workers)
    slow._window.least_frames, slow._window.limit = 5, CHARGE
    slow.sizing.learn(2, 10, slowest=int(lasting), widest=1)

    slow.feed()

    assert [frame.kind for frame in sent] == expected


def test_at_the_end_of_the_source_it_is_done(dispatch, sent):
    few = dispatch(range(3))
    few.feed()

    assert few.done
    assert [frame.last for frame in sent] == [2, 1]


def test_nothing_goes_out_while_results_wait(dispatch, sent):
    dispatch(range(100), full=True).feed()

    assert sent == []


def test_a_limit_is_kept_to_the_record(dispatch, sent):
    limited = dispatch(range(100), limit=3)
    limited.feed()
    kept = sent[0].split
    limited.took(2)
    limited.finished(kept)
    limited._window.receive(0, 0, 0, 2, more=False)
    limited.feed()

    assert [frame.last for frame in sent] == [2, 1]


@pytest.mark.parametrize(("ns", "exact"), [(10**6, True), (1000, False)])
def test_near_a_limit_slow_records_are_counted(sent, ns, exact):
    """Cut by bytes, a split could hold more records than are left, and would have to wait until it can go alone."""
    asked = []

    class Lines(GivenRecords):
        def next(self, want):
            asked.append((want.records, want.exact))
            return PendingSplit(b"some lines", 10, most=want.records if want.exact else 40 * want.records)

    dispatch = Dispatch(Plan("test", (), limit=5), Lines([]), Window(2**20), Workers(), sent.append, lambda: False)
    dispatch.sizing.learn(4, 160, slowest=4 * ns, widest=1)
    dispatch.feed()

    assert asked[0][1] is exact
    assert [frame.last for frame in sent] == ([TO_THE_END] * 3 if exact else [5])


def test_a_record_is_as_large_as_in_the_source_not_as_what_describes_its_split(sent):
    """Else the next splits, which are cut by bytes, would hold many times the records that are wanted."""

    class Lines(GivenRecords):
        def next(self, want):
            return PendingSplit(b"a path, and where the lines stand in it", 10, most=1)

    dispatch = Dispatch(Plan("test", ()), Lines([]), Window(2**20), Workers(), sent.append, lambda: False)
    dispatch.feed()
    dispatch.learn(1, 1, Metadata(slowest=10**9), sent[0].split)

    assert (dispatch.sizing.records, dispatch.sizing.size) == (1, 10)


# Stages that work ahead


def ahead(work, records, workers, sent, limit=None, before=(), width=1):
    """A dispatch for a chain with this stage alone, or with others before it."""
    stages = [PlannedStage(one.name, one, Settings(), Part("stage", one.name, "")) for one in (*before, work)]
    window = Window(2**20, least_frames=3, least_records=1, workers=width)
    plan = Plan("test", tuple(stages), limit=limit)
    return Dispatch(plan, GivenRecords(records), window, workers, sent.append, lambda: False)


def feed(dispatch):
    """Until it has to wait; it pauses now and then."""
    while dispatch.feed():
        pass


MODEL = Work(0, "model", "m:f", Form(batch=True), batch=10, wait=1.0)
ASKED = Work(0, "asked", "m:f", Form(awaited=True), concurrency=4)


def test_the_first_frames_of_one_record_fill_some_lists(sent):
    workers = Workers()
    dispatch = ahead(MODEL, range(100), workers, sent)
    assert not dispatch.blocked
    feed(dispatch)
    assert (len(sent), dispatch.blocked, dispatch.gathers) == (30, True, True)
    workers.following = 29
    assert not dispatch.blocked


def test_frames_grow_before_one_is_back_as_lists_take_them_in(sent):
    workers = Workers()
    dispatch = ahead(MODEL._replace(batch=64), range(1000), workers, sent)
    for workers.open in (0, 1, 4, 20):
        assert not dispatch.blocked
        assert dispatch.sizing.records <= max(1, workers.open)
    feed(dispatch)
    assert sum(sent.split.records for sent in sent) == 3 * 64
    assert max(sent.split.records for sent in sent) == 64 // PARTS


def test_what_a_filter_has_done_decides_how_much_the_first_lists_need(sent):
    workers, keep = Workers(), Work(0, "keep", "m:f", Form())
    dispatch = ahead(MODEL._replace(index=1), range(1000), workers, sent, before=[keep])
    feed(dispatch)
    assert (len(sent), dispatch.blocked) == (30, True)
    workers.measured = [Clock(0, 30, 0, 0, 0, taken=29, out=2), Clock(1, 0, 0, 0, 0)]
    assert not dispatch.blocked
    feed(dispatch)
    assert 300 <= sum(sent.split.records for sent in sent) < 310


def test_frames_stay_small_before_a_list_if_what_stands_before_it_is_slow(sent):
    workers, slow = Workers(), Work(0, "slow", "m:f", Form())
    workers.measured = [Clock(0, 40_000_000, 0, 0, 0, taken=2, out=2)]
    dispatch = ahead(MODEL._replace(index=1), range(1000), workers, sent, before=[slow])
    feed(dispatch)
    assert {sent.split.records for sent in sent} == {1}


def test_an_async_stage_needs_no_first_frame_to_go_on(sent):
    workers = Workers()
    dispatch = ahead(ASKED, range(100), workers, sent)
    feed(dispatch)
    assert (len(sent), dispatch.glance() is None, dispatch.gathers) == (3, False, False)
    workers.open = 3
    assert dispatch.glance() == 0
    feed(dispatch)
    assert len(sent) == 6


def test_workers_get_as_many_long_calls_however_large_frames_would_be(sent):
    """Of 20 calls in four places, one more would take another round."""
    workers = Workers()
    workers.open = 100
    dispatch = ahead(ASKED, range(40), workers, sent, width=2)
    dispatch.sizing.learn(3, 30, slowest=30_000_000, widest=0)
    dispatch.sizing.learn(3, 30, slowest=30_000_000, widest=0)
    assert dispatch.sizing.records == 3
    feed(dispatch)
    held = [one.split.records for one in sent]
    assert sum(held[0::2]) == sum(held[1::2]) == 20


class Lines:
    """A file of lines, of which none has come yet."""

    def next(self, want):
        return None


@pytest.mark.parametrize(("nanoseconds", "exact"), [(10**5, False), (10**6, True)])
@pytest.mark.parametrize("source", [Lines(), GivenRecords(range(9))], ids=["file", "records"])
def test_a_file_of_long_quick_records_is_not_cut_by_number(sent, source, nanoseconds, exact):
    dispatch = ahead(MODEL, (), Workers(), sent)
    dispatch._split_source = source
    dispatch.sizing.learn(10, 1_000_000, slowest=10 * nanoseconds, widest=0)
    dispatch._next_split()
    assert dispatch._want.exact == (exact or isinstance(source, GivenRecords))


def test_with_enough_on_the_way_lists_wait_unless_the_head_is_in_one(sent):
    workers = Workers()
    dispatch = ahead(MODEL, range(1000), workers, sent)
    dispatch.sizing.proven = True
    feed(dispatch)
    assert (len(sent), dispatch.blocked) == (30, False)
    workers.held = 0
    assert dispatch.blocked
    workers.open = 1
    assert not dispatch.blocked


def test_lists_do_not_wait_for_a_split_beyond_the_limit(sent):
    dispatch = ahead(MODEL, range(100), Workers(), sent, limit=5)
    dispatch.sizing.proven = True
    dispatch.sizing._records = 4.0
    feed(dispatch)
    assert ([frame.split.records for frame in sent], dispatch.blocked) == ([4, 1], True)


LENGTHS = """
@stage.batch
def lengths(records):
    return [len(records)] * len(records)

@source
def some():
    yield from range(1000)
"""


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("source", ["in.txt", "in.csv", "in.txt.gz", {"use": "lines", "with": {"path": "-"}}, "some"])
@pytest.mark.parametrize("frame", [1, 7, 500])
def test_a_number_of_records_for_frames_is_kept(project, engine, source, frame):
    project.plugin(LENGTHS)
    text = "".join(f"{n}\n" for n in range(1000))
    project.write("in.txt", text)
    project.write("in.csv", "n\n" + text)
    (project / "in.txt.gz").write_bytes(gzip.compress(text.encode()))
    project.config("lengths", source=source, sink="out.txt", run={"engine": engine, "frame": frame})

    ran = project.cli("run", "chain.yaml", "-q", input=text.encode())

    assert (ran.returncode, ran.stderr) == (0, b"")
    found = [int(line) for line in (project / "out.txt").read_text().split()]
    assert len(found) == 1000
    assert max(found) <= frame
    whole = 1000 - 1000 % frame
    if source != "some":  # a stream's records wait for others no longer than `linger`
        assert set(found[frame:whole]) == {frame}  # of the first frame the first record goes by itself
