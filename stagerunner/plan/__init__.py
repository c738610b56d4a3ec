"""Config + Catalog → Plan. All that can be wrong is wrong here, before a process exists."""

from __future__ import annotations

from stagerunner.plan.fusing import fusible
from stagerunner.plan.making import make_plan
from stagerunner.plan.model import Plan, PlannedPart, PlannedStage
from stagerunner.plan.promise import promise, why_no_resume

__all__ = ["Plan", "PlannedPart", "PlannedStage", "fusible", "make_plan", "promise", "why_no_resume"]
