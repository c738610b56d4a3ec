"""State of stages for tables survives kill -9 of the run at a named point, and --resume, as if nothing had been."""

from __future__ import annotations

import pytest
from chaos_support.case import Case
from chaos_support.oracle import calm, exact
from chaos_support.running import RESUME, Run

GROUP = {
    "use": "group",
    "with": {
        "by": ["key", "odd"],
        "fields": {
            "n": "count",
            "sum": "sum(value * 10000000000000000000)",
            "mean": "mean(value)",
            "first": "first(value)",
            "last": "last(value)",
            "all": "collect(value)",
        },
    },
}
EXPECT = {
    "use": "expect",
    "with": {
        "rules": [
            {"rule": "value < 100", "at_least": "49.7 %"},
            {"rule": "value >= 100", "at_least": "50.2 %"},
        ]
    },
}
"""99 and 100 of the 199 records: one that counted twice, or not at all, would end the run with a failure."""

CHAIN = [
    {"use": "deadly", "with": {"harmless": False, "pause": 0.001}, "workers": 2, "on_error": "dead_letter"},
    {"use": "types", "with": {"fields": {"key": "text", "value": {"type": "int", "min": 0}, "deed": "text"}}},
    EXPECT,
    {"use": "set", "with": {"fields": {"odd": "value % 2 == 1"}, "drop": ["deed"]}},
]
RUN = {"frame": 4, "checkpoint": "1ms", "window": "2KiB"}

POINTS = ["barrier:3", "commit:3", "sink written:1", "flush:1", "finishing:1"]
"""Name and how often it is reached before the process dies; `flush` is the worker's, which the run survives."""


def case(folder, stages, sink):
    records = [{"key": "abc"[n % 3], "value": n, "deed": "kill" if n == 77 else ""} for n in range(200)]
    return Case(folder / "case", [*CHAIN, *stages], records, sink, RUN).write()


def killed_and_resumed(case, point):
    """One life that dies at the point, another that resumes it. Returns whether a process died there."""
    log = case.folder / "died"
    with Run(case, STAGERUNNER_KILL_AT=point, STAGERUNNER_KILL_LOG=str(log)) as run:
        code = run.wait()
    calm(run)
    with Run(case, *RESUME) as again:
        assert again.wait() == 3, again.said
    calm(again)
    assert (code == -9) == (not point.startswith("flush"))
    return log.exists()


@pytest.mark.parametrize(
    ("point", "memory"), [*((point, "1GiB") for point in POINTS), ("barrier:3", "1kB"), ("flush:1", "1kB")]
)
def test_groups_survive_in_memory_and_on_disk(point, memory, tmp_path):
    chain = case(tmp_path, [{**GROUP, "with": GROUP["with"] | {"memory": memory}}], "jsonl")
    expected = chain.expected()
    assert expected.output.count(b"\n") == 6
    assert expected.letters[0][2]["value"] == 77

    assert killed_and_resumed(chain, point)

    exact(chain, expected)
