"""Names of files made of a record's fields: `{country}/{day}.jsonl`. A value never leads out of its part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stagerunner_parts.sinks.tables import cell_text

LONGEST = 200
"""Bytes of one part of a name. A longer one is cut, and a digest of it is added."""

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}/]+)\}|[{}]")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def has_field(text: str) -> bool:
    """Whether there is a field such as {country} in it."""
    return "{" in text and any(match[1] for match in _FIELD.finditer(text))


def plain(text: str) -> str:
    """The text with `x` for each field and each brace."""
    return _FIELD.sub("x", text)


def pattern_of(name: str) -> str:
    """A glob that every name made of this one matches."""
    import glob  # only for mode `new`

    def of(part: str) -> str:
        part = _FIELD.sub(lambda match: "\0" if match[1] else match[0][0], part)
        suffix = _kept_suffix(part)
        return glob.escape(part) if "\0" not in part else "*" if "\0" in suffix else f"*{glob.escape(suffix)}"

    return "/".join(map(of, name.split("/")))


def check_name(name: str) -> None:
    """Raises ValueError for a name with a lone brace, without a field, or that leads out of its folder."""
    found = [(match[0], match[1]) for match in _FIELD.finditer(name)]
    if any(text in "{}" for text, _ in found):
        raise ValueError(f"in the name {name!r} a brace is alone; a brace itself is written twice")
    if not any(field for _, field in found):
        raise ValueError(f"every record would be {name!r}: the name needs a field, such as {{id}}")
    parts = plain(name).split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts):
        raise ValueError(f"{name!r} is not a name below the folder, without dots at the start of its parts")


def name_for(name: str, record: Any) -> str:
    """The name with the record's values in it. Raises ValueError if the record has no such field, or it is null."""
    if not isinstance(record, Mapping):
        raise ValueError(f"a file's name needs a mapping, but this is of type {type(record).__name__}")
    return "/".join(map(_safe, _parts(name, record)))


def _parts(name: str, record: Mapping[Any, Any]) -> Iterator[str]:
    """The parts of its name. A value never begins another part."""

    def value(match: re.Match[str]) -> str:
        field = match[1]
        return match[0][0] if field is None else _UNSAFE.sub("_", _named(record, field))

    return (_FIELD.sub(value, part) for part in name.split("/"))


def field_of(record: Mapping[Any, Any], field: str) -> Any:
    """Raises ValueError if the record hasn't got it."""
    if field not in record:
        raise ValueError(f"the record has no field {field!r}")
    return record[field]


def _named(record: Mapping[Any, Any], field: str) -> str:
    value = field_of(record, field)
    if value is None:
        raise ValueError(f"the field {field!r} is null, so the file has no name")
    return cell_text(value)


def _safe(part: str) -> str:
    """A part of a name that leads nowhere else and isn't too long."""
    part = f"_{part}" if not part or part.startswith(".") else part
    if len(part.encode()) <= LONGEST:
        return part
    from hashlib import blake2s  # it loads all of OpenSSL, and few names are so long

    digest = blake2s(part.encode(), digest_size=8).hexdigest()
    suffix = _kept_suffix(part)
    kept = part.encode()[: LONGEST - len(digest) - len(suffix.encode()) - 1].decode(errors="ignore")
    return f"{kept}-{digest}{suffix}"


def _kept_suffix(part: str) -> str:
    """The suffix that a part keeps where it is cut."""
    suffix = Path(part).suffix
    return suffix if len(suffix.encode()) <= 20 else ""
