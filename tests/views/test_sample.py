from __future__ import annotations

import pytest

from stagerunner.engines.advice import Advice
from stagerunner.engines.prediction import Forecast, Team
from stagerunner.engines.sampling import Cost, Sample
from stagerunner.views.sample import advice_data, advice_lines, changes, duration

WRITTEN = Forecast((Team(("strip",), 1, 0.1), Team(("parse",), 1, 1.0)), 50_000.0, "parse", 1.3)
BETTER = Forecast((Team(("strip", "parse"), 2, 0.99),), 92_000.0, "strip + parse", 2.0)

STRIP = Cost("strip", 100, 50, each=2e-6, work=2e-6, cpu=1e-6, size=80, encode=1e-6, decode=2e-6)
PARSE = Cost("parse", 50, 49, 1, "ValueError: no date\nat all", each=4e-6, work=2e-6, cpu=2e-6)


def advice(*stages: Cost, better: Forecast = BETTER, records: int = 100) -> Advice:
    sample = Sample(records, 90, 40.0, 0.0, False, Cost("source", 100, 100), stages, Cost("sink", 49, 49))
    return Advice(2, sample, WRITTEN, better, fuse=better is BETTER)


def said(advice: Advice) -> list[str]:
    return ["".join(piece if isinstance(piece, str) else piece[1] for piece in line) for line in advice_lines(advice)]


def test_each_place_has_its_line_with_figures_for_a_record_of_its_own():
    lines = said(advice(STRIP, PARSE))

    assert lines[3].split() == "strip 100 50 2.00 µs 50 % 80 B 1.00 µs 2.00 µs".split()
    assert lines[4].split() == "parse 50 49 1 4.00 µs 100 %".split()


def test_the_first_failure_is_told_in_one_line():
    assert "parse: 1 failure, the first: ValueError: no date" in said(advice(STRIP, PARSE))


def test_the_prediction_names_its_limit():
    told = "as it is written: ≈ 50.0 k records/s; the limit is parse; strip ×1 10 % busy, parse ×1 100 % busy"
    assert told in said(advice(STRIP, PARSE))


def test_what_would_be_better_comes_with_the_flags_for_it():
    assert said(advice(STRIP, PARSE))[-4:] == [
        "on 2 cores better: ≈ 92.0 k records/s; the limit is strip + parse; strip + parse ×2 99 % busy",
        "  --set run.fuse=auto   strip + parse can share workers",
        "  --set stages.strip.workers=2",
        "  --set stages.parse.workers=2",
    ]


def test_nothing_to_be_changed_is_said_too():
    same = advice(STRIP, PARSE, better=WRITTEN)

    assert said(same)[-1] == "no other workers and no sharing of them promise more on 2 cores"
    assert not list(changes(same))


def test_a_stage_that_got_nothing_is_named():
    assert "no record came to rest, so nothing is known of the cost there" in said(advice(STRIP, Cost("rest", 0, 0)))


def test_without_records_there_is_nothing_to_say():
    assert said(advice(STRIP, records=0)) == ["nothing to measure: the source gave no records"]


def test_programs_get_all_of_it():
    data = advice_data(advice(STRIP, PARSE))

    assert data["sample"]["stages"][0]["work"] == 2e-6
    assert data["better"]["rate"] == 92_000.0
    assert data["changes"][0] == "--set run.fuse=auto"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "–"), (5e-7, "500 ns"), (1.2e-6, "1.20 µs"), (0.0034, "3.40 ms"), (2.5, "2.50 s"), (9.996e-4, "1.00 ms")],
)
def test_durations_have_three_digits(seconds, text):
    assert duration(seconds) == text
