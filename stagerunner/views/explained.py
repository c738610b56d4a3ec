"""One part explained: what it takes and returns, its options, how to write it, where its code is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, to_builtins

from stagerunner.catalog import Resolved
from stagerunner.config.options import Option, options_of
from stagerunner.guard import shown
from stagerunner.parts.base import Kind, Part
from stagerunner.parts.forming import form_of
from stagerunner.parts.sink import check_sink
from stagerunner.parts.source import gives_marks, is_stream
from stagerunner.parts.stage import Form
from stagerunner.plan.promise import state_warning
from stagerunner.plan.undeclared_state import undeclared_change
from stagerunner.views.resolved import size

_KEEPS = {
    "truncate": "a stopped run can be resumed",
    "transaction": "a stopped run can be resumed; all or nothing",
    "nothing": "what was written can't be taken back, so a stopped run can't be resumed",
}


class ExplainedOption(Struct, frozen=True):
    """One option. takes: the values it allows, in words. wants: its default, or "required"."""

    name: str
    takes: str
    wants: str
    help: str
    required: bool


class Explained(Struct, frozen=True):
    """A part. form: short phrases that say how it behaves. place: "file:line" of its code."""

    kind: Kind
    name: str
    summary: str
    provider: str
    form: tuple[str, ...]
    options: tuple[ExplainedOption, ...]
    target: str
    place: str

    def data(self) -> dict[str, Any]:
        plain: dict[str, Any] = to_builtins(self)
        return plain

    def example(self) -> Iterator[str]:
        """How to write it in a config, with `…` for required options."""
        key = {"stage": "- use", "source": "source", "sink": "sink"}[self.kind]
        left_open = ", ".join(f"{option.name}: …" for option in self.options if option.required)
        if self.kind != "stage":
            yield f"{key}: {{use: {self.name}, with: {{{left_open}}}}}" if left_open else f"{key}: {self.name}"
        elif left_open:
            yield f"{key}: {self.name}"
            yield f"  with: {{{left_open}}}"
        else:
            yield f"- {self.name}"


def explain(kind: Kind, use: str, resolved: Resolved) -> Explained:
    """The explanation of a part. use: the name or address that the user gave."""
    part, found = resolved.part, resolved.found
    options, unclear = _options(kind, found)
    return Explained(
        kind,
        use,
        part.summary,
        resolved.provider,
        (*_form(kind, found), *_chosen_by(part), *unclear),
        options,
        part.target,
        _place(found),
    )


def _chosen_by(part: Part) -> tuple[str, ...]:
    return (f"chosen by {', '.join(part.suffixes)}",) if part.suffixes else ()


def _options(kind: Kind, found: Any) -> tuple[tuple[ExplainedOption, ...], tuple[str, ...]]:
    try:
        return tuple(_option(option) for option in options_of(found, kind)), ()
    except TypeError as why:
        return (), (f"its options are unclear: {why}",)


def _option(option: Option) -> ExplainedOption:
    takes = option.describe()
    wants = "required" if option.required else default_text(option.default, takes)
    return ExplainedOption(option.name, takes, wants, option.help, option.required)


def default_text(value: Any, takes: str = "") -> str:
    """A default as it is written in a config; "" for None. takes: the values that the option allows, in words."""
    match value, takes:
        case None, _:
            return ""
        case int(), "size":
            return size(value)
        case int() | float(), "duration":
            return f"{value:g}s"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)


def _form(kind: Kind, found: Any) -> tuple[str, ...]:
    try:
        return {"stage": _stage, "source": _source, "sink": _sink}[kind](found)
    except TypeError as why:
        return (f"it can't be a {kind}: {why}",)


def _stage(found: Any) -> tuple[str, ...]:
    form: Form = form_of(found)
    change = None if form.state else undeclared_change(found)
    many = "none, one or many records out of each" if form.many else "may drop records" if form.drops else ""
    phrases = (
        "Arrow record batches"
        if form.arrow
        else "a list of records at a time"
        if form.batch
        else "one record at a time",
        many,
        "async" if form.awaited else "",
        "has state: one worker" if form.state else state_warning(change) if change else "safe with many workers",
        "its state is kept across restarts" if form.snapshots else "",
    )
    return tuple(phrase for phrase in phrases if phrase)


def _source(found: Any) -> tuple[str, ...]:
    if gives_marks(found):
        return ("a stream: can be resumed from its marks",)
    return ("a stream: can't be read again",) if is_stream(found) else ("splittable: can be read again and resumed",)


def _sink(found: Any) -> tuple[str, ...]:
    check_sink(found)
    return (_KEEPS[found.keeps],)


def _place(found: Any) -> str:
    try:
        found = inspect.unwrap(found)
        return f"{shown(inspect.getsourcefile(found) or '')}:{inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return "not written in Python"
