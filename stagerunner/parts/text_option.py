"""What option types that are written as one text have in common."""

from __future__ import annotations

from typing import Self


class TextOption:
    """An option type made from a text. It is pickled and shown as that text."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError if the text is not valid."""
        return cls(text)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"
