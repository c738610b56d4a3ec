"""Stages that remember something between records and don't say so, found by reading their code.

What a stage assigns to itself, or puts into something that it keeps, outlives the call; with several workers each has
some of it, and after a death some is lost or counted twice. Where the source isn't to be had, nothing is said.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from types import FunctionType, ModuleType
from typing import Any

from stagerunner.parts.base import part_of
from stagerunner.tuples import NamedTuple

CHANGING = frozenset(
    (
        *("add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert"),
        *("intersection_update", "move_to_end", "pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort"),
        *("subtract", "symmetric_difference_update", "update"),
    )
)
"""Methods that change what they are called on."""

CHANGING_FIRST = frozenset(("next", "heappush", "heappop", "heapreplace", "heappushpop", "insort", "setattr"))
"""Functions that change their first argument."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Change(NamedTuple):
    """What is changed ("self.total"), and where."""

    what: str
    file: str
    line: int


def remembers(found: Any) -> Change | None:
    """The first change that outlives a call of this transform, if it doesn't say what it is by `state`."""
    part = part_of(found)
    if part is not None and part.state is not None:
        return None
    if inspect.isclass(found):
        if any(hasattr(found, name) for name in ("flush", "snapshot")):
            return None
        start = getattr(found, "process", None) or getattr(found, "process_batch", None)
    else:
        start = found
    reading = Reading(found if inspect.isclass(found) else None)
    return next(reading.changes(inspect.unwrap(start)), None) if callable(start) else None


class Reading:
    """Follows a transform through the functions of its own file that it calls. owner: its class, if it is one."""

    def __init__(self, owner: type | None) -> None:
        self._owner = owner
        self._met: set[Any] = set()

    def changes(self, function: Any) -> Iterator[Change]:
        """What a call of this changes and outlives it, in the order of its lines, then in what it calls."""
        node = node_of(function)
        if node is None or function in self._met:
            return
        self._met.add(function)
        names = Names(function, node, self._owner)
        file = function.__code__.co_filename
        yield from (Change(what, file, line) for line, what in names.changed())
        for called in names.called():
            yield from self.changes(called)


class Names:
    """What the names in one function stand for."""

    def __init__(self, function: FunctionType, node: Function, owner: type | None) -> None:
        self._function = function
        self._node = node
        arguments = [*node.args.posonlyargs, *node.args.args]
        own = owner is not None and function.__qualname__.rpartition(".")[0] != "" and bool(arguments)
        static = isinstance(inspect.getattr_static(owner, function.__name__, None), staticmethod)
        self._self = arguments[0].arg if own and not static else ""
        self._owner = owner
        self._lasting = self._kept_names()
        self._aliases = dict(self._aliased())

    def _kept_names(self) -> set[str]:
        """Names that outlive the call: of the module, of functions around this one, and defaults that can change."""
        code = self._function.__code__
        names = set(code.co_freevars) - {"__class__"}
        names |= {name for name in code.co_names if _can_change(self._function.__globals__.get(name))}
        required = code.co_varnames[: code.co_argcount]
        defaults = self._function.__defaults__ or ()
        given = dict(zip(required[len(required) - len(defaults) :], defaults, strict=True))
        given |= self._function.__kwdefaults__ or {}
        return names | {name for name, value in given.items() if _can_change(value)}

    def _aliased(self) -> Iterator[tuple[str, str]]:
        """Local names for something kept: `seen = self.seen`."""
        for node in ast.walk(self._node):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() | ast.Subscript() as value):
                    if what := self._what(value, local=False):
                        yield name, what

    def _what(self, node: ast.expr, *, local: bool = True) -> str:
        """ "self.total" where this is part of something kept; else nothing."""
        path = ""
        while isinstance(node, ast.Attribute | ast.Subscript):
            path = f".{node.attr}" if isinstance(node, ast.Attribute) else ""
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        if node.id == self._self:
            return f"{node.id}{path}" if path else ""
        if local and node.id in self._aliases:
            return self._aliases[node.id]
        return node.id if node.id in self._lasting else ""

    def changed(self) -> list[tuple[int, str]]:
        """(line, what): every change of something kept."""
        start = self._function.__code__.co_firstlineno - _first_line(self._node)
        made = {id(inner) for node in ast.walk(self._node) for inner in self._made_once(node)}
        found = [
            (target.lineno + start, what)
            for node in ast.walk(self._node)
            if id(node) not in made
            for target in _targets(node)
            if (what := self._what(target) if isinstance(node, ast.Call) else self._assigned(target))
        ]
        return sorted(found)

    def _assigned(self, target: ast.expr) -> str:
        """What assigning to this changes. A name alone is changed where it is declared to be another's."""
        if isinstance(target, ast.Name):
            return target.id if target.id in self._declared() else ""
        return self._what(target)

    def _declared(self) -> set[str]:
        nodes = [node for node in ast.walk(self._node) if isinstance(node, ast.Global | ast.Nonlocal)]
        return {name for node in nodes for name in node.names}

    def _made_once(self, node: ast.AST) -> Iterator[ast.AST]:
        """What is made when it is first needed remembers nothing of the records: `if self.x is None: self.x = …`."""
        if not isinstance(node, ast.If):
            return
        tested = {self._what(inner) for inner in ast.walk(node.test) if isinstance(inner, ast.Attribute)}
        match node.test:
            case ast.Compare(ops=[ast.Is()], comparators=[ast.Constant(value=None)]) | ast.UnaryOp(op=ast.Not()):
                pass
            case _:
                return
        if isinstance(node.test, ast.UnaryOp) and isinstance(node.test.operand, ast.Call):
            match node.test.operand:
                case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(id=own), ast.Constant(value=str(name))]):
                    tested = {f"{own}.{name}"}
        for inner in node.body:
            match inner:
                case ast.Assign(targets=[ast.Attribute() as target]) if self._what(target) in tested:
                    yield inner

    def called(self) -> Iterator[Any]:
        """The methods of its own, and the functions of its own module, that it calls."""
        for node in ast.walk(self._node):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name and name == self._self:
                    found = getattr(self._owner, method, None)
                case ast.Call(func=ast.Name(id=name)):
                    found = self._function.__globals__.get(name)
                case _:
                    continue
            if isinstance(found, FunctionType) and found.__module__ == self._function.__module__:
                yield found


def _can_change(value: Any) -> bool:
    """Whether a value that a name outside stands for could hold something of a record."""
    fixed = (str, bytes, int, float, complex, bool, tuple, frozenset, ModuleType, type, FunctionType)
    return value is not None and not isinstance(value, fixed)


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """What a statement or call changes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from _single(targets)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()) | ast.For(target=target):
            yield from _single([target])
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in CHANGING:
            yield value
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if name in CHANGING_FIRST:
            yield first


def _single(targets: Iterable[ast.expr]) -> Iterator[ast.expr]:
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from _single(target.elts)
        else:
            yield target.value if isinstance(target, ast.Starred) else target


def node_of(function: Any) -> Function | None:
    """The definition of a function, read from its file; None where that isn't to be had."""
    code = getattr(function, "__code__", None)
    if code is None or not isinstance(function, FunctionType):
        return None
    linecache.checkcache(code.co_filename)
    return _functions("".join(linecache.getlines(code.co_filename, function.__globals__))).get(code.co_firstlineno)


@lru_cache(maxsize=16)
def _functions(source: str) -> dict[int, Function]:
    """The functions of a file by the line in which each begins, decorators included."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {_first_line(node): node for node in nodes if isinstance(node, Function)}


def _first_line(node: Function) -> int:
    return reduce(min, (decorator.lineno for decorator in node.decorator_list), node.lineno)
