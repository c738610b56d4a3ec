"""`@sink`, and what a sink has to be: a class whose constructor's keyword arguments are the options.

class Jsonl:
    keeps = "truncate"                # or "transaction", or "nothing": what `--resume` can build on
    def encode(self, records): ...    # in the last worker: bytes; encoding a list is encoding its parts in order
    def open(self, position): ...     # in the parent, as all that follow; None: from the start
    def write(self, data): ...        # data: bytes that `encode` gave
    def position(self): ...           # JSON data: how far it is
    def commit(self, row): ...        # everything written so far is to stay; `row` is for transactions
    def finish(self): ...             # the run is complete: rename, close
    def abort(self): ...              # it is not: close, and leave what `--resume` needs

and, if it can: `describe() -> str` says where the output is, `target() -> Path` which file it owns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, overload

from stagerunner.parts.base import Part, first_sentence, mark, target_of
from stagerunner.parts.stage import T

Keeps = Literal["truncate", "transaction", "nothing"]


class Sink(Protocol):
    """What a sink must offer."""

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
    """Offer a class as a sink. `suffixes` are the file endings it is chosen for."""

    def decorate(decorated: Any) -> Any:
        chosen = (found if isinstance(found, str) else name) or decorated.__name__.lower()
        return mark(decorated, Part("sink", chosen, target_of(decorated), first_sentence(decorated), suffixes))

    return decorate if found is None or isinstance(found, str) else decorate(found)


def check_sink(found: Any) -> None:
    """Raises TypeError when it can't be a sink."""
    if not isinstance(found, type):
        raise TypeError("a sink is a class")
    needed = ("encode", "open", "write", "position", "commit", "finish", "abort")
    missing = [name for name in needed if not hasattr(found, name)]
    if missing:
        raise TypeError(f"class {found.__name__} has no {', no '.join(missing)}")
    if getattr(found, "keeps", None) not in ("truncate", "transaction", "nothing"):
        raise TypeError(f'class {found.__name__} needs keeps = "truncate", "transaction" or "nothing"')
