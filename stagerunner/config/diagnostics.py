"""Mistakes drawn for people: what, where, the line with a caret, the fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from stagerunner.config.excerpt import Excerpt, excerpt, visible
from stagerunner.config.masking import Mask
from stagerunner.config.wording import shortened
from stagerunner.errors import Mark, Mistake

MOST = 100
"""Mistakes that are drawn; the others are only counted."""
LONGEST = 500
"""Characters of a message, a path or a fix that are shown."""

_RED, _BLUE, _BOLD, _PLAIN = "\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"


def render(mistakes: Iterable[Mistake], color: bool = False, secrets: Iterable[str] = ()) -> str:
    """The mistakes in the order given, and a last line that counts them; "" if there are none.

    color: with ANSI colours. secrets: texts to mask.
    """
    found = list(mistakes)
    if not found:
        return ""
    drawing = _Drawing(color, Mask(secrets))
    drawn = [drawing.mistake(mistake) for mistake in found[:MOST]]
    return "\n\n".join([*drawn, drawing.mask(_count(found))]) + "\n"


def _count(mistakes: Sequence[Mistake]) -> str:
    files = list(dict.fromkeys(visible(mistake.mark.file) for mistake in mistakes))
    errors = "1 error" if len(mistakes) == 1 else f"{len(mistakes)} errors"
    shown = f", the first {MOST} shown" if len(mistakes) > MOST else ""
    return f"{errors} in {', '.join(files)}{shown}"


class _Drawing(Struct, frozen=True):
    color: bool
    mask: Mask

    def mistake(self, mistake: Mistake) -> str:
        path = f"  ({self._text(mistake.path)})" if mistake.path else ""
        title = f"{self._in(_RED, f'error[{mistake.code}]')}{self._in(_BOLD, f': {self._text(mistake.message)}')}"
        lines = [title, *self._place(mistake.mark, path, "^", mistake.fix)]
        for mark, note in mistake.related:
            lines += self._place(mark, "", "-", note)
        return "\n".join(lines)

    def _place(self, mark: Mark, path: str, sign: str, note: str) -> list[str]:
        """ " --> file:1:2", then the line with its caret, if the mark has one."""
        number = str(mark.line)
        margin = " " * len(number)
        where = f"{margin}{self._in(_BLUE, '-->')} {self._text(str(mark))}{path}"
        if not mark.column:
            where = f"{margin}{self._in(_BLUE, '-->')} {self._text(str(mark))}"
        if not mark.text:
            return [where, f"{margin} {self._in(_BLUE, '=')} {self._text(note)}"] if note else [where]
        bar = self._in(_BLUE, "|")
        shown = excerpt(mark.text, mark.column, mark.width, self.mask)
        return [
            where,
            f"{margin} {bar}",
            f"{self._in(_BLUE, number)} {bar} {shown.text}",
            f"{margin} {bar} {self._caret(shown, sign, note)}",
        ]

    def _caret(self, shown: Excerpt, sign: str, note: str) -> str:
        caret = self._in(_RED if sign == "^" else _BLUE, f"{sign * shown.width} {self._text(note)}".rstrip())
        return " " * shown.offset + caret

    def _text(self, text: str) -> str:
        return visible(shortened(self.mask(text), LONGEST))

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{_PLAIN}" if self.color else text
