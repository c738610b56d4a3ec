"""What the stages of a simulated chain do to records, which are integers: one small function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stagerunner.parts.stage import Form

PRIME = 100_003
"""Values stay below it, so that they stay cheap and no two orders of records give the same sums."""


class Flaw(Exception):
    """A record fails."""


class Died(Exception):
    """The worker was killed between two instructions."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One stage of a simulated chain.

    modulus, rest: which values are dropped, fail or kill. count: of a `take`, or the most a `heavy` stage bears, or the
    most calls that a `crowd` bears.
    piece: results after which a piece is closed. slow: so it is after each source record. watched: each call is noted
    in the slot, asked for or not. places: calls at once; more than one is an async stage. gathers: records of a list
    that is gathered across frames; 0: it takes them one by one.
    """

    kind: str
    modulus: int = 5
    rest: int = 0
    count: int = 3
    workers: int = 1
    on_error: str = "skip"
    piece: int = 4
    watched: bool = False
    slow: bool = False
    places: int = 1
    gathers: int = 0

    def meets(self, value: int) -> bool:
        return (value * 7 + value // 10) % self.modulus == self.rest


@dataclass(slots=True)
class Memory:
    """What a stage remembers. enough: it has said that it needs no more records."""

    data: list[int] = field(default_factory=list)
    enough: bool = False


def _add(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    return [(3 * value + stage.rest) % PRIME]


def _drop(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    return [] if stage.meets(value) else [value]


def _grow(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    return [(4 * value + part) % PRIME for part in range((value + stage.rest) % 4)]


def _fail(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    if stage.meets(value):
        raise Flaw
    return [value]


def _kill(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    if stage.meets(value):
        raise Died
    return [value]


def _copy(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    return [value]


def _sum(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    total, count = memory.data or (0, 0)
    memory.data = [(total + value) % PRIME, count + 1]
    return [memory.data[0]]


def _hoard(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    memory.data.append(value)
    return []


def _take(stage: Behaviour, memory: Memory, value: int) -> list[int]:
    taken = memory.data[0] if memory.data else 0
    memory.enough = taken + 1 >= stage.count
    if taken >= stage.count:
        return []
    memory.data = [taken + 1]
    return [value]


CALLS: dict[str, Callable[[Behaviour, Memory, int], list[int]]] = {
    "add": _add,
    "drop": _drop,
    "grow": _grow,
    "fail": _fail,
    "poison": _kill,
    "murky": _copy,
    "heavy": _copy,
    "crowd": _copy,
    "number": _sum,
    "sum": _sum,
    "hoard": _hoard,
    "forgetful": _sum,
    "take": _take,
}

_KEEPING = Form(built=True, state=True, snapshots=True)
_FLUSHING = Form(built=True, state=True, snapshots=True, flushes=True)

FORMS = {
    "number": _KEEPING,
    "take": _KEEPING,
    "sum": _FLUSHING,
    "hoard": _FLUSHING,
    "forgetful": Form(built=True, state=True, flushes=True),
}
"""The forms of the stages with state; `murky` kills while a record is decoded, `heavy` when there are too many."""


def form_of(stage: Behaviour) -> Form:
    form = FORMS.get(stage.kind, _PLAIN if stage.places == 1 else _ASYNC)
    return form._replace(batch=True) if stage.gathers else form


_PLAIN = Form()
_ASYNC = Form(awaited=True)


def flush(stage: Behaviour, memory: Memory) -> list[int]:
    """What the stage gives after the last record."""
    return list(memory.data) if form_of(stage).flushes else []


def kills_in_decoding(stage: Behaviour, values: list[int]) -> bool:
    """Whether decoding these records in one piece kills the worker, before it calls the stage."""
    if stage.kind == "heavy":
        return len(values) > stage.count
    return stage.kind == "murky" and any(map(stage.meets, values))
