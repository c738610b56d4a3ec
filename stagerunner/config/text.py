"""The text of a config: decoding it, and marking places in it."""

from __future__ import annotations

import codecs
import re

import yaml

from stagerunner.errors import Mark, Mistake

MOST_BYTES = 2**20
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unreadable(Exception):
    """A mistake after which the rest of the text can't be read."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


class ConfigText:
    """The text of a config, or of one value on the command line, and the marks in it.

    lead: what precedes the text in its line ("run.frame=" of a `--set`); marks count from the beginning of that and
    show it. whole: the whole line, to be shown in marks, if more of it follows the text.
    """

    def __init__(self, text: str, file: str, lead: str = "", whole: str = "") -> None:
        self.text, self.file, self._whole = text, file, whole
        self._lead = len(lead)
        self.lines = _LINE_END.split(lead + text)

    def mark(self, line: int, column: int, width: int = 1) -> Mark:
        """The mark at a line and column that count from 0, as they do in pyyaml."""
        column += self._lead if line == 0 else 0
        return Mark(self.file, line + 1, column + 1, self._whole or self.line(line), max(1, width))

    def span(self, start: yaml.Mark, end: yaml.Mark) -> Mark:
        """The mark from start to end, or to the end of the first line."""
        one_line = end.line == start.line
        width = end.column - start.column if one_line else len(self.tail(start.line, start.column))
        return self.mark(start.line, start.column, width)

    def line(self, line: int) -> str:
        return self.lines[line] if line < len(self.lines) else ""

    def tail(self, line: int, column: int) -> str:
        """The line from this column on."""
        return self.line(line)[column + (self._lead if line == 0 else 0) :]


def decode(data: bytes | str, file: str, lead: str = "", whole: str = "") -> ConfigText:
    """A text, or bytes in UTF-8, as a ConfigText. Raises Unreadable, also for characters that YAML forbids."""
    size = len(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise Unreadable(Mistake("too-large", "a config is at most 1 MiB", Mark(file)))
    decoded = _decoded(data, file) if isinstance(data, bytes) else data
    text = ConfigText(decoded.removeprefix("\ufeff"), file, lead, whole)
    if odd := _UNPRINTABLE.search(text.text):
        raise Unreadable(_unprintable(text, odd.start()))
    return text


def _decoded(data: bytes, file: str) -> str:
    if data.startswith(_UTF16):
        raise Unreadable(Mistake("encoding", "the file is UTF-16", Mark(file), fix="save it as UTF-8"))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = ConfigText(data[: error.start].decode() + "\ufffd", file)
        mark = before.mark(len(before.lines) - 1, len(before.lines[-1]) - 1)
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise Unreadable(Mistake("encoding", message, mark, fix="save the file as UTF-8")) from None


def _unprintable(text: ConfigText, index: int) -> Mistake:
    before = ConfigText(text.text[:index], text.file)
    mark = text.mark(len(before.lines) - 1, len(before.lines[-1]))
    message = f"the character U+{ord(text.text[index]):04X} is not allowed in a config"
    return Mistake("encoding", message, mark, fix="remove it, or write it as an escape in double quotes")
