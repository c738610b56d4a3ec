"""Masks secrets in everything that goes out: finds them in whatever notation, and writes `***` instead.

Text leaves in few places, and each has a mask: events and errors (runtime), failures and counters as they are accepted
(delivery), mistakes (plan), what a command prints, and what plugins print in this process (MaskedStream).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from stagerunner.errors import StagerunnerError

MASKED = "***"

SHORTEST = 4
"""Characters of the shortest piece of a secret that is masked, and of the shortest secret that is masked in the keys of
data. Anything shorter is likely to be part of our own words."""

CUT = "…"
"""The end of a message that was cut."""


class Mask:
    """Replaces secrets by `***`: whole, line by line, and in the notations of `forms`. True if it has any to mask."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = {secret for secret in secrets if secret.strip()}
        self._forms = sorted({form for secret in whole for form in forms(secret)}, key=len, reverse=True)
        self._pattern = _any_of(self._forms)
        self._keys = _any_of([form for form in self._forms if len(form) >= SHORTEST])

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        return self._without(self.spans(text), text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The places of secrets in a text; overlapping ones are joined."""
        found = _spans(self._pattern, text)
        if self._pattern is not None and CUT in text:
            found = _joined([*found, *self._cut(text)])
        return found

    def _cut(self, text: str) -> Iterator[tuple[int, int]]:
        """The beginnings of secrets that a `…` cuts off."""
        at = text.find(CUT)
        while at >= 0:
            lengths = (n for form in self._forms for n in range(SHORTEST, len(form)) if text.endswith(form[:n], 0, at))
            longest = max(lengths, default=0)
            if longest:
                yield at - longest, at
            at = text.find(CUT, at + 1)

    def _without(self, spans: list[tuple[int, int]], text: str) -> str:
        for start, end in reversed(spans):
            text = text[:start] + MASKED + text[end:]
        return text

    def key(self, text: str) -> str:
        """The key of a mapping, masked."""
        return self._without(_spans(self._keys, text), text)

    def data(self, value: Any) -> Any:
        """Plain data, an event or a summary, with every text in it masked. Numbers stay: they may be counted with."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self(value)
            case dict():
                return {self.key(str(key)): self.data(item) for key, item in value.items()}
            case list():
                return [self.data(item) for item in value]
            case tuple():
                items = [self.data(item) for item in value]
                return value._make(items) if hasattr(value, "_make") else tuple(items)
        fields = getattr(type(value), "__struct_fields__", None)  # of a Struct; `--help` imports no msgspec
        if fields is not None:
            return type(value)(**{name: self.data(getattr(value, name)) for name in fields})
        return value

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Mask the StagerunnerErrors that are raised inside. Other errors stay as they are."""
        try:
            yield
        except StagerunnerError as error:
            self.error(error)
            raise

    def error(self, error: StagerunnerError) -> None:
        """Mask an error of ours. A cause that contains a secret is dropped."""
        if not self:
            return
        error.args = self.data(error.args)
        error.summary = self.data(error.summary)
        cause = error.__cause__ or error.__context__
        if cause is not None and not isinstance(cause, StagerunnerError) and self.spans(_text_of(cause)):
            error.__cause__, error.__suppress_context__ = None, True


def _text_of(error: BaseException) -> str:
    try:
        return f"{error} {error!r}"
    except BaseException:
        return ""


def _any_of(forms: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, forms))) if forms else None


def _spans(pattern: re.Pattern[str] | None, text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    one = pattern.search(text) if pattern else None
    while one is not None and pattern is not None:
        found.append(one.span())
        one = pattern.search(text, one.start() + 1)
    return _joined(found)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, overlapping ones joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def forms(secret: str) -> set[str]:
    """The notations of a secret: as it is, stripped, its lines, on one line.

    Each of these also as `repr` and JSON write it, once or twice over, and as in URLs.
    """
    lines = {line for line in secret.splitlines() if len(line.strip()) >= SHORTEST}
    plain = {secret, secret.strip(), " ".join(secret.split())} | lines
    once = {text for one in plain for text in _escaped(one)}
    twice = {text for one in once for text in _escaped(one)} if len(once) > len(plain) else set()
    quoted = {text for one in plain for text in _percent(one)}
    return {form for form in plain | once | twice | quoted if form.strip()}


def _escaped(text: str) -> Iterator[str]:
    """The text as it is written between quotes, by `repr`, `ascii`, JSON and as bytes."""
    import json  # most configs have no secrets

    for written in (
        repr(text)[1:-1],
        ascii(text)[1:-1],
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
    ):
        yield written
        yield written.replace("\\'", "'").replace("'", "\\'")
    data = text.encode(errors="surrogateescape") if _encodable(text) else b""
    yield repr(data)[2:-1]
    yield data.decode(errors="backslashreplace")


def _percent(text: str) -> Iterator[str]:
    from urllib.parse import quote, quote_plus  # as above

    if not _encodable(text):
        return
    for write, safe in ((quote, "/"), (quote, ""), (quote_plus, "")):
        written = write(text, safe=safe, errors="surrogateescape")
        yield written
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), written)


def _encodable(text: str) -> bool:
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class MaskedStream:
    """A text stream that masks secrets; everything else is that of the stream it wraps."""

    def __init__(self, stream: TextIO, mask: Callable[[str], str]) -> None:
        self._stream = stream
        self._mask = mask

    def write(self, text: str) -> int:
        self._stream.write(self._mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def printing_aside(secrets: Iterable[str]) -> Iterator[None]:
    """While inside, what other code prints goes to standard error, with these secrets masked."""
    mask, errors = Mask(secrets), sys.stderr
    if mask and errors is not None:
        errors = cast("TextIO", MaskedStream(errors, mask))
    with redirect_stdout(errors), redirect_stderr(errors):
        yield
