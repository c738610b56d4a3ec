"""One line of a text as it is shown: secrets masked, control characters made visible, long lines cut."""

from __future__ import annotations

import re

from stagerunner.config.masking import MASKED, Mask
from stagerunner.tuples import NamedTuple

WIDEST = 100
"""Characters of a line that are shown, those at the caret among them."""

_UNSEEN = "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"


class Excerpt(NamedTuple):
    """The text to show, and the caret below it: `offset` cells from the left, `width` cells wide."""

    text: str
    offset: int
    width: int


def visible(text: str) -> str:
    """The text with each control or invisible character replaced by a visible one."""
    return text if text.isascii() and text.isprintable() else re.sub(_UNSEEN, _stand_in, text)


def _stand_in(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] == "\t":
        return "→"
    return chr(0x2400 + code) if code < 32 else "\u2421" if code == 127 else "\ufffd"


def excerpt(line: str, column: int, width: int, mask: Mask) -> Excerpt:
    """The part of a line around the caret at `column` (from 1), which is `width` characters wide."""
    line, start, end = _masked(line, column - 1, column - 1 + width, mask)
    begin, stop = _window(len(line), start, end)
    before, inside = visible(line[begin:start]), visible(line[start : min(end, stop)])
    head, tail = "…" if begin else "", "…" if stop < len(line) else ""
    text = head + before + inside + visible(line[max(begin, min(end, stop)) : stop]) + tail
    return Excerpt(text.rstrip(), _cells(head + before) + max(0, start - len(line)), max(1, _cells(inside)))


def _masked(line: str, start: int, end: int, mask: Mask) -> tuple[str, int, int]:
    """The line with its secrets masked, and the start and end of the caret in it."""
    for begin, stop in reversed(mask.spans(line)):
        line = line[:begin] + MASKED + line[stop:]
        start, end = (_moved(place, begin, stop) for place in (start, end))
    return line, start, max(start + 1, end)


def _moved(place: int, begin: int, stop: int) -> int:
    if place <= begin:
        return place
    return place + len(MASKED) - (stop - begin) if place >= stop else begin + len(MASKED)


def _window(length: int, start: int, end: int) -> tuple[int, int]:
    """The part of a long line that is shown: the caret, with some text before it."""
    if length <= WIDEST:
        return 0, length
    begin = max(0, min(start - WIDEST // 3, length - WIDEST))
    begin = begin if start > WIDEST // 2 or end > WIDEST else 0
    return begin, min(length, begin + WIDEST)


def _cells(text: str) -> int:
    """How wide a text is on a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata  # few lines need it

    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )
