from __future__ import annotations

import json

from stagerunner.events import StageTotals, Summary

RECORDS = {"in": 12, "created": 1, "out": 8, "filtered": 1, "skipped": 1, "dead": 1, "not_processed": 2}


def summary(**more) -> Summary:
    stages = (
        StageTotals("parse", 2, taken=10, out=10, counters={"hits": 3}),
        StageTotals("hide", taken=10, out=8, not_processed=2),
    )
    return Summary("chain", True, 0, 1.23456789, RECORDS, stages, **more)


def test_a_summary_balances_end_to_end():
    assert summary().balanced
    assert not Summary("chain", True, 0, 1, RECORDS | {"out": 9}, ()).balanced


def test_a_summary_as_json():
    told = json.loads(json.dumps(summary(restarts=2).as_json()))

    assert told["format"] == 1
    assert (told["ok"], told["exit"], told["seconds"], told["restarts"]) == (True, 0, 1.234568, 2)
    assert told["records"] == RECORDS
    assert [stage["name"] for stage in told["stages"]] == ["parse", "hide"]
    assert told["stages"][1]["not_processed"] == 2
    assert told["stages"][0]["counters"] == {"hits": 3}
    assert "counters" not in told["stages"][1]


def test_a_summary_as_json_says_where_the_time_went():
    busy = StageTotals("parse", work=1.5, codec=0.25, wait=0.125, block=0.1234567)
    told = Summary("chain", True, 0, 3, RECORDS, (busy,), starting=0.5).as_json()

    assert told["starting"] == 0.5
    assert told["stages"][0]["seconds"] == {"work": 1.5, "codec": 0.25, "wait": 0.125, "block": 0.123457}
