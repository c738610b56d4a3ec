"""What the name of a file asks for: a scheme, a compression or a format that nobody installed offers is a mistake.

Without this, `-o s3://bucket/x` would be a file in a folder called `s3:`, and `-o x.parquet` lines of JSON.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

COMPRESSED = (".gz", ".bz2", ".xz")
"""The suffixes of files that are compressed, and that sources and sinks know."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://+")

_PACKED = {
    **dict.fromkeys((".zst", ".zstd"), "Zstandard"),
    **dict.fromkeys((".tar", ".tgz", ".tbz2", ".txz"), "tar archives"),
    ".zip": "ZIP archives",
    ".7z": "7z archives",
    ".rar": "RAR archives",
    ".lz4": "LZ4",
    ".br": "Brotli",
    ".lzma": "LZMA",
    ".z": "compress",
    ".sz": "Snappy",
    ".snappy": "Snappy",
}

_FORMATS = {
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".db3"), "an SQLite database"),
    **dict.fromkeys((".arrow", ".feather"), "an Arrow file"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "a spreadsheet"),
    **dict.fromkeys((".h5", ".hdf5"), "an HDF5 file"),
    **dict.fromkeys((".npy", ".npz"), "a NumPy file"),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle"),
    **dict.fromkeys((".pb", ".protobuf"), "a Protocol Buffers file"),
    ".parquet": "a Parquet file",
    ".orc": "an ORC file",
    ".avro": "an Avro file",
    ".duckdb": "a DuckDB database",
    ".msgpack": "a MessagePack file",
    ".bson": "a BSON file",
    ".json": "one JSON value",
    ".tsv": "a table with tabs",
}


def unoffered(text: str, kind: Literal["source", "sink"]) -> tuple[str, str] | None:
    """Why a bare name is no file for any part, and what to write instead; None where it may be one."""
    if found := foreign(text):
        return found
    path = PurePath(text)
    suffix = PurePath(path.stem).suffix if path.suffix.lower() in COMPRESSED else path.suffix
    verb = "reads" if kind == "source" else "writes"
    if suffix.lower() in _FORMATS:
        what = _FORMATS[suffix.lower()]
        message = f"'{text}' is the name of {what}, and no installed plugin {verb} such files"
        return message, _instead(text, suffix, kind)
    if kind == "sink" and text.endswith("/"):
        return f"'{text}' is a folder, and a sink writes a file", f"name a file in it: {text}out.jsonl"
    return None


def address(text: str) -> tuple[str, str] | None:
    """Why this is no path, but an address somewhere else; None where it is one."""
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1].lower() == "file":
        return f"'{text}' is an address, not a path", f"write the path alone: /{text[scheme.end() :].lstrip('/')}"
    if scheme is not None:
        return f"no installed plugin knows {scheme[1]}://", "name a file, or a plugin's part: {use: …, with: {…}}"
    return None


def foreign(text: str) -> tuple[str, str] | None:
    """Why this is no path of a file that can be read and written as it is; None where it is one."""
    if found := address(text):
        return found
    suffix = next((one.lower() for one in PurePath(text).suffixes[:-3:-1] if one.lower() in _PACKED), "")
    if suffix:
        return f"'{text}' asks for {_PACKED[suffix]}, which no installed plugin offers", "use .gz, .bz2 or .xz"
    return None


def no_json_lines(text: str) -> tuple[str, str] | None:
    """Why a file of plain JSON lines can't have this name; None where it can."""
    if found := foreign(text):
        return found
    suffix = PurePath(text).suffix.lower()
    if suffix in COMPRESSED or suffix == ".csv" or (suffix in _FORMATS and suffix != ".json"):
        return f"'{text}' names a file of another kind: these are plain lines of JSON", "end its name in .jsonl"
    return None


def _instead(text: str, suffix: str, kind: Literal["source", "sink"]) -> str:
    match suffix.lower():
        case ".sqlite" | ".sqlite3" | ".db" | ".db3" if kind == "sink":
            return f"{{use: sqlite, with: {{path: {text}, table: NAME}}}}"
        case ".json" if kind == "sink":
            return f"for a JSON value a line: {{use: jsonl, with: {{path: {text}}}}}"
        case ".json":
            return (
                f"for a JSON value a line: {{use: jsonl, with: {{path: {text}}}}}; for a file as one text: use: files"
            )
        case ".tsv":
            return f'{{use: csv, with: {{path: {text}, delimiter: "\\t"}}}}'
    if kind == "sink":
        return "end its name in .jsonl or .csv, or name a plugin's part: {use: …, with: {…}}"
    return f"for its lines as text: {{use: lines, with: {{path: {text}}}}}; or name a plugin's part"
