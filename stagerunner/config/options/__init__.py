"""Type hints → option fields → checked values with positions."""

from __future__ import annotations

from stagerunner.config.options.fields import Option, options_of
from stagerunner.config.options.reading import read_options

__all__ = ["Option", "options_of", "read_options"]
