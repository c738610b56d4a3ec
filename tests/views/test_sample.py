from __future__ import annotations

from stagerunner.runtime.forecast import Forecast, PredictedGroup
from stagerunner.runtime.sample import Sample, StageCost
from stagerunner.views.sample import changes, sample_data, sample_lines

WRITTEN = Forecast((PredictedGroup(("strip",), 1, 2e-6), PredictedGroup(("parse",), 1, 20e-6)), 50_000.0, "parse")
BETTER = Forecast((PredictedGroup(("strip", "parse"), 2, 21.5e-6),), 92_000.0, "strip + parse")

STRIP = StageCost("strip", 100, 50, 0, "", work=2e-6, codec=1e-6, each=2e-6)
PARSE = StageCost("parse", 50, 49, 1, "ValueError: no date\nat all", work=2e-6, codec=2e-6, each=4e-6)


def told(*stages: StageCost, better: Forecast = BETTER, records: int = 100) -> list[str]:
    lines = sample_lines(Sample(records, 1e-5, 40.0, stages, {"source": 2}), WRITTEN, better, 2)
    return ["".join(piece if isinstance(piece, str) else piece[1] for piece in line) for line in lines]


def test_each_stage_has_its_line():
    lines = told(STRIP, PARSE)

    assert lines[2].split() == "strip 100 50 2.00 µs 2.00 µs 1.00 µs".split()
    assert lines[3].split() == "parse 50 49 1 4.00 µs 2.00 µs 2.00 µs".split()


def test_the_first_failure_is_shown_in_one_line():
    assert "parse: 1 failure, the first: ValueError: no date" in told(STRIP, PARSE)
    assert "source: 2 failures" in told(STRIP, PARSE)


def test_the_prediction_names_its_limit():
    line = "as it is written: ≈ 50.0 k/s; the limit is parse; strip ×1 10 % busy, parse ×1 100 % busy"
    assert line in told(STRIP, PARSE)


def test_what_would_be_better_comes_with_the_flags_for_it():
    assert told(STRIP, PARSE)[-4:] == [
        "on 2 cores better: ≈ 92.0 k/s; the limit is strip + parse; strip + parse ×2 99 % busy",
        "  --set run.fuse=auto   strip + parse can share workers",
        "  --set stages.strip.workers=2",
        "  --set stages.parse.workers=2",
    ]


def test_an_async_stage_may_need_more_calls_at_once():
    def forecast(calls: int) -> Forecast:
        return Forecast((PredictedGroup(("ask",), 1, 1 / calls, concurrency=calls),), calls, "ask")

    assert list(changes(forecast(16), forecast(64))) == ["--set stages.ask.concurrency=64"]


def test_nothing_to_be_changed_is_said_too():
    assert (
        told(STRIP, PARSE, better=WRITTEN)[-1]
        == "on 2 cores no other number of workers, and no sharing of them, should be faster"
    )
    assert not list(changes(WRITTEN, WRITTEN))


def test_a_stage_that_got_nothing_is_named():
    rest = StageCost("rest", 0, 0, 0, "", 0.0, 0.0, 0.0)

    assert "no record reached rest, so the cost there is unknown" in told(STRIP, rest)


def test_without_records_there_is_nothing_to_say():
    assert told(STRIP, records=0) == ["nothing to measure: the source gave no records"]


def test_programs_get_all_of_it():
    data = sample_data(Sample(100, 1e-5, 40.0, (STRIP,), {}), WRITTEN, BETTER, 2)

    assert data["sample"]["stages"][0]["work"] == 2e-6
    assert data["better"]["rate"] == 92_000.0
    assert data["changes"][0] == "--set run.fuse=auto"
