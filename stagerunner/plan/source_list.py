"""`source:` as a list: its parts, planned one by one, as the one source of the chain."""

from __future__ import annotations

from collections.abc import Sequence

from stagerunner.config.model import Settings
from stagerunner.parts.base import Part, target_of
from stagerunner.plan.model import PlannedPart


def in_order(parts: Sequence[PlannedPart]) -> PlannedPart | None:
    """The source that reads these parts in order; a part alone as it is."""
    if len(parts) < 2:
        return next(iter(parts), None)
    # Late: few sources are lists.
    from stagerunner.evaluate.source_list import PartSpec, SourceList

    specs = tuple(PartSpec(part.part.target, part.options, part.settings.on_error) for part in parts)
    found = Part("source", "list", target_of(SourceList), "Several sources in order", found=SourceList)
    return PlannedPart("list", "source", found, {"parts": specs}, Settings(), parts=tuple(parts))
