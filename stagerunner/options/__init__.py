"""Type hints → option fields → checked values with positions."""

from __future__ import annotations

from stagerunner.options.fields import Option, options_of
from stagerunner.options.reading import RUNNER_SETTINGS, read_options

__all__ = ["RUNNER_SETTINGS", "Option", "options_of", "read_options"]
