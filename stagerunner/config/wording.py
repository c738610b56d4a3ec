"""Nodes and choices in the words of a message: short, and never a value that must not be shown."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.evaluate.wording import CUTOFF, nearest

LONGEST = 40
"""Characters of a value that a message quotes."""
ENOUGH = 100
"""Mistakes after which no suggestions are made."""
MOST_CHOICES = 500
SURELY = 0.75
"""Words more alike than this are the same one, misspelt."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, cut to `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def in_words(node: Node) -> str:
    """What a node is, in words: "the text 'ip'", "a list", "nothing"."""
    if not isinstance(node, Scalar):
        return "a mapping" if isinstance(node, Mapping) else "a list"
    if hidden(node):
        return f"the value of {shortened(node.written or '***')}"
    origin = f" (from {shortened(node.written)})" if node.written else ""
    return _value_in_words(node) + origin


def hidden(node: Node) -> bool:
    """Whether a value in it came from a secret or the environment: no message may quote it."""
    match node:
        case Scalar():
            return node.secret or node.masked
        case Sequence():
            return any(map(hidden, node.items))
        case Mapping():
            return any(hidden(value) for _, value in node.entries)


def _value_in_words(node: Scalar) -> str:
    match node.value:
        case None:
            return "nothing"
        case bool():
            return shortened(node.text)
        case int() | float():
            return f"the number {shortened(node.text)}"
        case text:
            return f"the text {shortened(text)!r}"


def did_you_mean(word: str, choices: Iterable[str], *, after: int = 0, cutoff: float = CUTOFF) -> str:
    """ "did you mean 'x'?", or "" if no choice is near.

    after: how many mistakes were found before. From ENOUGH on there are no suggestions: to search for them is slow.
    cutoff: how alike they must be, from 0 to 1.
    """
    if len(word) > LONGEST or after >= ENOUGH:
        return ""
    return _did_you_mean(word, tuple(islice(choices, MOST_CHOICES)), cutoff)


@lru_cache(maxsize=1024)
def _did_you_mean(word: str, choices: tuple[str, ...], cutoff: float) -> str:
    folded = {choice.lower(): choice for choice in choices}
    near = nearest(word.lower(), folded, cutoff)
    return f"did you mean '{folded[near]}'?" if near else ""


def listed(choices: Iterable[str]) -> str:
    """ "a, b, c"."""
    return ", ".join(choices)
