"""`source:` as a list: its parts are one source of the chain."""

from __future__ import annotations

from stagerunner.config.model import Settings
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.source_list import PartSpec, SourceList
from stagerunner.parts.base import Part
from stagerunner.plan.model import PlannedPart
from stagerunner.plan.source_list import in_order


def part(name, **options):
    found = Part("source", name, f"sources:{name.title()}", "")
    return PlannedPart(name, name, found, options, Settings(on_error="skip"))


def test_no_part_is_no_source():
    assert in_order([]) is None


def test_a_part_alone_is_the_source_itself():
    alone = part("lines", path="a")
    assert in_order([alone]) is alone


def test_several_parts_become_one_source_that_a_worker_can_import():
    parts = [part("lines", path="a"), part("range", stop=3)]
    source = in_order(parts)
    assert source.parts == tuple(parts)
    assert load(source.part.target) is SourceList
    assert source.options["parts"] == (
        PartSpec("sources:Lines", {"path": "a"}, "skip"),
        PartSpec("sources:Range", {"stop": 3}, "skip"),
    )
