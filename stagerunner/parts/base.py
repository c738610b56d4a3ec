"""`Part`: what the catalog knows about a source, stage or sink: its name, where to import it, a one-line summary."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from stagerunner.tuples import NamedTuple

Kind = Literal["stage", "source", "sink"]

ATTRIBUTE = "__stagerunner_part__"
"""The attribute in which a decorated object keeps its Part."""

F = TypeVar("F")


class Part(NamedTuple):
    """A source, stage or sink as a plugin offers it.

    name: the name for `use:`. target: "module:name", what a worker imports. summary: one sentence. suffixes: the file
    name endings for which this source or sink is chosen (".jsonl"). state, batch, many, memo, arrow: what the decorator
    of a stage said; state is None if it said nothing. found: the function or class itself, if that was given.
    """

    kind: Kind
    name: str
    target: str
    summary: str = ""
    suffixes: tuple[str, ...] = ()
    state: bool | None = None
    batch: bool = False
    many: bool = False
    memo: bool = False
    arrow: bool = False
    found: Any = None


def target_of(found: Any) -> str:
    """ "module:qualified.name" of a function or class."""
    return f"{found.__module__}:{found.__qualname__}"


def first_sentence(found: Any) -> str:
    """The first line of the docstring, without the full stop."""
    doc = (found.__doc__ or "").strip()
    return doc.partition("\n")[0].strip().removesuffix(".")


def mark(found: F, part: Part) -> F:
    """Store the part on the object and return the object unchanged: a decorated function can still be called."""
    setattr(found, ATTRIBUTE, part)
    return found


def offer(kind: Kind, found: Any, name: str | None, suffixes: tuple[str, ...]) -> Any:
    """What `@source` and `@sink` do. found: what is decorated; or a name or None, if the decorator has arguments."""

    def decorate(decorated: Any) -> Any:
        chosen = (found if isinstance(found, str) else name) or decorated.__name__.lower()
        return mark(decorated, Part(kind, chosen, target_of(decorated), first_sentence(decorated), suffixes))

    return decorate if found is None or isinstance(found, str) else decorate(found)


def part_of(found: Any) -> Part | None:
    """The part an object was decorated as, or None. A subclass doesn't inherit it."""
    part = vars(found).get(ATTRIBUTE) if hasattr(found, "__dict__") else None
    return part if isinstance(part, Part) else None


def part(name: str, target: str, *, summary: str = "", suffixes: tuple[str, ...] = ()) -> Part:
    """A part named by string, so that listing it imports nothing: `part("geo.locate", "geo.stages:Locate")`.

    The hook that returns it determines its kind.
    """
    return Part("stage", name, target, summary, suffixes)
