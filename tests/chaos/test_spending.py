"""Nothing is paid for twice: stages pay a service that is slow, busy and unreliable, while processes are killed.

One seed again, with what is left of it: SPEND_SEED=7 CHAOS_KEEP=1 pytest tests/chaos/test_spending.py
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest
from chaos_support.spending import UNDER_WAY, Kill, Spending, account_of, right, spending_case
from support.billing import Call, Service

SEED = int(os.environ.get("SPEND_SEED", "1"))

pytestmark = [pytest.mark.reliability("spending"), pytest.mark.timeout(300)]


@pytest.fixture
def spend(folder, request):
    """Run the case to its end and return what was done, with the output checked."""

    def run(count: int, kills: int, twice: int = 0, kept: bool = True) -> Spending:
        place = folder / request.node.name
        place.mkdir()
        with Service(place / "bill", SEED, twice) as service:
            spending = Spending(spending_case(place / "case", service.port, count, kept=kept), service, SEED, kills)
            assert spending.run() == 0
        got = [json.loads(line) for line in spending.case.output.read_text().splitlines()]
        assert got == right(spending.case)
        return spending

    return run


def test_whatever_is_killed_nothing_is_paid_for_twice(spend, full, proved):
    kills = 200 if full else 20
    spending = spend(24 * kills, kills)

    account, victims = spending.account(), Counter(kill.victim for kill in spending.done)
    killed = sum(map(len, account.killed.values()))
    proved(kills=victims.total(), calls=spending.bill.length, unanswered=account.unanswered, paid_again=killed)
    assert victims.total() == kills
    assert len(victims) == 3, victims
    assert account.lost == []


# The account notices what it is there for


def test_a_run_that_keeps_no_results_is_noticed(spend):
    assert spend(300, 6, kept=False).account().lost


def test_a_service_that_bills_twice_is_noticed(spend):
    assert spend(200, 2, twice=20).account().lost


def call(came: float, paid: float, answered: bool = True, number: int = 1) -> Call:
    return Call("first", number, answered, came, paid)


def test_one_call_a_record_is_no_excess():
    assert account_of([call(1, 2), call(1, 2, number=2)], []).excess == 0


def test_a_second_call_needs_a_reason():
    assert account_of([call(1, 2), call(3, 4)], []).lost == [call(3, 4)]


def test_a_call_without_an_answer_may_be_made_again():
    account = account_of([call(1, 2, answered=False), call(3, 4)], [])
    assert (account.unanswered, account.lost) == (1, [])


def test_a_call_may_be_billed_behind_the_one_that_was_made_again():
    assert account_of([call(1, 4), call(2, 3)], [Kill(1.5, 1.6)]).lost == []
    assert account_of([call(1, 4), call(2, 3)], [Kill(2.5, 2.6)]).lost == [call(2, 3)]


def test_of_two_kills_in_quick_succession_either_may_be_the_reason():
    kills = [Kill(1.5, 1.6), Kill(1.7, 1.8)]
    calls = [call(1, 2, number=number) for number in range(4)] + [call(3, 4, number=number) for number in range(4)]

    assert account_of(calls, kills).lost == []
    assert len(account_of([*calls, call(1, 2, number=4), call(3, 4, number=4)], kills).lost) == 1


def test_a_kill_is_kept_for_the_calls_that_no_later_one_explains():
    kills = [Kill(1.5, 1.6), Kill(1.7, 1.8)]
    either = [one for number in (0, 1) for one in (call(1, 2, number=number), call(3, 4, number=number))]
    only_the_first = [one for number in (2, 3) for one in (call(1, 5, number=number), call(1.65, 1.66, number=number))]

    assert account_of([*either, *only_the_first], kills).lost == []


def test_a_call_under_way_at_a_kill_may_be_made_again():
    assert account_of([call(1, 2), call(3, 4)], [Kill(1.5, 1.6)]).lost == []
    assert account_of([call(1, 2), call(3, 4)], [Kill(2.1, 2.2)]).lost == []  # its result may not have been kept yet


def test_a_call_that_was_over_long_before_a_kill_may_not_be_made_again():
    assert account_of([call(1, 2), call(9, 10)], [Kill(8, 8.1)]).lost == [call(9, 10)]


def test_one_kill_explains_one_more_call_of_a_record():
    assert account_of([call(1, 2), call(3, 4), call(5, 6)], [Kill(1.5, 1.6)]).lost == [call(5, 6)]


def test_a_kill_explains_no_more_calls_than_were_under_way():
    calls = [one for n in range(UNDER_WAY["first"] + 3) for one in (call(1, 2, number=n), call(3, 4, number=n))]
    assert len(account_of(calls, [Kill(1.5, 1.6)]).lost) == 3
