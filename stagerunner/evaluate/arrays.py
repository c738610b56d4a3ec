"""Arrays for results, where results travel."""

from __future__ import annotations

from math import prod
from typing import Any

from stagerunner.evaluate import ambient

LARGE = 65536
"""Bytes from which on an array travels beside the records."""


def empty(shape: int | tuple[int, ...], dtype: Any = float) -> Any:
    """A new numpy array, its content not set, to be filled and given as a result.

    A large one lies where results travel from process to process, so that it isn't copied on its way out: worth
    1.5 × on arrays that a stage fills. Anywhere else, and where there is no room, it is `numpy.empty`. Raises
    ImportError where numpy isn't installed.
    """
    import numpy as np  # whoever asks for an array has it; nobody else has to

    kind = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    size = prod(sizes) * kind.itemsize
    room = ambient.memory(size) if ambient.memory is not None and size >= LARGE and not kind.hasobject else None
    return np.empty(sizes, kind) if room is None else np.frombuffer(room, kind).reshape(sizes)
