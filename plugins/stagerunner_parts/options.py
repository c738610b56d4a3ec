"""Option types that several parts have."""

from __future__ import annotations


class Number(int):
    """A whole number from 1 on."""

    @classmethod
    def parse(cls, text: str) -> Number:
        """Raises ValueError if it isn't one."""
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{text!r} is not a whole number from 1 on")
        return cls(text)
