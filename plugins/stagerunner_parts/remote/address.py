"""The option types of remote paths: an address, and the options of its file system. Neither shows a secret."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

KNOWN = frozenset(("http", "https", "s3", "s3a", "sftp", "ssh", "memory"))
"""The schemes whose file systems the extra brings."""

LOCAL = frozenset(("file", "local"))

MASK = "***"

# Texts: a start without addresses compiles none of these.
_ADDRESS = r"(?s)([A-Za-z][A-Za-z0-9+.-]*)://(.*)"
_PASSWORD = r"(?<=://)([^/@?#]*?):([^/?#]*)@"
_CREDENTIAL = r"(?i)key|secret|token|pass|credential|signature|auth|cookie|^sig$|^sas"
_QUERY = r"(?<=[?&;])([^=&;#]*)=([^&;#]+)"
_SHORTEST = 4


class Address:
    """The address of a file elsewhere: scheme://…

    text: as it was written; it may hold a password. `str` and `repr` show it without.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError if it is no address, or if no file system for its scheme is known."""
        found = re.match(_ADDRESS, text)
        if found is None:
            raise ValueError("it doesn't begin with scheme://")
        scheme = found[1].lower()
        if scheme in LOCAL or not (scheme in KNOWN or _is_known_elsewhere(scheme)):
            raise ValueError(f"no file system is known for {found[1]}://")
        return cls(f"{scheme}://{found[2]}")

    @property
    def scheme(self) -> str:
        return self.text.partition("://")[0]

    @property
    def is_web(self) -> bool:
        return self.scheme in ("http", "https")

    @property
    def is_glob(self) -> bool:
        """Whether it stands for several files. On the web a `?` begins a query."""
        return bool(set(self.text) & set("*[" if self.is_web else "*?["))

    @property
    def name(self) -> str:
        """The last part of its path."""
        path = re.split(r"[?#]", self.text, maxsplit=1)[0] if self.is_web else self.text
        return path.rstrip("/").rpartition("/")[2]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts in it that must not be shown."""
        password = re.search(_PASSWORD, self.text)
        values = [value for name, value in re.findall(_QUERY, self.text) if re.search(_CREDENTIAL, name)]
        return tuple(text for text in ([password[2]] if password else []) + values if len(text) >= _SHORTEST)

    def with_path(self, name: str) -> Address:
        """The address of a file that the file system calls by this name."""
        if "://" in name:
            return Address(name)
        if self.scheme in ("sftp", "ssh"):
            authority = self.text.split("://", 1)[1].partition("/")[0]
            return Address(f"{self.scheme}://{authority}/{name.lstrip('/')}")
        return Address(f"{self.scheme}://{name.lstrip('/')}")

    def __str__(self) -> str:
        shown = re.sub(_PASSWORD, rf"\1:{MASK}@", self.text)
        return re.sub(_QUERY, _masked, shown)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _masked(pair: re.Match[str]) -> str:
    """A pair of a query, as it may be shown."""
    return f"{pair[1]}={MASK}" if re.search(_CREDENTIAL, pair[1]) else pair[0]


def _is_known_elsewhere(scheme: str) -> bool:
    """Whether fsspec, if it is installed, knows the scheme."""
    if find_spec("fsspec") is None:
        return False
    from fsspec.registry import available_protocols  # only for a scheme that the extra doesn't bring itself

    return scheme in available_protocols()


class StorageOptions:
    """Options of a remote file system, as fsspec takes them, and of ours.

    timeout: seconds without an answer after which an attempt has failed. attempts: how often something is tried.
    """

    __slots__ = ("attempts", "given", "timeout")

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = dict(given)
        self.timeout = _number(self.given.pop("timeout", 30), "timeout")
        self.attempts = int(_number(self.given.pop("attempts", 5), "attempts"))

    @classmethod
    def from_data(cls, data: Any) -> StorageOptions:
        """Raises ValueError for anything but a mapping."""
        if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
            raise ValueError("it must be a mapping, such as {endpoint_url: …}")
        return cls(data)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text in them that looks like one: the file systems have many names for credentials."""
        return tuple(dict.fromkeys(_secrets_in(self.given, secret=False)))

    def __repr__(self) -> str:
        return f"StorageOptions of {', '.join(self.given) or 'nothing'}"


def _secrets_in(value: Any, *, secret: bool) -> list[str]:
    if isinstance(value, dict):
        return [
            text
            for name, item in value.items()
            for text in _secrets_in(item, secret=secret or re.search(_CREDENTIAL, str(name)) is not None)
        ]
    if isinstance(value, list):
        return [text for item in value for text in _secrets_in(item, secret=secret)]
    return [value] if secret and isinstance(value, str) and len(value) >= _SHORTEST else []


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < (1 if name == "attempts" else 0.001):
        raise ValueError(f"{name} must be a positive number")
    return float(value)
