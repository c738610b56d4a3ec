"""The stage `group`: one record for all that have the same values in some fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import chain, islice
from operator import itemgetter
from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple

from stagerunner import Expression, Reject, TextOption, stage
from stagerunner_parts.digests import key_of
from stagerunner_parts.options import Number, Size
from stagerunner_parts.packing import packed_all, unpacked_all
from stagerunner_parts.values import field, unshared

if TYPE_CHECKING:
    from stagerunner_parts.spilling import Row, Spill

# What is made of the values of a group


class Rule(NamedTuple):
    """start: the state before the first value. add: the state with one more value; it changes nothing, and what it
    raises refuses the record. result: what the state comes to. many: the state is a sequence of values."""

    start: Any
    add: Callable[[Any, Any], Any]
    result: Callable[[Any], Any] = lambda state: state
    many: bool = False


def _sum(total: Any, value: Any) -> Any:
    if value is None:
        return total
    if not isinstance(value, int | float | Decimal):
        raise TypeError(f"{value!r:.60} is not a number")
    number = int(value) if isinstance(value, bool) else value
    return number if total is None else total + number


def _mean(state: Any, value: Any) -> Any:
    if value is None:
        return state
    total, number = _sum(state[0], value), state[1] + 1
    total / number  # a total beyond all floats is noticed here, and not at the end
    return total, number


def _least(least: Any, value: Any) -> Any:
    return value if _comes_before(value, least, least, value) else least


def _most(most: Any, value: Any) -> Any:
    return value if _comes_before(value, most, value, most) else most


def _comes_before(value: Any, known: Any, left: Any, right: Any) -> bool:
    """Whether the value takes the place of what is known: it is the first, or right is less than left."""
    if value is None:
        return False
    if value != value:  # nan
        raise ValueError("nan is neither more nor less than a number")
    return bool(known is None or right < left)


_NONE = object()
"""The first of a group's values before there is one. No group is kept without a record, so it is in no snapshot."""

RULES: dict[str, Rule] = {
    "count": Rule(0, lambda number, value: number + 1),
    "sum": Rule(None, _sum),
    "mean": Rule((None, 0), _mean, lambda state: state[0] / state[1] if state[1] else None, many=True),
    "min": Rule(None, _least),
    "max": Rule(None, _most),
    "first": Rule(_NONE, lambda first, value: value if first is _NONE else first),
    "last": Rule(_NONE, lambda last, value: value),
    "collect": Rule((), lambda state, value: state, list, many=True),
}
"""`collect` appends to its list once nothing can refuse the record any more."""


