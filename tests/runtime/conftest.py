from __future__ import annotations

from support.runs import clean, page, project, prove

__all__ = ["clean", "page", "project", "prove"]
