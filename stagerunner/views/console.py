"""Where people read. Colours, secrets, odd characters and streams without a reader are dealt with here, once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal, TextIO, TypeAlias

from stagerunner.config.excerpt import visible
from stagerunner.config.masking import Mask
from stagerunner.errors import StagerunnerError
from stagerunner.guard import refused, text_of

Style = Literal["bad", "warn", "good", "strong", "dim", "name"]
Piece: TypeAlias = str | tuple[Style, str]


class Fit(str):
    """A text that may be written as it is: secrets are masked in it, and it has no control characters."""

    __slots__ = ()


Line: TypeAlias = tuple[Piece, ...]
"""One line: texts, some with a style."""

_CODES: dict[Style, str] = {"bad": "1;31", "warn": "33", "good": "32", "strong": "1", "dim": "2", "name": "36"}
_ASCII = str.maketrans(
    {"·": "|", "×": "x", "≈": "~", "─": "-", "–": "-", "▶": ">", "◀": "<", "…": "...", "→": ">", "↳": ">"}
    | {"█": "#", "▓": "+", "▒": ":", "░": "."}
)


def use_color(stream: TextIO, choice: str = "auto", environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to write colours to a stream: as told (always, never), else as the environment and the terminal say."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return environment.get("TERM") != "dumb" and stream.isatty()


def whole(data: Any) -> Any:
    """Data whose texts any reader of JSON takes: half of a surrogate pair is told by its number."""
    match data:
        case str():
            return data if data.isascii() else data.encode(errors="backslashreplace").decode()
        case dict():
            return {whole(text_of(key)): whole(value) for key, value in data.items()}
        case list() | tuple():
            return [whole(item) for item in data]
    return data


class Console:
    """A stream that lines are written to.

    secrets: shown as `***`. losable: what can't be written is lost in silence, for no run should die because nobody
    reads what it says; else Stopped or RunFailed is raised, and BrokenPipeError where the reader has left.
    """

    def __init__(
        self, stream: TextIO, *, color: bool = False, secrets: Iterable[str] = (), losable: bool = False
    ) -> None:
        self.stream = stream
        self.color = color
        self.secrets = tuple(secrets)
        self._mask = Mask(self.secrets)
        self._losable = losable

    def line(self, *pieces: Piece) -> None:
        """Write one line (or several, where a piece has line ends in it)."""
        self.write(self.text(*pieces) + "\n")

    def text(self, *pieces: Piece) -> str:
        """The pieces fit to be written: secrets masked, nothing for the terminal to act upon but our own colours."""
        return "".join(self._fit(piece) for piece in pieces)

    def json(self, data: Any) -> Fit:
        """Data as one line of JSON, secrets masked."""
        import json  # few lines are JSON, and every command has a console

        told = whole(self._mask.data(data))
        return Fit(json.dumps(told, default=lambda value: whole(self._mask(text_of(value)))))

    def write(self, text: str) -> None:
        """Write a finished text as it is, as far as the stream's encoding allows."""
        fit = self.encodable(text)
        if not self._losable:
            self._put(fit)
            return
        try:
            self._put(fit)
        except (OSError, ValueError, StagerunnerError):
            # Somebody may have closed the stream, and not what it led to.
            with suppress(OSError):
                if not self._opened_again():
                    os.write(2, fit.encode(errors="backslashreplace"))

    def _opened_again(self) -> bool:
        """Whether our descriptor for standard error was closed, by a plugin, and what waits has been written now.

        What waited on would be tried once more when the interpreter ends, and Python 3.13 complains if that fails.
        """
        try:
            number = self.stream.fileno()
        except (OSError, ValueError):
            return False
        try:
            os.fstat(number)
        except OSError:
            os.dup2(2, number, inheritable=False)
            self.stream.flush()
            return True
        return False

    def encodable(self, text: str) -> str:
        """The text, other characters in the place of those that the stream can't take."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
        return text

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise refused(error, "standard output can't be written") from error

    def _fit(self, piece: Piece) -> str:
        if isinstance(piece, Fit):
            return piece
        style, text = (None, piece) if isinstance(piece, str) else piece
        lines = self._mask(text).expandtabs().split("\n")
        shown = "\n".join(visible(line) for line in lines)
        return f"\x1b[{_CODES[style]}m{shown}\x1b[0m" if style and self.color and shown else shown