class Aggregation(TextOption):
    """What is made of a group's records: `count`, or `sum(price * quantity)` with any expression."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
        if found is None or found[1] not in RULES:
            raise ValueError(f"{text!r:.60} is none of {', '.join(f'{rule}(…)' for rule in RULES)}")
        self.kind, written = found[1], (found[2] or "").strip()
        if (self.kind == "count") == bool(written):
            raise ValueError("count takes no value" if written else f"write {self.kind}(EXPRESSION)")
        self.rule = RULES[self.kind]
        self.value: Callable[[Any], Any] = Expression(written) if written else lambda record: None


# The stage


MAX_GROUPS = Number(1_000_000)
MAX_COLLECTED = Number(1_000_000)
MEMORY = Size(256 * 2**20)

ENTRY = 350
"""Bytes that a group takes in memory besides its values: its places in the table, two lists, a tuple, its number."""


@stage("group")
class Group:
    """Combine all records with the same values in some fields into one.

    The groups come when the source has ended, in the order in which they first appeared. Values are equal if they have
    the same type and content: 1, 1.0, True and "1" differ. Sums of whole numbers are exact. Null is left out by sum,
    mean, min and max, which give null if nothing is left. A record is refused if it lacks a field, if a value can't be
    added or compared, or if it exceeds the limits below; it then changes no group. Groups that don't fit into memory
    are kept in the folder for temporary files meanwhile.

    by: the field to group by, or a list of them; with an empty list, all records are one group.
    fields: for each new field count, or sum, mean, min, max, first, last or collect of an expression: `sum(price * n)`.
    max_groups: the largest number of groups.
    max_collected: the largest number of values of `collect`, in all groups together.
    memory: roughly how much memory to use for groups; the others are on disk.
    """

    def __init__(
        self,
        *,
        by: str | list[str],
        fields: dict[str, Aggregation],
        max_groups: Number = MAX_GROUPS,
        max_collected: Number = MAX_COLLECTED,
        memory: Size = MEMORY,
    ) -> None:
        self.by = [by] if isinstance(by, str) else by
        self.fields = fields
        self.max_groups = max_groups
        self.max_collected = max_collected
        self.memory = memory
        names = [*self.by, *fields]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two fields of the result would be called {twice!r}")
        self._rules = [one.rule for one in fields.values()]
        self._collecting = [index for index, one in enumerate(fields.values()) if one.kind == "collect"]
        self._collected = 0
        self._number = 0
        """Of all groups."""
        self._held = 0
        """About how many bytes the groups in memory take."""
        self._groups: dict[Any, tuple[int, list[Any], list[Any]]] = {}
        """Key → the group's number, the values of `by`, and the states: of the groups in memory."""
        self._spill: Spill | None = None

    def check(self, environment: Mapping[str, str]) -> None:
        """What is wrong with the options, the constructor has said."""

    def process(self, record: dict[str, Any]) -> None:
        by = [field(record, name) for name in self.by]
        key = self._key(by)
        if self._held > self.memory:
            self._put_away()  # before anything is counted: the disk may be full
        found = self._groups.get(key)
        if found is None and self._spill is not None:
            found = self._taken(key)
        if found is None:
            self._check_groups()
        values = [self._value(record, name, one) for name, one in self.fields.items()]
        states = self._added(self._started() if found is None else found[2], values)
        if found is None:
            self._keep(key, (self._number, by, states))
            self._number += 1
        else:
            found[2][:] = states
        for index in self._collecting:
            self._groups[key][2][index].append(values[index])
            self._held += _size(values[index])
        self._collected += len(self._collecting)

    def _key(self, by: list[Any]) -> Any:
        return key_of(by[0]) if len(by) == 1 else tuple(map(key_of, by))

    # Groups in memory, and those on disk

    def _keep(self, key: Any, group: tuple[int, list[Any], list[Any]]) -> None:
        self._groups[key] = group
        self._held += ENTRY + sum(map(_size, group[1])) + sum(map(_size, group[2]))

    def _taken(self, key: Any) -> Row | None:
        """The group with this key from the disk, which is in memory from now on."""
        assert self._spill is not None
        found = self._spill.take(key)
        if found is not None:
            self._keep(key, found)
        return found

    def _put_away(self) -> None:
        """Put all groups that are in memory on disk."""
        # Late: it imports sqlite3, and most runs have few groups.
        from stagerunner_parts.spilling import Row, Spill

        if self._spill is None:
            self._spill = Spill()
        self._spill.put((key, Row(*group)) for key, group in self._groups.items())
        self._groups.clear()
        self._held = 0

    def _in_order(self) -> Iterator[tuple[int, list[Any], list[Any]]]:
        if self._spill is None:
            return iter(self._in_memory())
        self._put_away()
        return self._spill.rows()

    def _in_memory(self) -> list[tuple[int, list[Any], list[Any]]]:
        """The groups in memory by number: one that was on disk stands behind its place."""
        return sorted(self._groups.values(), key=itemgetter(0))

    def close(self) -> None:
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _started(self) -> list[Any]:
        return [[] if one.kind == "collect" else one.rule.start for one in self.fields.values()]

    def _check_groups(self) -> None:
        if self._number >= self.max_groups:
            raise Reject(
                f"a new group, and there are {self.max_groups:,} already: give more `max_groups`, or group by less"
            )

    def _value(self, record: Any, name: str, one: Aggregation) -> Any:
        try:
            return unshared(one.value(record))
        except Exception as error:
            raise _refused(name, one, error) from error

    def _added(self, states: list[Any], values: list[Any]) -> list[Any]:
        """The states with these values; the old ones stay as they are."""
        if self._collecting and self._collected + len(self._collecting) > self.max_collected:
            raise Reject(f"more than {self.max_collected:,} collected values: give more `max_collected`")
        added = []
        for (name, one), state, value in zip(self.fields.items(), states, values, strict=True):
            try:
                added.append(one.rule.add(state, value))
            except Exception as error:
                raise _refused(name, one, error) from error
        return added

    def flush(self) -> Iterator[dict[str, Any]]:
        for _, by, states in self._in_order():
            results = (rule.result(state) for rule, state in zip(self._rules, states, strict=True))
            yield dict(zip((*self.by, *self.fields), (*by, *results), strict=True))

    def snapshot(self) -> list[Any]:
        """The number of groups in memory, and a column for each field of `by` and each state: that takes a tenth of the
        time of rows. If some are on disk, also the numbers of those in memory, and those on disk as they are there."""
        groups = self._in_memory()
        columns = [packed_all([by[index] for _, by, _ in groups]) for index in range(len(self.by))]
        for index, rule in enumerate(self._rules):
            column = [states[index] for _, _, states in groups]
            if rule.many:
                columns.append(list(map(len, column)))
                column = list(chain.from_iterable(column))
            columns.append(packed_all(column))
        if self._spill is None:
            return [len(groups), columns]
        return [len(groups), columns, [number for number, _, _ in groups], list(self._spill.pieces())]

    def restore(self, data: list[Any]) -> None:
        number, packed_columns, *spilled = data
        columns = map(unpacked_all, packed_columns)
        by = [next(columns) for _ in self.by]
        states = [_cut(next(columns), next(columns)) if rule.many else next(columns) for rule in self._rules]
        numbers, pieces = spilled or (range(number), [])
        for group in zip(numbers, _rows(by, number), _rows(states, number), strict=True):
            self._restore_one(group)
        for piece in pieces:
            from stagerunner_parts.spilling import rows_in  # late, as above

            for row in rows_in(piece):
                self._restore_one(row)

    def _restore_one(self, group: tuple[int, list[Any], list[Any]]) -> None:
        _, by, states = group
        self._keep(self._key(by), group)
        self._number += 1
        self._collected += sum(len(states[index]) for index in self._collecting)
        if self._held > self.memory:
            self._put_away()


def _size(value: Any) -> int:
    """About how many bytes a value takes in memory, with what is in it."""
    size = getsizeof(value)
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(map(_size, value))
    if isinstance(value, dict):
        return size + sum(map(_size, value)) + sum(map(_size, value.values()))
    return size


def _cut(lengths: list[int], values: list[Any]) -> list[list[Any]]:
    """The values in lists of these lengths."""
    rest = iter(values)
    return [list(islice(rest, length)) for length in lengths]


def _rows(columns: list[list[Any]], number: int) -> Iterator[list[Any]]:
    return map(list, zip(*columns, strict=True)) if columns else iter([[] for _ in range(number)])


def _refused(name: str, one: Aggregation, error: Exception) -> Reject:
    why = str(error) if isinstance(error, Reject) else f"{type(error).__name__}: {error}"
    return Reject(f"field {name!r} can't be computed as {one.text:.100}: {why}")
