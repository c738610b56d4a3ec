"""Stages for texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stagerunner import stage
from stagerunner_parts.values import must_be_text


@stage("text.strip", pure=True)
def strip(text: str, *, chars: str | None = None) -> str:
    """Remove white space from both ends of a text.

    chars: remove these characters instead.
    """
    try:
        return text.strip(chars)
    except (AttributeError, TypeError):
        must_be_text(text)
        raise


@stage("text.lower", pure=True)
def lower(text: str) -> str:
    """Convert a text to lower case."""
    try:
        return text.lower()
    except (AttributeError, TypeError):
        must_be_text(text)
        raise


@stage("text.upper", pure=True)
def upper(text: str) -> str:
    """Convert a text to upper case."""
    try:
        return text.upper()
    except (AttributeError, TypeError):
        must_be_text(text)
        raise


@stage("text.words", pure=True)
def words(text: str) -> Iterator[str]:
    """Split a text into words, one record each.

    Words are separated by white space; punctuation stays with its word.
    """
    try:
        found = text.split()
    except AttributeError:
        must_be_text(text)
        raise
    yield from found


@stage("text.replace", pure=True)
class Replace:
    r"""Replace part of a text, wherever it occurs.

    old: the text to replace.
    new: the text to put there; with `regex`, \1 or \g<name> stands for a group.
    regex: whether `old` is a regular expression.
    """

    def __init__(self, *, old: str, new: str, regex: bool = False) -> None:
        self.old = old
        self.new = new
        self.regex = regex
        self._sub = _compiled(self.old).sub if self.regex else None

    def check(self, environment: Mapping[str, str]) -> None:
        """What is wrong with the options, the constructor has said."""

    def process(self, text: str) -> str:
        try:
            return text.replace(self.old, self.new) if self._sub is None else self._sub(self.new, text)
        except (AttributeError, TypeError):
            must_be_text(text)
            raise


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"`old` is not a regular expression: {error}") from None
