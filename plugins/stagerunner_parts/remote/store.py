"""A remote file system: its calls end in time, are tried again, and name what went wrong without any secret."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from importlib.util import find_spec
from threading import Lock
from typing import Any, Protocol, TypeVar

from stagerunner_parts.remote.address import MASK, Address, StorageOptions
from stagerunner_parts.remote.calls import Call

T = TypeVar("T")

FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
"""Errors that another attempt would only repeat."""

DELAY, LONGEST_DELAY = 0.2, 10.0
"""Seconds between two attempts: at first, and at most."""

NEEDED = {"s3": "s3fs", "s3a": "s3fs", "sftp": "sshfs", "ssh": "sshfs", "http": "aiohttp", "https": "aiohttp"}
"""The module besides fsspec that a scheme needs."""

SLOWEST = 100_000
"""Bytes a second that an upload has at least, or it counts as hung."""

AGAIN = (408, 425, 429)
"""Refusals over HTTP that may pass; so may every 5xx."""


class Refused(OSError):
    """Another attempt would not help. Its message is whole, and has no secret in it."""


class Sent(Protocol):
    """What an upload sends. least: bytes of which nothing may be heard while they are on their way."""

    least: int

    def moved(self) -> float:
        """When it last made progress, by the monotonic clock."""


class _Connection:
    """The file system of a place, connected when it is first used. Threads may share it."""

    def __init__(self, address: Address, options: StorageOptions) -> None:
        self._address, self._options = address, options
        self._lock = Lock()
        self._made: Any = None

    def system(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = _made(self._address, self._options)
            return self._made

    def forget(self) -> None:
        """Connect anew for the next call: the connection may be dead."""
        with self._lock:
            self._made = None


class Store:
    """The file system of an address. Its methods are for threads, except `call`, which makes them."""

    def __init__(self, address: Address, options: StorageOptions | None) -> None:
        self.address = address
        self.options = options or StorageOptions({})
        self._secrets = (*address.secrets, *self.options.secrets)
        self._connection = _Connection(address, self.options)

    def of(self, address: Address) -> Store:
        """That of another file in the same place, with the same connection."""
        other = Store(address, self.options)
        other._secrets = (*self._secrets, *address.secrets)
        other._connection = self._connection
        return other

    def check(self) -> None:
        """Raises ValueError, saying what to install, if something is missing."""
        modules = ("fsspec", NEEDED.get(self.address.scheme, "fsspec"))
        if missing := [module for module in dict.fromkeys(modules) if find_spec(module) is None]:
            names = " and no ".join(missing)
            raise ValueError(f"{self.address} needs {names}; run: pip install 'stagerunner[remote]'")

    def call(self, function: Callable[[Any], T]) -> T:
        """What the function gives for the file system, tried again as often as allowed.

        Raises OSError, with a message; its errno says whether it may pass.
        """
        return self.patiently(function, Call(lambda: function(self.system())))

    def begin(self, function: Callable[[Any], T]) -> Call[T]:
        """The first attempt, for `patiently`."""
        return Call(lambda: function(self.system()))

    def patiently(self, function: Callable[[Any], T], call: Call[T], sent: Sent | None = None) -> T:
        """The result of a call that was begun; if it fails, of further attempts. sent: what an upload sends."""
        for attempt in range(1, self.options.attempts + 1):
            try:
                if self._ended(call, sent):
                    return call.result()
                why: BaseException = TimeoutError(f"no answer for {self.options.timeout:g} s")
            except Exception as raised:
                error = _behind(raised) if self.address.is_web else raised
                if isinstance(error, FINAL):
                    raise self._final(error) from None
                if (refused := self._refusal(error)) is not None:
                    raise refused from None
                why = error
            if attempt < self.options.attempts:
                self._connection.forget()
                time.sleep(min(DELAY * 2 ** (attempt - 1), LONGEST_DELAY))
                call = self.begin(function)
        raise self.gone(why)

    def _ended(self, call: Call[Any], sent: Sent | None) -> bool:
        """Whether it ended in time."""
        seconds = self.options.timeout + (0 if sent is None else sent.least / SLOWEST)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if call.ended(left):
                return True
            until = until if sent is None else max(until, sent.moved() + seconds)
        return False

    def gone(self, error: BaseException) -> OSError:
        """The error for a server that didn't answer, however often it was asked. It may pass."""
        number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else errno.ECONNABORTED
        tried = f"tried {self.options.attempts} times" if self.options.attempts > 1 else "tried once"
        return OSError(number, f"{self.address}: {self.without_secrets(_said(error))} ({tried})")

    def _final(self, error: BaseException) -> Exception:
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(f"there is no file {self.address}")
        return Refused(f"{self.address}: {self.without_secrets(_said(error))}")

    def _refusal(self, error: Exception) -> Exception | None:
        """The error to raise at once, if another attempt would not help."""
        if isinstance(error, Refused):
            return error
        status = getattr(error, "status", None)
        if isinstance(status, int) and 400 <= status < 500 and status not in AGAIN:
            return Refused(f"{self.address}: the server answers {self.without_secrets(_said(error))}")
        if isinstance(error, ImportError | ValueError | TypeError | NotImplementedError) or _is_refused_login(error):
            return Refused(f"{self.address}: {self.without_secrets(_said(error))}")
        return None

    def without_secrets(self, text: str) -> str:
        text = text.replace(self.address.text, str(self.address))
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def system(self) -> Any:
        """The file system, connected when it is first used."""
        return self._connection.system()

    def path(self, address: Address | None = None) -> str:
        """The path of an address for the file system. Only after a first call."""
        found: str = self.system()._strip_protocol((address or self.address).text)
        return found


