"""The console entry. What takes longest is begun before anything else is imported."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which garbage is looked for, as in workers."""
gc.set_threshold(YOUNG)  # before the imports, whose objects stay: by default 41 searches through them, 2 % of a `check`

import errno
import os
import sys
from collections.abc import Sequence

from stagerunner.cli import ENTRY, SPARE, loaded

FAILED, REFUSED = 1, 75

LIMITS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN)
"""What is refused now and may not be later."""

RESUMING = {"--resume", "--force-resume"}
"""With these a keeper has to wait: the journal says which hash seed it gets."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `arguments` are those behind the program's name."""
    try:
        return _begun(arguments)
    except (OSError, MemoryError, ImportError) as error:  # so early that nothing is here yet to tell of it
        if isinstance(error, ImportError) and (error.path or ".py").endswith(".py"):
            raise
        # A library that can't be mapped for want of memory comes as ImportError.
        why = f"error[stopped]: the system refused: {error if isinstance(error, OSError) else 'out of memory'}"
        os.write(2, f"{why}\n".encode(errors="backslashreplace"))
        return FAILED if isinstance(error, OSError) and error.errno not in LIMITS else REFUSED


def _begun(arguments: Sequence[str] | None) -> int:
    if arguments is None and sys.argv[1:2] == ["run"] and not RESUMING.intersection(sys.argv):
        with loaded(SPARE)():
            return _called(None)
    return _called(arguments)


def _called(arguments: Sequence[str] | None) -> int:
    code: int = loaded(ENTRY)(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
