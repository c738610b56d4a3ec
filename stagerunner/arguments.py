"""What the Python API is called with: a call that makes no sense is a UsageError that says what to write instead."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from stagerunner.errors import UsageError
from stagerunner.plan.preparing import Request

_TEXTS = (str, bytes, bytearray, memoryview)


def checked_source(source: Any) -> Any:
    """What a config is taken from: a path, a text, or a mapping."""
    if isinstance(source, str | Mapping):
        return source
    if isinstance(source, os.PathLike) and isinstance(os.fspath(source), str):
        return source
    raise UsageError(f"a config is a path, a text or a mapping, not {_called(source)}")


def request_of(vars: Any, sets: Any, plugins: Any, engine: Any, only: Any) -> Request:
    """The call's arguments, checked; the command line has the same."""
    for name, value, example in (("vars", vars, "{'NAME': value}"), ("set", sets, "{'run.window': '8MiB'}")):
        if not isinstance(value, Mapping) and not _texts(value):
            raise UsageError(f"`{name}` is a mapping, as in {example}, or a list of texts, not {_called(value)}")
    if isinstance(plugins, str | os.PathLike) or not isinstance(plugins, Iterable):
        raise UsageError(f"`plugins` is a list, as in plugins=['./my_stages.py'], not {_called(plugins)}")
    for name, text in (("engine", engine), ("only", only)):
        if text is not None and not isinstance(text, str):
            raise UsageError(f"`{name}` is a text, not {_called(text)}")
    return Request(vars=vars, sets=sets, plugins=[_plugin(one) for one in plugins], engine=engine, only=only)


def _texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, _TEXTS) and all(isinstance(one, str) for one in value)


def _plugin(given: Any) -> Any:
    if isinstance(given, os.PathLike):
        path = os.fspath(given)
        return path if os.sep in path else f".{os.sep}{path}"
    if isinstance(given, str | ModuleType) or callable(given):
        return given
    raise UsageError(f"a plugin is a text, a path, a module, or a function or class, not {_called(given)}")


def checked_records(records: Any) -> Iterable[Any]:
    """What a run is to work on: anything that gives records one after the other, but for what gives something else."""
    if isinstance(records, _TEXTS):
        raise UsageError(f"`records` is one record, {_called(records)}: give a list of records, [{_brief(records)}]")
    if isinstance(records, Mapping):
        raise UsageError("`records` is a mapping, which gives its keys: give a list of records, or its .items()")
    if isinstance(records, AsyncIterable) and not isinstance(records, Iterable):
        raise UsageError("`records` is an async iterator: give a plain one")
    if not isinstance(records, Iterable) and not hasattr(records, "__getitem__"):
        raise UsageError(f"`records` is no iterable of records, but {_called(records)}")
    return records  # type: ignore[no-any-return]


def _called(value: Any) -> str:
    if value is None:
        return "None"
    if callable(value):
        return f"the {'class' if isinstance(value, type) else 'function'} {getattr(value, '__name__', '')}".rstrip()
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else "…"
