"""Expressions over a record: a small part of Python's, parsed by Python and compiled to closures, never run as code.

A name is a field of the record, and `record` is the whole record. Only what the tables below list is allowed.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from stagerunner.errors import Reject
from stagerunner.evaluate.wording import nearest, text_of
from stagerunner.parts.text_option import TextOption

Evaluate: TypeAlias = Callable[[Any], Any]
"""Record in, value out."""

WHOLE = "record"

MOST_NAMES = 500
"""At most so many fields are compared with a missing one, to suggest a similar name."""

SHOWN = 40
"""Characters of a value that a message shows."""

OTHERWISE = {"true": "True", "false": "False", "null": "None", "none": "None"}
"""How Python writes what YAML writes so."""


def matches(text: str, pattern: str) -> bool:
    """Whether the regular expression is found anywhere in the text."""
    return re.search(pattern, text) is not None


COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg}
CALLS: dict[str, tuple[int, Callable[..., Any]]] = {
    "len": (1, len),
    "lower": (1, lambda text: text.lower()),
    "upper": (1, lambda text: text.upper()),
    "strip": (1, lambda text: text.strip()),
    "round": (2, round),
    "int": (1, int),
    "float": (1, float),
    "str": (1, str),
    "startswith": (2, lambda text, start: text.startswith(start)),
    "endswith": (2, lambda text, end: text.endswith(end)),
    "contains": (2, lambda items, item: item in items),
    "matches": (2, matches),
}
"""Name → number of arguments, and the function."""


class Expression(TextOption):
    """An expression over a record, as an option type. Call it with a record."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._evaluate = _read(text)

    def __call__(self, record: Any) -> Any:
        """Raises Reject if the record lacks a field that is evaluated, else whatever the operations raise."""
        return self._evaluate(record)


def missing_field(record: Any, name: str) -> Reject:
    """The refusal of a record that lacks a field."""
    if isinstance(record, Mapping):
        near = _nearest(name, tuple(islice((key for key in record if isinstance(key, str)), MOST_NAMES)))
        return Reject(f"the record has no field {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    advice = (
        "; put `parse` or `json.parse` before this stage to make fields of a text" if isinstance(record, str) else ""
    )
    return Reject(f"the record has no field {name!r}: it is of type {type(record).__name__}, not a mapping{advice}")


_nearest = lru_cache(maxsize=256)(nearest)
"""Records that lack a field are often many, and alike."""


def _read(text: str) -> Evaluate:
    if "\0" in text:
        raise ValueError("it contains a null character")
    try:
        with warnings.catch_warnings():
            # Python warns of \d in a text that isn't raw; in a pattern it is what the user means.
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
        return _made(tree.body)
    except SyntaxError as error:
        raise ValueError(f"it can't be read: {error.msg}{_advice(text)}") from None
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deeply") from None


def _advice(text: str) -> str:
    for wrong, right in (("&&", "and"), ("||", "or"), ("=>", ">="), ("=<", "<="), ("<>", "!="), ("!", "not")):
        if wrong in text:
            return f"; write `{right}` for {wrong}"
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "; write `==` for ="
    if _WORDS.fullmatch(text.strip()):
        return f'; a text needs quotes of its own: "{text.strip()}"'
    return ""


_WORDS = re.compile(r"\w+([ -]\w+){1,9}")
"""Words that were meant as a text."""


def _made(node: ast.expr) -> Evaluate:
    form = FORMS.get(type(node))
    if form is None:
        raise ValueError(f"`{ast.unparse(node):.60}` is not allowed in an expression{_instead(node)}")
    return form(node)


