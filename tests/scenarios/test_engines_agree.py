"""Any engine, any number of workers, however frames are cut: the same records, letters, ledger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagerunner.testing.engines import FREE, LISTS, PARTS

STATELESS = ["same", *FREE]
BOUND = ["sum", "running", {"use": "take", "with": {"n": 70}}]
POLICIES = ["skip", "dead_letter"]


@st.composite
def stages(draw: Any) -> dict[str, Any]:
    """A stage with its settings."""
    use = draw(st.sampled_from([*STATELESS * 2, *BOUND]))
    if isinstance(use, dict):
        return use
    stage = {"use": use, "on_error": draw(st.sampled_from(POLICIES))}
    if use in [*LISTS, "running"] and (size := draw(st.sampled_from([None, 1, 3, 40, 1000]))):
        stage["batch"] = size
    return stage if use in BOUND else stage | {"workers": draw(st.integers(1, 3))}


def outcome(project, stages, engine: str, frame: int | str, *, tells: bool = True, **keys: Any) -> Any:
    """Everything that can be seen of a run. tells: it writes down what is dropped."""
    letters, dropped = project / "letters.jsonl", project / "dropped.jsonl"
    dropped.write_text("")
    keys |= {"dropped": str(dropped)} if tells else {}
    run = {"engine": engine, "frame": frame}
    results = project.results(*stages, run=run, dead_letter=str(letters), **keys)
    records = list(results)
    ledger = [
        (s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in results.summary.stages
    ]
    assert results.summary.balanced
    stopped = any(stage["use"] == "take" for stage in stages)
    return records, None if stopped else (letters.read_bytes(), dropped.read_bytes(), ledger, results.summary.records)


AGREE = settings(
    max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@AGREE
@given(
    chain=st.lists(stages(), min_size=1, max_size=4),
    frames=st.tuples(st.integers(1, 60), st.one_of(st.just("auto"), st.integers(1, 60))),
    length=st.integers(0, 150),
    tells=st.booleans(),
)
def test_any_chain_gives_the_same_in_every_engine(project, chain, frames, length, tells):
    project.plugin(PARTS)

    inline = outcome(project, chain, "inline", frames[0], tells=tells, records=range(length))
    processes = outcome(project, chain, "process", frames[1], tells=tells, records=range(length))
    threads = outcome(project, chain, "threads", frames[1], tells=tells, records=range(length))

    assert inline == processes == threads


@pytest.mark.parametrize("use", [*STATELESS, "sum", "alternate"])
def test_every_form_gives_the_same_in_every_engine(project, use):
    project.plugin(PARTS)
    bound = use in ("sum", "alternate")
    seen = [
        outcome(project, [{"use": use, "on_error": "dead_letter"}], "inline", frame, records=range(200))
        for frame in (1, 7, 200)
    ]
    seen += [
        outcome(project, [{"use": use, "on_error": "dead_letter", "workers": n}], "process", "auto", records=range(200))
        for n in ([1] if bound else [1, 2, 3])
    ]

    seen.append(
        outcome(
            project,
            [{"use": use, "on_error": "dead_letter", "workers": 1 if bound else 3}],
            "threads",
            "auto",
            records=range(200),
        )
    )

    assert all(one == seen[0] for one in seen)


@pytest.mark.parametrize("frame", [1, 7, "auto"])
def test_where_a_stage_says_fail_everything_before_it_is_delivered(project, frame):
    project.plugin(PARTS)
    outcomes = []
    for engine in ("inline", "process", "threads"):
        got = []
        with pytest.raises(Exception, match="15 will not do"):
            for record in project.results(
                "repeat", {"use": "fussy", "workers": 1}, records=range(5, 200), run={"engine": engine, "frame": frame}
            ):
                got.append(record)
        outcomes.append(got)

    assert outcomes[0] == outcomes[1] == outcomes[2] != []
