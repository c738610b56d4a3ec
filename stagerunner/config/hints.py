"""What libyaml complains of, in plain words: what was meant to be written, and how."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml
from msgspec import Struct

from stagerunner.config.options.wording import shortened
from stagerunner.config.page import Page
from stagerunner.errors import Mistake


class Riddle(Struct, frozen=True):
    """An error of the YAML reader and the line it stands in. Lines and columns count from 0."""

    page: Page
    problem: str
    context: str
    line: int
    column: int
    opened: yaml.Mark | None

    @property
    def text(self) -> str:
        return self.page.line(self.line)

    @property
    def rest(self) -> str:
        """The line from the place of the error on."""
        return self.page.tail(self.line, self.column)

    @property
    def before(self) -> str:
        """The line up to the place of the error."""
        return self.text[: len(self.text) - len(self.rest)]

    def answer(self, message: str, fix: str, column: int | None = None, width: int = 1) -> Mistake:
        mark = self.page.mark(self.line, self.column if column is None else column, width)
        return Mistake("yaml", message, mark, fix=fix)


def explain(error: yaml.MarkedYAMLError, page: Page) -> Mistake:
    """The mistake behind an error of the YAML reader."""
    riddle = _riddle(error, page)
    answers = (answer(riddle) for answer in _ANSWERS)
    return next((answer for answer in answers if answer), _plainly(riddle))


def _riddle(error: yaml.MarkedYAMLError, page: Page) -> Riddle:
    context, problem = error.context or "", error.problem or "it makes no sense"
    place = error.problem_mark or error.context_mark
    if context.startswith(("while scanning an alias", "while scanning an anchor")):
        place = error.context_mark or place
    line, column = (place.line, place.column) if place else (0, 0)
    return Riddle(page, problem, context, line, column, error.context_mark)


def _special_first_character(riddle: Riddle) -> Mistake | None:
    first = riddle.rest[:1]
    cannot_start = "cannot start any token" in riddle.problem and first != "\t"
    if not cannot_start and not ("an alias" in riddle.context or "an anchor" in riddle.context):
        return None
    value = _value(riddle.rest)
    return riddle.answer(
        f"a value that starts with `{first}` must be quoted", f'write "{shortened(value)}"', width=len(value)
    )


def _tab(riddle: Riddle) -> Mistake | None:
    if "tab character" not in riddle.problem and riddle.rest[:1] != "\t":
        return None
    return riddle.answer("YAML does not allow tabs for indentation; this line starts with one", "use spaces")


def _variable_in_brackets(riddle: Riddle) -> Mistake | None:
    if "flow" not in riddle.context or not riddle.rest.startswith("{") or not riddle.before.endswith("$"):
        return None
    variable = "$" + (re.match(r"\{[^{}]*\}?", riddle.rest) or [""])[0]
    fix = f'write "{variable}"'
    return riddle.answer("inside { } and [ ] a variable must be quoted", fix, riddle.column - 1, len(variable))


def _lone_dash(riddle: Riddle) -> Mistake | None:
    if "sequence entries are not allowed" not in riddle.problem:
        return None
    if riddle.rest.strip() == "-":
        return riddle.answer("a lone `-` must be quoted", 'write stdout, or "-"')
    return riddle.answer("a list can't begin behind its key", "begin it on a line of its own, or write [a, b]")


def _colon_in_value(riddle: Riddle) -> Mistake | None:
    if "mapping values are not allowed" not in riddle.problem:
        return None
    entry = re.match(r"(\s*(?:- +)*[^\s:#][^:]*:\s+)(?=\S)", riddle.before)
    if entry is None:
        fix = "line it up with the keys around it, and end the line above with `:` if it is a key"
        return riddle.answer("this line doesn't fit the lines above it", fix)
    value = riddle.text[entry.end() :].rstrip()
    column = riddle.column - (len(riddle.before) - entry.end())
    return riddle.answer("a value containing `: ` must be quoted", f'write "{shortened(value)}"', column, len(value))


def _text_behind_value(riddle: Riddle) -> Mistake | None:
    """ "did not find expected key": something goes on behind a closing quote or bracket."""
    if "expected key" not in riddle.problem and "<block end>" not in riddle.problem:
        return None
    entry = re.match(r"\s*(?:- +)*(?:[^\s:][^:]*:\s+)?(?=['\"\[{])", riddle.before)
    if entry is None:
        return None
    value = riddle.text[entry.end() :].rstrip()
    column = riddle.column - (len(riddle.before) - entry.end())
    if value[0] in "[{":
        message, fix = f"a value that starts with `{value[0]}` must be quoted", f'write "{shortened(value)}"'
    elif value[0] == "'":
        message, fix = (
            "a `'` inside single quotes must be doubled",
            f"write {shortened(_doubled(value))}, or use double quotes",
        )
    else:
        message, fix = "something follows the closing quote", "quote all of it, with `'` outside"
    return riddle.answer(message, fix, column, len(value))


def _out_of_line(riddle: Riddle) -> Mistake | None:
    if riddle.context != "while parsing a block collection" or riddle.opened is None:
        return None
    item = re.match(r"\s*-\s+([^\s:]+):(?:\s|$)", riddle.page.line(riddle.opened.line))
    key = re.match(r"([^\s:]+):", riddle.rest)
    fix = "line it up with the list, or indent it under one of its items"
    if item and key and riddle.opened.line != riddle.line:
        fix = f"line up `{shortened(key[1])}:` under `{shortened(item[1])}:` (column {item.start(1) + 1})"
    return riddle.answer("this line doesn't line up with the list above it", fix)


def _unclosed(riddle: Riddle) -> Mistake | None:
    if riddle.opened is None or not riddle.context.startswith(("while parsing a flow", "while scanning a quoted")):
        return None
    opened = riddle.page.span(riddle.opened, riddle.opened)
    if "quoted" in riddle.context and "end of stream" in riddle.problem:
        return Mistake("yaml", "this quote is never closed", opened, fix="close it")
    if "flow" not in riddle.context:
        return None
    ends = "`,` or `}`" if "mapping" in riddle.context else "`,` or `]`"
    mistake = riddle.answer(f"here a {ends} is missing", "")
    return Mistake("yaml", mistake.message, mistake.mark, related=((opened, "opened here"),))


def _escape(riddle: Riddle) -> Mistake | None:
    if "escape" not in riddle.problem and "hex" not in riddle.problem:
        return None
    message = "inside double quotes a `\\` begins an escape, and this is none"
    return riddle.answer(message, "use single quotes, or write `\\\\`")


def _plainly(riddle: Riddle) -> Mistake:
    where = f" {riddle.context}" if riddle.context else ""
    return riddle.answer(f"this can't be read as YAML: {riddle.problem}{where}", "")


_ANSWERS: tuple[Callable[[Riddle], Mistake | None], ...] = (
    _special_first_character,
    _tab,
    _variable_in_brackets,
    _lone_dash,
    _colon_in_value,
    _text_behind_value,
    _out_of_line,
    _escape,
    _unclosed,
)


def _value(rest: str) -> str:
    return (re.match(r"[^\s,\]}]+", rest) or [rest[:1]])[0]


def _doubled(value: str) -> str:
    inner = value[1:-1] if value.endswith("'") and len(value) > 1 else value[1:]
    return "'" + inner.replace("''", "'").replace("'", "''") + "'"
