from __future__ import annotations

import pytest
from support.proofs import FIGURES, ROWS, Table


def report(row: str, *, outcome="passed", when="call", **figures: int) -> pytest.TestReport:
    """One of a test's reports; what it states is in the last one."""
    stated = [("row", row), (FIGURES, figures)] if figures else [("row", row)]
    return pytest.TestReport("t", ("t", 0, "t"), {}, outcome, None, when, duration=1.5, user_properties=stated)


def table(*reports: pytest.TestReport, full: bool = False) -> Table:
    made = Table(full)
    for one in reports:
        made.pytest_runtest_logreport(one)
    return made


def proved(row: str, **figures: int) -> list[pytest.TestReport]:
    return [report(row), report(row, when="teardown", **figures)]


def whole(**cycles: int) -> Table:
    """Every row has what it is asked for, but for the cycles."""
    asked = {row: dict(asked.always) for row, asked in ROWS.items()} | {"start/run/stop cycles": cycles}
    return table(*(one for row, figures in asked.items() for one in proved(row, **figures)))


class Session:
    exitstatus = pytest.ExitCode.OK


def test_the_figures_of_a_rows_tests_add_up():
    made = table(*proved("random chaos", seeds=60, kills=7), *proved("random chaos", seeds=40, kills=5))

    assert [" ".join(line.split()) for line in made.text()] == [
        "random chaos ok 6.0 s 100 seeds (asked: 100), 12 kills",
        "in all 6.0 s (in the short form at most 540 on two cores)",
    ]


def test_rows_stand_in_the_order_of_the_table():
    assert list(table(*proved("soak", kills=4), *proved("simulator", seeds=1)).outcomes()) == ["simulator", "soak"]


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        (proved("start/run/stop cycles", cycles=50), "ok"),
        (proved("start/run/stop cycles", cycles=49), "short"),
        ([report("start/run/stop cycles", outcome="skipped", when="setup")], "skipped"),
        ([*proved("start/run/stop cycles", cycles=50), report("start/run/stop cycles", outcome="failed")], "FAILED"),
        ([report("start/run/stop cycles", outcome="failed", when="setup")], "FAILED"),
    ],
)
def test_how_a_row_went(reports, outcome):
    assert table(*reports).outcomes() == {"start/run/stop cycles": outcome}


def test_the_long_form_asks_for_more():
    assert table(*proved("start/run/stop cycles", cycles=50), full=True).outcomes() == {
        "start/run/stop cycles": "short"
    }


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (whole(cycles=50), pytest.ExitCode.OK),
        (whole(cycles=49), pytest.ExitCode.TESTS_FAILED),
        (table(*proved("start/run/stop cycles", cycles=1)), pytest.ExitCode.OK),
    ],
    ids=["whole", "short", "a part"],
)
def test_a_whole_table_that_stays_short_fails(made, status):
    session = Session()

    made.pytest_sessionfinish(session)

    assert session.exitstatus == status


def test_what_is_no_proof_is_no_row():
    assert table(pytest.TestReport("t", ("t", 0, "t"), {}, "passed", None, "call")).lines == {}
