"""Errors of the YAML reader → mistakes in plain words: what was probably meant, and how to write it."""

from __future__ import annotations

import re

import yaml
from msgspec import Struct

from stagerunner.config.text import ConfigText
from stagerunner.config.wording import shortened
from stagerunner.errors import Mistake
from stagerunner.tuples import NamedTuple


class YamlError(Struct, frozen=True):
    """An error of the YAML reader and its place. Line and column count from 0."""

    text: ConfigText
    problem: str
    context: str
    line: int
    column: int
    opened: yaml.Mark | None

    @property
    def rest(self) -> str:
        """The line from the place of the error on."""
        return self.text.tail(self.line, self.column)

    @property
    def before(self) -> str:
        """The line up to the place of the error."""
        line = self.text.line(self.line)
        return line[: len(line) - len(self.rest)]

    def mistake(self, message: str, fix: str, column: int | None = None, width: int = 1) -> Mistake:
        mark = self.text.mark(self.line, self.column if column is None else column, width)
        return Mistake("yaml", message, mark, fix=fix)


class Hint(NamedTuple):
    """What an error means. `said` is a pattern for pyyaml's words; `before` and `rest` match the line around its place.

    The group "value" is what the mistake is about: it begins in `before` or in `rest`. `message` and `fix` may name
    {value}, its {first} character, {doubled}: it between single quotes in place of its own, and {quoted}: all of it
    between quotes.
    """

    said: str
    message: str
    fix: str
    before: str = ""
    rest: str = ""

    def apply(self, error: YamlError) -> Mistake | None:
        """The mistake, if the hint fits the error."""
        before, rest = re.match(self.before, error.before), re.match(self.rest, error.rest)
        if before is None or rest is None or not re.search(self.said, f"{error.context}: {error.problem}"):
            return None
        column, value = error.column, ""
        if "value" in before.groupdict():
            column -= len(error.before) - before.start("value")
            value = error.before[before.start("value") :] + (rest[0] if self.rest else error.rest)
        elif "value" in rest.groupdict():
            value = rest["value"]
        value = value.rstrip()
        words = {"value": shortened(value), "first": value[:1], "doubled": shortened(_doubled(value))}
        words["quoted"] = _quoted(shortened(value))
        return error.mistake(self.message.format(**words), self.fix.format(**words), column, len(value))


_KEY = r"\s*(?:- +)*[^\s:#][^:]*:\s+"
_AFTER_KEY = r"\s*(?:- +)*(?:[^\s:][^:]*:\s+)?"
_TAB = "YAML does not allow tabs for indentation; this line starts with one"
_START = "a value that starts with `{first}` must be quoted"
_QUOTE = "write {quoted}"
_DOUBLE = "write {doubled}, or use double quotes"
_ALIGN = "line it up with the keys around it, and end the line above with `:` if it is a key"
_NO_LIST, _NO_MAPPING = "sequence entries are not allowed", "mapping values are not allowed"
_GOES_ON = "expected key|<block end>"
_HINTS = (
    Hint("cannot start any token|an alias|an anchor", _START, _QUOTE, rest=r"(?P<value>[^\t][^\s,\]}]*)"),
    Hint("tab character", _TAB, "use spaces"),
    Hint("", _TAB, "use spaces", rest=r"\t"),
    Hint("flow", "inside {{ }} and [ ] a variable must be quoted", _QUOTE, r".*(?P<value>\$)$", r"\{[^{}]*\}?"),
    Hint(_NO_LIST, "a lone `-` must be quoted", 'write stdout, or "-"', rest=r"-\s*$"),
    Hint(_NO_LIST, "a list can't begin on the line of its key", "begin it on a line of its own, or write [a, b]"),
    Hint(_NO_MAPPING, "a value containing `: ` must be quoted", _QUOTE, rf"{_KEY}(?P<value>\S.*)"),
    Hint(_NO_MAPPING, "this line doesn't fit the lines above it", _ALIGN),
    Hint(_GOES_ON, _START, _QUOTE, rf"{_AFTER_KEY}(?P<value>[\[{{].*)"),
    Hint(_GOES_ON, "a `'` inside single quotes must be doubled", _DOUBLE, rf"{_AFTER_KEY}(?P<value>'.*)"),
    Hint(
        _GOES_ON,
        "something follows the closing quote",
        "quote all of it, with `'` outside",
        rf'{_AFTER_KEY}(?P<value>".*)',
    ),
    Hint(
        "escape|hex",
        "inside double quotes a `\\` begins an escape, and this isn't one",
        "use single quotes, or write `\\\\`",
    ),
)


def explain(error: yaml.MarkedYAMLError, text: ConfigText) -> Mistake:
    """The mistake behind an error of the YAML reader."""
    found = _place(error, text)
    for hint in _HINTS:
        if mistake := hint.apply(found):
            return mistake
    where = f" {found.context}" if found.context else ""
    plain = f"this can't be read as YAML: {found.problem}{where}"
    return _misaligned(found) or _unclosed(found) or found.mistake(plain, "")


def _place(error: yaml.MarkedYAMLError, text: ConfigText) -> YamlError:
    context, problem = error.context or "", error.problem or "it makes no sense"
    mark = error.problem_mark or error.context_mark
    if context.startswith(("while scanning an alias", "while scanning an anchor")):
        mark = error.context_mark or mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    return YamlError(text, problem, context, line, column, error.context_mark)


def _misaligned(error: YamlError) -> Mistake | None:
    """A line that belongs neither into nor behind the list above it."""
    if error.context != "while parsing a block collection" or error.opened is None:
        return None
    item = re.match(r"\s*-\s+([^\s:]+):(?:\s|$)", error.text.line(error.opened.line))
    key = re.match(r"([^\s:]+):", error.rest)
    fix = "line it up with the list, or indent it under one of its items"
    if item and key and error.opened.line != error.line:
        fix = f"line up `{shortened(key[1])}:` under `{shortened(item[1])}:` (column {item.start(1) + 1})"
    return error.mistake("this line doesn't line up with the list above it", fix)


def _unclosed(error: YamlError) -> Mistake | None:
    """A quote or bracket that is never closed."""
    if error.opened is None or not error.context.startswith(("while parsing a flow", "while scanning a quoted")):
        return None
    opened = error.text.span(error.opened, error.opened)
    if "quoted" in error.context:
        closed = "end of stream" not in error.problem
        return None if closed else Mistake("yaml", "this quote is never closed", opened, fix="close it")
    missing = "`,` or `}`" if "mapping" in error.context else "`,` or `]`"
    inside = error.rest[:1] in ("[", "{", '"', "'") and re.search(r"[^\s,:\[{]\s*$", error.before)
    fix = f"if `{error.rest[0]}` is part of a text, put all of the text in quotes" if inside else ""
    return error.mistake(f"here a {missing} is missing", fix)._replace(related=((opened, "opened here"),))


def _quoted(value: str) -> str:
    """The value between the quotes in which it needs the fewest changes."""
    if '"' in value or "\\" in value:
        return "'" + value.replace("'", "''") + "'"
    return f'"{value}"'


def _doubled(value: str) -> str:
    """The value between single quotes, those inside it doubled."""
    inner = value[1:-1] if value.endswith("'") and len(value) > 1 else value[1:]
    return "'" + inner.replace("''", "'").replace("'", "''") + "'"
