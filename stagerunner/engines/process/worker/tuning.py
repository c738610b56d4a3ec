"""What makes a process that was just forked fit for a worker's life, once its stages are set up."""

from __future__ import annotations

import gc
import sys

YOUNG = 10_000
"""New objects after which garbage is looked for: more than a frame of small records holds."""

RETAINED = 2**22
"""Bytes; see `settle_memory`."""


def forward_logging() -> None:
    """If anything here logs, let it come out as lines, which the parent labels. Logging itself is not imported."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def tune_memory() -> None:
    """Make the memory of a worker fit for frames: much of it taken and let go of, again and again.

    The collector comes by once in YOUNG objects, and never to what setup has made: a frame is some thousand objects
    that are gone when it is sent, and by default they are looked through twice (−5 %). And glibc, having seen a block
    of RETAINED bytes come and go, keeps up to twice as much instead of giving it back after each frame and having
    every page made anew (230,000 page faults in 400 MB of text, or 4,500).
    """
    bytes(RETAINED)
    gc.freeze()
    gc.set_threshold(YOUNG)