def _instead(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"; for a field inside a field write {ast.unparse(node.value)}[{node.attr!r}]"
    return ""


def _constant(node: ast.Constant) -> Evaluate:
    value = node.value
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError(f"`{ast.unparse(node):.60}` is not allowed in an expression")
    return lambda record: value


def _name(node: ast.Name) -> Evaluate:
    name = node.id
    if name == WHOLE:
        return lambda record: record
    if name in OTHERWISE:
        raise ValueError(f"write {OTHERWISE[name]} for {name}; a field of that name is record[{name!r}]")

    def read(record: Any) -> Any:
        # The first test is cheap, and nearly always true.
        if (type(record) is dict or isinstance(record, Mapping)) and name in record:
            return record[name]
        raise missing_field(record, name)

    return read


def _subscript(node: ast.Subscript) -> Evaluate:
    if isinstance(node.slice, ast.Slice):
        return _slice(node.value, node.slice)
    found, key = _made(node.value), _made(node.slice)

    def read(record: Any) -> Any:
        wanted = key(record)
        try:
            return found(record)[wanted]
        except (KeyError, IndexError):
            raise missing_field(record, f"{ast.unparse(node.value)}[{wanted!r}]") from None

    return read


def _slice(value: ast.expr, node: ast.Slice) -> Evaluate:
    if node.step is not None:
        raise ValueError(f"`{ast.unparse(node):.60}` has a step, and only a start and an end are allowed")
    found, source = _made(value), ast.unparse(value)
    start, end = (None if bound is None else _made(bound) for bound in (node.lower, node.upper))

    def read(record: Any) -> Any:
        whole = found(record)
        if not isinstance(whole, str | bytes | list | tuple):
            raise TypeError(f"only a text or list has pieces, and {source:.60} is {text_of(whole, SHOWN)}")
        return whole[start and start(record) : end and end(record)]

    return read


def _compare(node: ast.Compare) -> Evaluate:
    for kind, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(kind, ast.Is | ast.IsNot) and not _single(right):
            raise ValueError("`is` can only compare with None, True and False; write == or != instead")
    first = _made(node.left)
    pairs = [(COMPARISONS[type(kind)], _made(right)) for kind, right in zip(node.ops, node.comparators, strict=True)]
    if len(pairs) > 1:
        return _chain(first, pairs)
    return _operation(node, pairs[0][0], (node.left, first), (node.comparators[0], pairs[0][1]))


def _single(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _chain(first: Evaluate, pairs: list[tuple[Callable[[Any, Any], Any], Evaluate]]) -> Evaluate:
    def evaluate(record: Any) -> bool:
        left = first(record)
        for compare, second in pairs:
            right = second(record)
            if not compare(left, right):
                return False
            left = right
        return True

    return evaluate


def _both(node: ast.BoolOp) -> Evaluate:
    parts = [_made(value) for value in node.values]
    if isinstance(node.op, ast.And):
        return lambda record: all(part(record) for part in parts)
    return lambda record: any(part(record) for part in parts)


def _either(node: ast.IfExp) -> Evaluate:
    condition, first, second = _made(node.test), _made(node.body), _made(node.orelse)
    return lambda record: first(record) if condition(record) else second(record)


def _unary(node: ast.UnaryOp) -> Evaluate:
    if type(node.op) not in UNARY:
        raise ValueError(f"`{ast.unparse(node):.60}` is not allowed in an expression")
    change, value = UNARY[type(node.op)], _made(node.operand)
    return lambda record: change(value(record))


def _binary(node: ast.BinOp) -> Evaluate:
    if type(node.op) not in ARITHMETIC:
        raise ValueError(f"`{ast.unparse(node):.60}` is not allowed in an expression; there are + - * / // %")
    return _operation(node, ARITHMETIC[type(node.op)], (node.left, _made(node.left)), (node.right, _made(node.right)))


def _operation(
    node: ast.BinOp | ast.Compare,
    operate: Callable[[Any, Any], Any],
    left: tuple[ast.expr, Evaluate],
    right: tuple[ast.expr, Evaluate],
) -> Evaluate:
    """An operation on two values. If their types don't fit, the TypeError shows the values and not their types."""
    first, second = left[1], right[1]

    def evaluate(record: Any) -> Any:
        one, other = first(record), second(record)
        try:
            return operate(one, other)
        except TypeError:
            raise TypeError(_unlike(node, ((left[0], one), (right[0], other)))) from None

    return evaluate


def _unlike(node: ast.BinOp | ast.Compare, operands: tuple[tuple[ast.expr, Any], ...]) -> str:
    """Why the operation is not possible, and what to write if a number is among the texts."""
    given = [(ast.unparse(one), value) for one, value in operands if not isinstance(one, ast.Constant)]
    values = " and ".join(f"{source:.60} is {text_of(value, SHOWN)}" for source, value in given)
    texts = [source for source, value in given if isinstance(value, str)]
    numbers = any(isinstance(value, int | float) for _, value in operands)
    fix = f"; write float({texts[0]:.60})" if texts and numbers else ""
    return f"`{_symbol(node)}` takes no such values: {values}{fix}"


def _symbol(node: ast.BinOp | ast.Compare) -> str:
    """The operator as it is written."""
    one, other = ast.Name("a"), ast.Name("b")
    plain = ast.BinOp(one, node.op, other) if isinstance(node, ast.BinOp) else ast.Compare(one, node.ops[:1], [other])
    return ast.unparse(plain).removeprefix("a ").removesuffix(" b")


def _items(node: ast.List | ast.Tuple | ast.Set) -> Evaluate:
    parts = [_made(item) for item in node.elts]
    if all(isinstance(item, ast.Constant) for item in node.elts):
        items = [part(None) for part in parts]
        return lambda record: items
    return lambda record: [part(record) for part in parts]


def _call(node: ast.Call) -> Evaluate:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in CALLS:
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        there_are = f"write {method}(…)" if method in CALLS else f"there are {', '.join(CALLS)}"
        raise ValueError(f"there is no {name:.60}(); {there_are}")
    number, function = CALLS[name]
    if len(node.args) != number or node.keywords:
        raise ValueError(f"{name}() takes {number} value{'s' * (number > 1)}")
    if name == "matches":
        _check_pattern(node.args[1])
    values = [_made(value) for value in node.args]
    return lambda record: function(*(value(record) for value in values))


def _check_pattern(node: ast.expr) -> None:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return
    try:
        re.compile(node.value)
    except (re.error, OverflowError) as error:
        raise ValueError(f"{node.value!r:.60} is not a regular expression: {error}") from None


FORMS: dict[type[ast.expr], Callable[[Any], Evaluate]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Subscript: _subscript,
    ast.Compare: _compare,
    ast.BoolOp: _both,
    ast.IfExp: _either,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.List: _items,
    ast.Tuple: _items,
    ast.Set: _items,
    ast.Call: _call,
}
