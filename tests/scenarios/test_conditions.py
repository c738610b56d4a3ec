"""`when` on stages of a chain: a switch that keeps the order."""

from __future__ import annotations

import pytest

from stagerunner.errors import ConfigError


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("workers", [1, 2])
def test_two_conditions_are_a_switch_that_keeps_the_order(project, engine, workers):
    stages = [
        {"use": "text.upper", "name": "short", "when": "len(record) < 3", "workers": workers},
        {"use": "text.template", "with": {"template": "<{record}>"}, "name": "long", "when": "len(record) >= 3"},
    ]
    project.plugin("""
        @stage("text.template")
        def template(record, *, template: str):
            return template.format(record=record)
    """)
    words = [f"w{number}" for number in range(200)]

    results = project.results(*stages, records=words, engine=engine)

    assert list(results) == [word.upper() if len(word) < 3 else f"<{word}>" for word in words]
    counters = {stage.name: stage.counters for stage in results.summary.stages}
    assert counters == {"short": {"passed": 190}, "long": {"passed": 10}}


def test_an_expression_with_a_mistake_is_a_mistake_in_the_config(project):
    with pytest.raises(ConfigError, match="when is not a condition"):
        project.load({"use": "same", "when": "len(record) <"})
