"""Finds stages that keep something between records without declaring state, by reading their code.

What a stage assigns to itself, or adds to a container that it keeps, outlives the call. With several workers each has
a part of it, and after a death some is lost or counted twice. Without source code, nothing is reported.
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


def undeclared_change(found: Any) -> Change | None:
    """The first change that outlives a call of this transform; None if there is none, or if it declares `state`."""
    part = part_of(found)
    if part is not None and part.state is not None:
        return None
    if inspect.isclass(found):
        if any(hasattr(found, name) for name in ("flush", "snapshot")):
            return None
        start = getattr(found, "process", None) or getattr(found, "process_batch", None)
    else:
        start = found
    walk = CallWalk(found if inspect.isclass(found) else None)
    return next(walk.changes(inspect.unwrap(start)), None) if callable(start) else None


class CallWalk:
    """Walks from a transform through the functions of its own module that it calls. owner: its class, if it is one."""

    def __init__(self, owner: type | None) -> None:
        self._owner = owner
        self._visited: set[Any] = set()

    def changes(self, function: Any) -> Iterator[Change]:
        """The changes that outlive a call of this function, by line, then those in what it calls."""
        node = node_of(function)
        if node is None or function in self._visited:
            return
        self._visited.add(function)
        scope = Scope(function, node, self._owner)
        file = function.__code__.co_filename
        yield from (Change(what, file, line) for line, what in scope.changed())
        for called in scope.called():
            yield from self.changes(called)


class Scope:
    """One function: which of its names stand for something that outlives a call."""

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
        """Names from outside the call: module globals, closures, and mutable defaults."""
        code = self._function.__code__
        names = set(code.co_freevars) - {"__class__"}
        names |= {name for name in code.co_names if _can_change(self._function.__globals__.get(name))}
        required = code.co_varnames[: code.co_argcount]
        defaults = self._function.__defaults__ or ()
        given = dict(zip(required[len(required) - len(defaults) :], defaults, strict=True))
        given |= self._function.__kwdefaults__ or {}
        return names | {name for name, value in given.items() if _can_change(value)}

    def _aliased(self) -> Iterator[tuple[str, str]]:
        """Local names for something that outlives the call: `seen = self.seen`."""
        for node in ast.walk(self._node):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() | ast.Subscript() as value):
                    if what := self._what(value, local=False):
                        yield name, what

    def _what(self, node: ast.expr, *, local: bool = True) -> str:
        """ "self.total" if this is part of something that outlives the call, else ""."""
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
        """(line, what) for every change of something that outlives the call."""
        start = self._function.__code__.co_firstlineno - _first_line(self._node)
        lazy = {id(inner) for node in ast.walk(self._node) for inner in self._lazy_assignments(node)}
        found = [
            (target.lineno + start, what)
            for node in ast.walk(self._node)
            if id(node) not in lazy
            for target in _targets(node)
            if (what := self._what(target) if isinstance(node, ast.Call) else self._assigned(target))
        ]
        return sorted(found)

    def _assigned(self, target: ast.expr) -> str:
        """What an assignment to this changes. A bare name counts only if it is declared global or nonlocal."""
        if isinstance(target, ast.Name):
            return target.id if target.id in self._declared() else ""
        return self._what(target)

    def _declared(self) -> set[str]:
        nodes = [node for node in ast.walk(self._node) if isinstance(node, ast.Global | ast.Nonlocal)]
        return {name for node in nodes for name in node.names}

    def _lazy_assignments(self, node: ast.AST) -> Iterator[ast.AST]:
        """Assignments that initialise lazily, `if self.x is None: self.x = …`: they keep nothing of a record."""
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
        """The methods of its own class and the functions of its own module that it calls."""
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
    """Whether a value is mutable, so that it could keep something of a record."""
    fixed = (str, bytes, int, float, complex, bool, tuple, frozenset, ModuleType, type, FunctionType)
    return value is not None and not isinstance(value, fixed)


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that a statement or call changes."""
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
    """The definition of a function, read from its file; None if there is no source."""
    code = getattr(function, "__code__", None)
    if code is None or not isinstance(function, FunctionType):
        return None
    linecache.checkcache(code.co_filename)
    return _functions("".join(linecache.getlines(code.co_filename, function.__globals__))).get(code.co_firstlineno)


@lru_cache(maxsize=16)
def _functions(source: str) -> dict[int, Function]:
    """The functions of a file by their first line, decorators included."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {_first_line(node): node for node in nodes if isinstance(node, Function)}


def _first_line(node: Function) -> int:
    return reduce(min, (decorator.lineno for decorator in node.decorator_list), node.lineno)
