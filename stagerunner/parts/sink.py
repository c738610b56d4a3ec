"""`@sink`, and the interface of a sink: a class whose constructor takes the options as keyword arguments.

    class Jsonl:
        keeps = "truncate"                # or "transaction" or "nothing": what `--resume` can rely on
        def encode(self, records): ...    # in the last worker: returns bytes; cutting the list must not change them
        def open(self, position): ...     # in the parent, like everything below; None: a new output
        def write(self, data): ...        # data: bytes that `encode` returned
        def position(self): ...           # JSON data: how far the output is
        def commit(self, row): ...        # make everything written so far permanent; `row` is for transactions
        def finish(self): ...             # the run is complete: rename, close
        def abort(self): ...              # the run is not complete: close, keep what `--resume` needs

Optional: `describe() -> str`, where the output is; `target() -> Path`, the file that the sink owns; `beside() -> Path`,
for an output that is no file: a name in the current folder, beside which the journal is kept; `exists() -> bool`,
whether the finished output is still there, if it is not the file at `target()`; `write_or_refuse(data)`, in place of
`write` where the sink's `on_error` isn't `fail`: write what the output takes, and return for the number of each other
record an exception that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, overload

from stagerunner.parts.base import offer
from stagerunner.parts.stage import T

Keeps = Literal["truncate", "transaction", "nothing"]


class Sink(Protocol):
    """The methods that every sink needs."""

    keeps: Keeps

    def encode(self, records: list[Any]) -> bytes: ...
    def open(self, position: Any) -> None: ...
    def write(self, data: Any) -> None: ...
    def position(self) -> Any: ...
    def commit(self, row: Any) -> None: ...
    def finish(self) -> None: ...
    def abort(self) -> None: ...


@overload
def sink(found: str | None = None, *, name: str | None = None, suffixes: tuple[str, ...] = ()) -> Callable[[T], T]: ...
@overload
def sink(found: T) -> T: ...
def sink(found: Any = None, *, name: str | None = None, suffixes: tuple[str, ...] = ()) -> Any:
    """Offer a class as a sink. `suffixes`: the file name endings for which it is chosen."""
    return offer("sink", found, name, suffixes)


def check_sink(found: Any) -> None:
    """Raises TypeError if it can't be a sink."""
    if not isinstance(found, type):
        raise TypeError("a sink is a class")
    needed = ("encode", "open", "write", "position", "commit", "finish", "abort")
    missing = [name for name in needed if not hasattr(found, name)]
    if missing:
        raise TypeError(f"class {found.__name__} has no {', no '.join(missing)}")
    if getattr(found, "keeps", None) not in ("truncate", "transaction", "nothing"):
        raise TypeError(f'class {found.__name__} needs keeps = "truncate", "transaction" or "nothing"')
