"""Secrets that are written in a config itself: passwords and tokens in addresses, and in options of file systems."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence

OPTIONS = "options"
"""The option that holds the credentials of file systems."""

SHORTEST = 4
"""Anything shorter is likely to be part of other words."""

# Texts: most configs have no address, and a start compiles none of these.
_PASSWORD = r"://[^/@?#\s]*?:([^/?#\s]*)@"
_QUERY = r"[?&;]([^=&;#\s]*)=([^&;#\s]+)"
_NAME = r"(?i)key|secret|token|pass|credential|signature|auth|cookie|^sig$|^sas"


def written_secrets(node: Node) -> Iterator[str]:
    """The secrets that are written in this node and those inside."""
    match node:
        case Scalar():
            yield from _in_address(node.text)
        case Sequence():
            for item in node.items:
                yield from written_secrets(item)
        case Mapping():
            for key, value in node:
                yield from written_secrets(value)
                if key == OPTIONS:
                    yield from _in_options(value, secret=False)


def _in_address(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    found = [password[1] for password in re.finditer(_PASSWORD, text)]
    found += [value for name, value in re.findall(_QUERY, text) if re.search(_NAME, name)]
    yield from (secret for secret in found if len(secret) >= SHORTEST and not secret.startswith("${"))


def _in_options(node: Node, *, secret: bool) -> Iterator[str]:
    match node:
        case Scalar() if secret and isinstance(node.value, str) and len(node.text) >= SHORTEST:
            yield node.text
        case Sequence():
            for item in node.items:
                yield from _in_options(item, secret=secret)
        case Mapping():
            for key, value in node:
                yield from _in_options(value, secret=secret or re.search(_NAME, key) is not None)
