"""What a stage may spend: checked before each call, added as a call ends, whatever it ends with."""

from __future__ import annotations

import asyncio
import struct

import pytest

from stagerunner import count, stage
from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import Spent, failure_of
from stagerunner.evaluate.limits.budget import Budget, Words, own_words
from stagerunner.evaluate.work import COUNTERS, BudgetSpec
from stagerunner.records import SPENT

LIMIT = BudgetSpec((("usd", 1.0),), (0.0,))


def paid(budget, number=0.1):
    def call(record):
        count("usd", number)
        if record == "bad":
            raise ValueError
        return record

    return budget.around(call)


def calls_until_spent(call):
    made = 0
    with pytest.raises(Spent):
        while True:
            call("x")
            made += 1
    return made


@pytest.mark.parametrize(("each", "calls"), [(0.1, 10), (0.01, 100), (0.3, 4), (1, 1), (5, 1), (1e-3, 1000)])
def test_no_call_begins_once_the_limit_is_reached(each, calls):
    assert calls_until_spent(paid(Budget(LIMIT, own_words(LIMIT)), each)) == calls


def test_what_was_spent_before_the_run_was_resumed_counts():
    spec = LIMIT._replace(before=(0.75,))
    assert calls_until_spent(paid(Budget(spec, own_words(spec)))) == 3


def test_what_a_call_counted_is_spent_even_if_it_raises():
    call = paid(Budget(LIMIT, own_words(LIMIT)), 0.5)
    for _ in range(2):
        with pytest.raises(ValueError):
            call("bad")
    with pytest.raises(Spent, match="usd 1 of 1"):
        call("good")


def test_all_workers_count_together():
    page = [0.0] * (3 * COUNTERS)
    rows = range(0, len(page), COUNTERS)
    calls = [paid(Budget(LIMIT, Words(page, rows, own)), 0.2) for own in range(3)]
    for call in (*calls, calls[0], calls[2]):
        call("x")
    for call in calls:
        with pytest.raises(Spent):
            call("x")


def test_each_counter_has_its_own_limit():
    spec = BudgetSpec((("usd", 1.0), ("tokens", 100)), (0.0, 0.0))
    budget = Budget(spec, own_words(spec))
    budget.spend({"usd": 0.5, "tokens": 99, "other": 10**9})
    budget.check()
    budget.spend({"tokens": 1})
    with pytest.raises(Spent, match="tokens 100 of 100"):
        budget.check()


def test_the_listener_of_before_hears_all_that_a_call_counts():
    listener = stage_api.CallListener()
    stage_api.heard(paid(Budget(LIMIT, own_words(LIMIT))), "x", listener)
    assert listener.extra == {"usd": 0.1}


def test_what_was_spent_is_written_after_each_call(tmp_path):
    path = tmp_path / "spent"
    path.write_bytes(bytes(200))
    spec = LIMIT._replace(path=str(path), start=8)
    budget = Budget(spec, Words([0.0] * 2 * COUNTERS, [0, COUNTERS], own=1))
    call = paid(budget, 0.25)
    for number in (1, 2):
        call("x")
        assert struct.unpack_from("<d", path.read_bytes(), 8 + 8 * COUNTERS) == (0.25 * number,)
    budget.close()


def test_if_it_can_not_be_written_no_further_call_begins(tmp_path):
    spec = LIMIT._replace(path=str(tmp_path / "nothing"))
    call = paid(Budget(spec, own_words(spec)), 0.25)
    call("x")
    with pytest.raises(Spent, match="can't be written"):
        call("x")


def test_an_async_attempt_spends_what_it_alone_has_counted():
    budget = Budget(LIMIT, own_words(LIMIT))

    async def attempt():
        count("usd", 0.2)

    async def call():
        stage_api.current.set(stage_api.CallListener())
        await budget.spending(attempt())
        await budget.spending(attempt())

    asyncio.run(call())
    with pytest.raises(Spent, match=r"usd 0\.4 of 0\.4"):
        Budget(LIMIT._replace(limits=(("usd", 0.4),)), budget._words).check()


def test_the_failure_ends_the_run_whatever_the_stage_does_with_failures():
    failure = failure_of(Spent("usd 1 of 1")).for_record(0, 0, 0, "skip")
    assert (failure.type, failure.policy) == (SPENT, "fail")


@pytest.mark.parametrize("on_error", ["fail", "skip", "dead_letter"])
@pytest.mark.parametrize("form", ["plain", "drops", "many", "batch", "awaited", "awaited_batch"])
def test_every_form_of_stage_is_cut_before_the_first_record_without_money(stage_of, batch_of, form, on_error):
    def plain(record):
        count("usd", 0.5)
        return record

    def drops(record) -> str | None:
        count("usd", 0.5)
        return record

    def many(record):
        count("usd", 0.5)
        yield record

    def batch(records):
        count("usd", 0.5 * len(records))
        return records

    async def awaited(record):
        count("usd", 0.5)
        return record

    async def awaited_batch(records):
        count("usd", 0.5 * len(records))
        return records

    found = {f.__name__: f for f in (plain, drops, many, batch, awaited, awaited_batch)}[form]
    settings = {"batch": 1} if "batch" in form else {}
    evaluator = stage_of(
        stage.batch(found) if "batch" in form else found, budget=LIMIT, on_error=on_error, concurrency=1, **settings
    )
    result = evaluator.apply(batch_of("a", "b", "c", "d"))
    assert result.records == ["a", "b"]
    assert [(failure.type, failure.origin) for failure in result.failures] == [(SPENT, 2)]
    assert (result.first, result.last) == (0, 2)
