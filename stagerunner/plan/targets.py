"""What a file name asks for. A scheme, compression or format that no installed plugin offers is a mistake.

Without this, `-o s3://bucket/x` would write into a folder called `s3:`, and `-o x.parquet` would write JSON lines.
Each `why_…` function returns the reason and the fix, or None if there is nothing to object.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files that sources and sinks can handle."""

_PACKED = {
    **dict.fromkeys((".tar", ".tgz", ".tbz2", ".txz"), "tar archives"),
    ".zip": "ZIP archives",
    ".zstd": "Zstandard",
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


def why_not_offered(text: str, kind: Literal["source", "sink"]) -> tuple[str, str] | None:
    """Why no part reads or writes a file of this name."""
    if not is_elsewhere(text) and (found := why_foreign(text)):
        return found
    path = PurePath(file_name(text))
    suffix = PurePath(path.stem).suffix if path.suffix.lower() in COMPRESSED else path.suffix
    verb = "reads" if kind == "source" else "writes"
    if suffix.lower() in _FORMATS:
        what = _FORMATS[suffix.lower()]
        message = f"'{text}' is the name of {what}, and no installed plugin {verb} such files"
        return message, _instead(text, suffix, kind)
    if kind == "sink" and text.endswith("/"):
        return f"'{text}' is a folder, and a sink writes a file", f"name a file in it: {text}out.jsonl"
    return None


_POSTGRES = "write {use: postgres, with: {dsn: ADDRESS, table: NAME}}; that part is in stagerunner-postgres"
_FILE = "write the path of the file alone"
_REMOTE = "pip install 'stagerunner[remote]'"
_BY_SCHEME = {"postgres": _POSTGRES, "postgresql": _POSTGRES, "sqlite": _FILE, "duckdb": _FILE} | dict.fromkeys(
    ("s3", "gs", "gcs", "az", "abfs", "sftp", "ssh", "ftp", "http", "https", "hdfs"), _REMOTE
)
"""Scheme of an address → what to do about it."""


def is_elsewhere(text: str) -> bool:
    """Whether it is the address of something that isn't a local file."""
    scheme = _scheme_of(text)
    return scheme is not None and scheme[1].lower() != "file"


def file_name(text: str) -> str:
    """The path of an address without the query that follows it on the web; any other text as it is."""
    scheme = _scheme_of(text)
    return re.split(r"[?#]", text, maxsplit=1)[0] if scheme and scheme[1].lower() in ("http", "https") else text


def why_address(text: str) -> tuple[str, str] | None:
    """Why this is the address of something elsewhere, not a path."""
    scheme = _scheme_of(text)
    if scheme is not None and scheme[1].lower() == "file":
        return f"'{text}' is an address, not a path", f"write the path alone: /{text[scheme.end() :].lstrip('/')}"
    if scheme is not None:
        fix = _BY_SCHEME.get(scheme[1].lower(), "name a file here, or a plugin's part")
        return f"nothing that is installed reads or writes {scheme[1]}:// here", fix
    return None


def why_foreign(text: str) -> tuple[str, str] | None:
    """Why this is no file that can be read and written directly: an address, or an unknown compression."""
    if found := why_address(text):
        return found
    suffix = next((one.lower() for one in PurePath(text).suffixes[:-3:-1] if one.lower() in _PACKED), "")
    if suffix:
        return f"'{text}' asks for {_PACKED[suffix]}, which no installed plugin offers", "use .gz, .bz2, .xz or .zst"
    return None


def why_not_json_lines(text: str) -> tuple[str, str] | None:
    """Why a file of uncompressed JSON lines can't have this name."""
    if found := why_foreign(text):
        return found
    suffix = PurePath(text).suffix.lower()
    if suffix in COMPRESSED or suffix == ".csv" or (suffix in _FORMATS and suffix != ".json"):
        return f"'{text}' names a file of another kind: these are plain lines of JSON", "end its name in .jsonl"
    return None


def _instead(text: str, suffix: str, kind: Literal["source", "sink"]) -> str:
    match suffix.lower():
        case ".json" if kind == "sink":
            return f"for a JSON value a line: {{use: jsonl, with: {{path: {text}}}}}"
    if kind == "sink":
        return "end its name in .jsonl or .csv, or name a plugin's part: {use: …, with: {…}}"
    return f"for its lines as text: {{use: lines, with: {{path: {text}}}}}; or name a plugin's part"


def _scheme_of(text: str) -> re.Match[str] | None:
    """The scheme of an address with its "://"; None for a path."""
    return re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://+", text) if "://" in text else None
