"""Type hints → option fields → checked values with positions."""

from __future__ import annotations

from stagerunner.config.options.fields import Option, options_of
from stagerunner.config.options.reading import RUNNER_SETTINGS, read_options

__all__ = ["RUNNER_SETTINGS", "Option", "options_of", "read_options"]
