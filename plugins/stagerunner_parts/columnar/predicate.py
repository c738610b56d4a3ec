"""`Predicate`: conditions on columns, applied while a file is read.

Row groups in which nothing can match aren't read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from stagerunner import TextOption

if TYPE_CHECKING:
    import pyarrow as pa

Range: TypeAlias = tuple[Any, Any] | None
"""The least and the greatest value of a column in a row group; None if they aren't known."""

OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
"""And the names of pyarrow's functions for them."""

TURNED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
"""With the value on the left side."""

WORDS = {"true": True, "false": False}


class Comparison:
    """A column compared with a value, or, for `is_in`, with a list of values."""

    def __init__(self, column: str, operator: str, value: Any) -> None:
        self.column, self.operator, self.value = column, operator, value

    def mask(self, column: Any) -> Any:
        """For each row whether it holds, or null."""
        import pyarrow as pa  # late, here and below: the plan reads predicates without it
        import pyarrow.compute as pc

        if pa.types.is_null(column.type):
            return pa.nulls(len(column), pa.bool_())
        if self.operator == "is_in":
            return pc.is_in(column, value_set=pa.array(self.value).cast(_plain(column.type)), skip_nulls=True)
        plain = column.cast(_plain(column.type)) if pa.types.is_dictionary(column.type) else column
        return getattr(pc, self.operator)(plain, pa.scalar(self.value).cast(plain.type))

    def may_hold(self, found: Range, kind: Any) -> bool:
        """Whether it may hold for some value of this range, of a column of this type."""
        if found is None:
            return True
        least, most = found
        values = self.value if self.operator == "is_in" else [self.value]
        try:
            return any(self._reaches(_as(kind, value), least, most) for value in values)
        except (TypeError, ValueError):  # what a file says of its columns may be of another type
            return True

    def _reaches(self, value: Any, least: Any, most: Any) -> bool:
        if self.operator in ("less", "less_equal"):
            return bool(least <= value)
        if self.operator in ("greater", "greater_equal"):
            return bool(most >= value)
        return self.operator == "not_equal" or bool(least <= value <= most)


def _plain(kind: Any) -> Any:
    """The type of a column's values."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as(kind: Any, value: Any) -> Any:
    import pyarrow as pa

    return pa.scalar(value).cast(_plain(kind)).as_py()


Node: TypeAlias = "Comparison | tuple[str, list[Node]]"
"""A comparison, or `and` or `or` with nodes."""


class Predicate(TextOption):
    """Comparisons of columns with values, joined by `and` and `or`: the option type of `filter`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            self._node = _node(ast.parse(text.strip(), mode="eval").body)
        except SyntaxError as error:
            raise ValueError(f"it isn't an expression: {error.msg}") from None

    @property
    def columns(self) -> list[str]:
        """The names of the columns that it needs."""
        return list(dict.fromkeys(comparison.column for comparison in _comparisons(self._node)))

    def check(self, schema: pa.Schema) -> None:
        """Raises ValueError if a column isn't there, or can't be compared with its value."""
        import pyarrow as pa

        for comparison in _comparisons(self._node):
            if comparison.column not in schema.names:
                raise ValueError(f"`filter` needs a column {comparison.column!r}, which isn't there")
            kind = schema.field(comparison.column).type
            try:
                comparison.mask(pa.array([], kind))
            except (pa.ArrowException, ValueError, TypeError) as error:
                why = f"`filter` can't compare {comparison.column!r}, which is {kind}, with {comparison.value!r}"
                raise ValueError(f"{why}: {error}") from None

    def apply(self, batch: pa.RecordBatch) -> Any:
        """The rows of a record batch for which it holds, and their indexes."""
        import pyarrow.compute as pc

        mask = pc.fill_null(_mask(self._node, batch), False)
        return batch.filter(mask), pc.indices_nonzero(mask)

    def may_hold(self, ranges: Callable[[str], Range], schema: pa.Schema) -> bool:
        """Whether it may hold for some row, if columns have these ranges."""
        return _may_hold(self._node, ranges, schema)


def _mask(node: Node, batch: Any) -> Any:
    import pyarrow.compute as pc

    if isinstance(node, Comparison):
        return node.mask(batch.column(batch.schema.get_field_index(node.column)))
    join, nodes = node
    first, *rest = (_mask(inner, batch) for inner in nodes)
    for mask in rest:
        first = pc.and_kleene(first, mask) if join == "and" else pc.or_kleene(first, mask)
    return first


def _may_hold(node: Node, ranges: Callable[[str], Range], schema: Any) -> bool:
    if isinstance(node, Comparison):
        return node.may_hold(ranges(node.column), schema.field(node.column).type)
    join, nodes = node
    return (all if join == "and" else any)(_may_hold(inner, ranges, schema) for inner in nodes)


def _comparisons(node: Node) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    else:
        for inner in node[1]:
            yield from _comparisons(inner)


# Reading one


def _node(tree: ast.expr) -> Node:
    if isinstance(tree, ast.BoolOp):
        return ("and" if isinstance(tree.op, ast.And) else "or"), [_node(value) for value in tree.values]
    if not isinstance(tree, ast.Compare):
        raise _unknown(tree)
    sides = [tree.left, *tree.comparators]
    found: list[Node] = [_comparison(*three) for three in zip(sides, tree.ops, sides[1:], strict=False)]
    return found[0] if len(found) == 1 else ("and", found)


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Comparison:
    if isinstance(operator, ast.In) and isinstance(left, ast.Name) and isinstance(right, ast.List | ast.Tuple):
        return Comparison(left.id, "is_in", [_value(item) for item in right.elts])
    name = OPERATORS.get(type(operator))
    if name is not None and _is_column(left):
        return Comparison(ast.unparse(left), name, _value(right))
    if name is not None and _is_column(right):
        return Comparison(ast.unparse(right), TURNED.get(name, name), _value(left))
    raise _unknown(left)


def _is_column(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Name) and tree.id not in WORDS


def _value(tree: ast.expr) -> Any:
    if isinstance(tree, ast.Name) and tree.id in WORDS:
        return WORDS[tree.id]
    try:
        value = ast.literal_eval(tree)
    except ValueError:
        raise _unknown(tree) from None
    if not isinstance(value, str | int | float | bool):
        raise _unknown(tree)
    return value


def _unknown(tree: ast.expr) -> ValueError:
    return ValueError(
        f"{ast.unparse(tree)!r} isn't known here: compare columns with values, as in \"price > 10 and city in "
        "['Bern']\"; the stage `filter` knows more"
    )
