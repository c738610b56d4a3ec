"""A stream for people. It handles colours, secrets, unprintable characters, and streams without a reader."""

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


class SafeText(str):
    """Text that may be written as it is: secrets are masked, and it has no control characters."""

    __slots__ = ()


Line: TypeAlias = tuple[Piece, ...]
"""One line: pieces of text, some with a style."""

_CODES: dict[Style, str] = {"bad": "1;31", "warn": "33", "good": "32", "strong": "1", "dim": "2", "name": "36"}
_ASCII = str.maketrans(
    {"·": "|", "×": "x", "≈": "~", "─": "-", "–": "-", "▶": ">", "◀": "<", "…": "...", "→": ">", "↳": ">"}
    | {"█": "#", "▓": "+", "▒": ":", "░": "."}
)


def use_color(stream: TextIO, choice: str = "auto", environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to write colours to a stream: as `choice` says (always, never), else by environment and terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return environment.get("TERM") != "dumb" and stream.isatty()


def encodable_data(data: Any) -> Any:
    """The data with texts that can be encoded as UTF-8: half a surrogate pair becomes an escape."""
    match data:
        case str():
            return data if data.isascii() else data.encode(errors="backslashreplace").decode()
        case dict():
            return {encodable_data(text_of(key)): encodable_data(value) for key, value in data.items()}
        case list() | tuple():
            return [encodable_data(item) for item in data]
    return data


class Console:
    """A stream that lines are written to.

    secrets: shown as `***`. losable: what can't be written is dropped silently, so that no run fails for lack of a
    reader; else Stopped or RunFailed is raised, and BrokenPipeError if the reader has left.
    """

    def __init__(
        self, stream: TextIO, *, color: bool = False, secrets: Iterable[str] = (), losable: bool = False
    ) -> None:
        self.stream = stream
        self.color = color
        self.secrets = tuple(secrets)
        self._mask = Mask(self.secrets)
        self._losable = losable

    @property
    def width(self) -> int | None:
        """Characters in a line of the terminal; None if it is none."""
        if not self.stream.isatty():
            return None
        import shutil  # it imports all compression modules

        return shutil.get_terminal_size().columns

    def line(self, *pieces: Piece) -> None:
        """Write one line, or several if a piece has line ends in it."""
        self.write(self.text(*pieces) + "\n")

    def text(self, *pieces: Piece) -> str:
        """The pieces as they may be written: secrets masked, and no control sequences but our own colours."""
        return "".join(self._safe(piece) for piece in pieces)

    def json(self, data: Any) -> SafeText:
        """Data as one line of JSON, secrets masked."""
        import json  # few lines are JSON, but every command has a console

        masked = encodable_data(self._mask.data(data))
        return SafeText(json.dumps(masked, default=lambda value: encodable_data(self._mask(text_of(value)))))

    def write(self, text: str) -> None:
        """Write a text as it is, as far as the stream's encoding allows."""
        encoded = self.encodable(text)
        if not self._losable:
            self._put(encoded)
            return
        try:
            self._put(encoded)
        except (OSError, ValueError, StagerunnerError):
            # A plugin may have closed the stream, but not the descriptor.
            with suppress(OSError):
                if not self._reopened():
                    os.write(2, encoded.encode(errors="backslashreplace"))

    def _reopened(self) -> bool:
        """Whether a plugin closed our descriptor for standard error; then it is opened again and the buffer written.

        Else the interpreter would try to write the buffer when it exits, and Python 3.13 complains if that fails.
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
        """The text, with characters that the stream can't encode replaced."""
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

    def _safe(self, piece: Piece) -> str:
        if isinstance(piece, SafeText):
            return piece
        style, text = (None, piece) if isinstance(piece, str) else piece
        lines = self._mask(text).expandtabs().split("\n")
        shown = "\n".join(visible(line) for line in lines)
        return f"\x1b[{_CODES[style]}m{shown}\x1b[0m" if style and self.color and shown else shown
