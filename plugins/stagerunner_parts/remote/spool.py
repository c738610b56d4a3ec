"""Where the output for a remote file is collected until it is complete, and its journal kept: with the user's state."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stagerunner_parts.remote.address import Address

LONGEST = 120
"""Characters of a name up to which it is the whole address."""

STATE = "~/.local/state"


def spool_of(address: Address) -> Path:
    """The local file for an address: the same for every run on this machine, so that two of them exclude each other."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser(STATE))  # noqa: PTH111  it may have no home
    name = re.sub(r"[^A-Za-z0-9._-]", lambda found: f"%{ord(found[0]):02X}", str(address))
    if len(name) > LONGEST:
        import hashlib  # it loads all of OpenSSL, and few addresses are so long

        digest = hashlib.blake2b(str(address).encode(), digest_size=16).hexdigest()
        name = f"{name[:40]}-{digest}-{name[-40:]}"
    return folder / "stagerunner" / name