def _made(address: Address, options: StorageOptions) -> Any:
    """A file system that is shared with nobody and remembers no listing."""
    import fsspec

    scheme, given = address.scheme, dict(options.given)
    given |= {"skip_instance_cache": True}
    if scheme in ("sftp", "ssh"):
        from sshfs import SSHFileSystem

        return SSHFileSystem(**_of_ssh(SSHFileSystem._get_kwargs_from_urls(address.text), options, given))
    if address.is_web:
        given["headers"] = {"Accept-Encoding": "identity"} | given.get("headers", {})
        given["client_kwargs"] = _web_timeouts(options.timeout) | given.get("client_kwargs", {})
    elif scheme in ("s3", "s3a"):
        limits = {"connect_timeout": options.timeout, "read_timeout": options.timeout}
        given["config_kwargs"] = limits | given.get("config_kwargs", {})
    system = fsspec.get_filesystem_class(scheme)
    return system(**system._get_kwargs_from_urls(address.text), **given, use_listings_cache=False)


def _web_timeouts(seconds: float) -> dict[str, Any]:
    from aiohttp import ClientTimeout

    return {"timeout": ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)}


def _of_ssh(named: dict[str, Any], options: StorageOptions, given: dict[str, Any]) -> dict[str, Any]:
    """The options for sshfs. A host is checked against known_hosts, as ssh does it; by default sshfs checks none."""
    seconds = max(1, int(options.timeout))
    found = {"connect_timeout": seconds, "keepalive_interval": seconds, "known_hosts": ()} | named | given
    return {name: value for name, value in found.items() if value is not None or name == "known_hosts"}


def _behind(error: Exception) -> Exception:
    """What is behind a FileNotFoundError: over HTTP fsspec makes one of everything, even of a timeout."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    return error if getattr(cause, "status", None) in (None, 404, 410) and hasattr(cause, "status") else cause


def _is_refused_login(error: Exception) -> bool:
    return type(error).__name__ in ("PermissionDenied", "HostKeyNotVerifiable", "NoCredentialsError")


def _said(error: BaseException) -> str:
    """What an error says, in one line."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return f"{status} {getattr(error, 'message', '')}".strip()
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return text or type(error).__name__
