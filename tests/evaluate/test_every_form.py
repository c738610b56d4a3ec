"""All forms of transform: nothing visible depends on where a batch is cut. And `make_evaluator`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagerunner.errors import Reject
from stagerunner.evaluate.async_evaluator import AsyncEvaluator, make_evaluator
from stagerunner.evaluate.evaluator import Evaluator
from stagerunner.evaluate.outcome import slices
from stagerunner.evaluate.stage_api import count, enough
from stagerunner.parts.stage import stage as offered
from stagerunner.records import SOURCE, Batch, Spread, divided, total

# A record's first letter says what it becomes: kept, dropped, doubled, an error, a reject, enough.
RECORDS = st.lists(st.sampled_from("kkkkd2!re").flatmap(lambda kind: st.integers(0, 9).map(lambda n: f"{kind}{n}")))
REPEATS = st.lists(st.integers(0, 3), min_size=30, max_size=30)
CUTS = st.lists(st.integers(0, 30), max_size=5)
POLICIES = st.sampled_from(["fail", "skip", "dead_letter"])


def judge(record):
    count(record[0])
    if record[0] == "e":
        enough()
    if record[0] == "!":
        raise ValueError(record)
    if record[0] == "r":
        raise Reject(record)


def plain(record) -> str | None:
    judge(record)
    return None if record[0] == "d" else record.upper()


def many(record):
    for number in range({"d": 0, "2": 2}.get(record[0], 1)):
        yield f"{record}-{number}"
    judge(record)


def without_enough(records):
    """A list is the record that had enough, so where it ends is to be seen."""
    return [record.replace("e", "k") for record in records]


@offered.batch(many=True)
def lists(records):
    return [list(many(record)) for record in without_enough(records)]


@offered.batch
def filtered_lists(records) -> list[str | None]:
    return [plain(record) for record in without_enough(records)]


async def awaited(record) -> str | None:
    return plain(record)


async def awaited_many(record) -> Iterator[str]:
    return many(record)


@offered.batch(many=True)
async def awaited_lists(records):
    return lists(records)


class Stateful:
    def process(self, record) -> str | None:
        return plain(record)

    def flush(self):
        pass


FORMS = [plain, many, lists, filtered_lists, awaited, awaited_many, awaited_lists, Stateful]
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
MANY_EXAMPLES = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def made_of(records, repeats):
    """A batch in which source record i has repeats[i] records, and the identity where that is one each."""
    origins = [origin for origin, number in enumerate(repeats) for _ in range(number)][: len(records)]
    records = records[: len(origins)]
    last = origins[-1] + 1 if origins else 0
    return Batch(records, 0, last, None if origins == list(range(last)) else origins)


def cut_at(batch, places):
    """The same source records in several batches."""
    edges = sorted({0, batch.last, *(place for place in places if place < batch.last)})
    for first, last in pairwise(edges):
        chosen = [index for index in range(len(batch.records)) if first <= batch.origin(index) < last]
        origins = [batch.origin(index) for index in chosen]
        call_each = origins == list(range(first, last))
        yield Batch([batch.records[index] for index in chosen], first, last, None if call_each else origins)


def through(stage, batches):
    """What comes out of the stage up to the failure that ends the run."""
    done = []
    for batch in batches:
        for piece in stage.pieces(batch):
            done.append(piece)
            if ended(piece):
                return done
    return done


def ended(piece):
    return piece.stop or any(failure.policy == "fail" for failure in piece.failures)


def visible(done):
    """What is visible of the outgoing batches, wherever they were cut; records that were not processed are left out."""
    results = [(batch.origin(index), record) for batch in done for index, record in enumerate(batch.records)]
    failures = [failure for batch in done for failure in batch.failures]
    (ledger,) = total(entry for batch in done for entry in batch.counts).values()
    seen = (
        ledger.taken - ledger.filtered - ledger.not_processed,
        ledger.out,
        ledger.created,
        ledger.skipped,
        ledger.dead,
        ledger.extra,
    )
    return results, failures, done[-1].last, done[-1].stop, seen


def assert_sound(done):
    """The counts of every piece balance, and each piece begins where the one before ended."""
    assert all(entry.balanced for batch in done for entry in batch.counts)
    assert all(before.last == after.first for before, after in pairwise(done))
    for batch in done:
        origins = [batch.origin(index) for index in range(len(batch.records))]
        assert origins == sorted(origins)
        assert all(batch.first <= origin < batch.last for origin in origins)
        assert (batch.origins is None) == (origins == list(range(batch.first, batch.last)))


@EACH_FORM
def test_cuts_are_never_visible(stage_of, form, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 0)
    stages = {policy: stage_of(form, on_error=policy, batch=4) for policy in ("fail", "skip", "dead_letter")}

    @MANY_EXAMPLES
    @given(records=RECORDS, repeats=REPEATS, cuts=CUTS, policy=POLICIES, most=st.integers(1, 5), slow=st.booleans())
    def holds(records, repeats, cuts, policy, most, slow):
        stage, batch = stages[policy], made_of(records, repeats)
        whole = [stage.apply(batch)]
        stage.piece_records, stage.watched = most, slow
        parts = through(stage, cut_at(batch, cuts)) or [stage.apply(batch)]
        assert_sound(whole)
        assert_sound(parts)
        assert visible(parts) == visible(whole)

    holds()


@pytest.mark.parametrize("forms", [(many, plain), (many, many), (plain, lists), (many, awaited)])
def test_the_ledger_of_a_chain_balances_wherever_it_ends(stage_of, forms):
    policies = ("fail", "skip", "dead_letter")
    stages = {
        (place, policy): stage_of(form, index=place, on_error=policy, batch=3)
        for place, form in enumerate(forms)
        for policy in policies
    }

    @MANY_EXAMPLES
    @given(records=RECORDS, repeats=REPEATS, policies=st.tuples(POLICIES, POLICIES), most=st.integers(1, 5))
    def holds(records, repeats, policies, most):
        first, second = (stages[place, policy] for place, policy in enumerate(policies))
        first.piece_records = second.piece_records = most
        batch = made_of(records, repeats)
        done = chained(first, second, batch)
        ledger = total(entry for piece in divided_by_piece(done, batch) for entry in piece)
        assert all(entry.balanced for entry in ledger.values())
        assert ledger[0].out == ledger[1].taken
        assert ledger[1].out == sum(len(batch.records) for batch in done)
        for place in (0, 1):
            failed = [failure for batch in done for failure in batch.failures if failure.stage == place]
            kept = [failure for failure in failed if failure.policy != "fail"]
            assert ledger[place].dead + ledger[place].skipped == len(kept)

    holds()


def chained(first, second, batch):
    """One batch through two stages, up to where it ends."""
    done = []
    for middle in first.pieces(batch):
        done += second.pieces(middle)
        if any(map(ended, done)):
            break
    return done


def divided_by_piece(done, batch):
    """The counts of each piece of what was made of this batch, in which a source record may have several records."""
    origins = [batch.origin(index) for index in range(len(batch.records))]
    given = (SOURCE, Spread([(range(batch.last), [origins.count(origin) for origin in range(batch.last)])]))
    spreads = [(entry.stage, entry.spread) for batch in done for entry in batch.counts if entry.spread is not None]
    for batch in done:
        yield divided(SOURCE, 1, batch.first, batch.last, batch.failures, [given, *spreads])


def test_a_coroutine_function_gets_the_async_evaluator(work_of):
    assert type(make_evaluator(work_of(awaited))) is AsyncEvaluator
    assert type(make_evaluator(work_of(plain))) is Evaluator
