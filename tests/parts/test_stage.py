from __future__ import annotations

import pytest

from stagerunner.parts.base import part_of
from stagerunner.parts.stage import stage


def plain(record: int) -> int:
    return record


def test_the_decorator_gives_a_name_and_leaves_the_function():
    @stage("geo.locate")
    def locate(record):
        """Find the place."""
        return record + 1

    assert locate(1) == 2
    assert (part_of(locate).kind, part_of(locate).name) == ("stage", "geo.locate")
    assert part_of(locate).summary == "Find the place"


def test_the_bare_decorator_takes_the_name_in_lower_case():
    @stage
    class Latest:
        def process(self, record):
            return record

    @stage(name="other", state=True)
    def some(record):
        return record

    assert part_of(Latest).name == "latest"
    assert (part_of(some).name, part_of(some).state) == ("other", True)


def test_many_is_for_batch_transforms():
    assert part_of(stage.batch("pages", many=True)(lambda records: records)).many
    with pytest.raises(TypeError, match=r"for @stage\.batch"):
        stage("pages", many=True)
