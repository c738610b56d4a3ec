"""What the stages of this folder need beside stagerunner itself."""

from __future__ import annotations

from importlib.util import find_spec


def need(*modules: str) -> None:
    """Raises ImportError that says how to install these modules, if one is missing. It imports none: the parent, which
    makes the plan, needs none of them."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ImportError(f"there is no {' and no '.join(missing)}; run: pip install 'stagerunner[http]'")
