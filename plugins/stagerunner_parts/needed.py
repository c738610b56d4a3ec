"""What the parts of an extra need beside stagerunner itself."""

from __future__ import annotations

from importlib.util import find_spec


def need(extra: str, *modules: str) -> None:
    """Raises ImportError that says how to install these modules, if one is missing. It imports none: listing parts, and
    most of a plan, need none of them."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ImportError(f"there is no {' and no '.join(missing)}; run: pip install 'stagerunner[{extra}]'")
