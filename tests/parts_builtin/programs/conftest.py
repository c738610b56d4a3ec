from __future__ import annotations

from support.runs import clean, project

__all__ = ["clean", "project"]
