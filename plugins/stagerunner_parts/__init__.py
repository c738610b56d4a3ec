"""The built-in parts, offered through the same hooks as those of any plugin.

They are named by string, so that listing them imports none. A test compares each name and summary with its part.
"""

from __future__ import annotations

from typing import Any

from stagerunner import hookimpl, part

DATABASES = (".sqlite", ".sqlite3", ".db", ".db3")
"""Suffixes of SQLite's files."""


def _named(name: str, target: str, summary: str, *suffixes: str) -> Any:
    return part(name, f"{__name__}.{target}", summary=summary, suffixes=suffixes)


@hookimpl
def stagerunner_stages() -> list[Any]:
    """The built-in stages."""
    return [
        _named("text.strip", "text:strip", "Remove white space from both ends of a text"),
        _named("text.lower", "text:lower", "Convert a text to lower case"),
        _named("text.upper", "text:upper", "Convert a text to upper case"),
        _named("text.words", "text:words", "Split a text into words, one record each"),
        _named("text.replace", "text:Replace", "Replace part of a text, wherever it occurs"),
        _named("parse", "parse:Parse", "Split a line of text into fields"),
        _named("json.parse", "json:parse", "Parse a text as one JSON value"),
        _named("json.dump", "json:dump", "Write a record as one line of JSON"),
        _named("filter", "filter:keep", "Keep the records for which an expression is true"),
        _named("select", "fields:select", "Keep only these fields, in this order"),
        _named("drop", "fields:drop", "Leave out these fields"),
        _named("rename", "fields:rename", "Give fields other names"),
        _named(
            "flatten", "nesting:flatten", "Give the fields inside other fields names of their own: b in a becomes a.b"
        ),
        _named(
            "explode", "nesting:explode", "Make a record of each item of a list, with the item in place of the list"
        ),
        _named("set", "computing:set_fields", "Set fields to values computed from others"),
        _named("lookup", "lookup:Lookup", "Add fields from a table: those of the row with the record's key"),
        _named("types", "schema:Types", "Check records against a schema: names, types and limits of their fields"),
        _named("convert", "convert:convert", "Convert fields from text to numbers, times and so on"),
        _named("anonymize", "anonymize:Anonymize", "Hide the values of fields: hash them, mask them or leave them out"),
        _named("dedupe", "aggregate:Dedupe", "Let only the first of equal records through"),
        _named("count", "aggregate:Count", "Count how often each value occurs"),
        _named("group", "group:Group", "Combine all records with the same values in some fields into one"),
        _named("expect", "expect:Expect", "Check that rules hold, for each record or for a share of them"),
        _named("sample", "sampling:sample", "Keep a share of the records, the same ones in every run"),
        _named("http", "web.http:Http", "Ask a service over HTTP about each record"),
        _named("llm", "web.llm:Llm", "Ask a language model about each record"),
        _named("exec", "programs.exec:Exec", "Pass records through another program"),
        _named("take", "sampling:Take", "Take the first records, then end the run"),
    ]


@hookimpl
def stagerunner_sources() -> list[Any]:
    """The built-in sources."""
    return [
        _named("lines", "sources.lines:Lines", "Read text files, one record per line"),
        _named("jsonl", "sources.jsonl:Jsonl", "Read files with one JSON value per line", ".jsonl", ".ndjson"),
        _named(
            "json",
            "sources.json:Json",
            "Read JSON files, one record per element of an array",
            ".json",
        ),
        _named("csv", "sources.csv:Csv", "Read CSV files, one record per row: a mapping of texts", ".csv", ".tsv"),
        _named("files", "sources.files:Files", "Read whole files, one record each"),
        _named("tail", "sources.tail:Tail", "Follow a file that grows, one record per line"),
        _named(
            "sql",
            "sources.sql:Sql",
            "Read a table or query of a database file, SQLite or DuckDB, one record per row",
            *DATABASES,
            ".duckdb",
        ),
        _named(
            "arrow",
            "sources.arrow:Arrow",
            "Read Arrow files and streams (IPC, Feather), one record per row",
            ".arrow",
            ".feather",
            ".arrows",
        ),
        _named("parquet", "sources.parquet:Parquet", "Read Parquet files, one record per row", ".parquet", ".pq"),
        _named("range", "sources.range:Range", "Give whole numbers in order"),
    ]


@hookimpl
def stagerunner_sinks() -> list[Any]:
    """The built-in sinks."""
    return [
        _named("lines", "sinks.lines:Lines", "Write one record per line: text as it is, everything else as JSON"),
        _named("jsonl", "sinks.jsonl:Jsonl", "Write each record as a line of JSON", ".jsonl", ".ndjson"),
        _named("csv", "sinks.csv:Csv", "Write records as the rows of a CSV file", ".csv", ".tsv"),
        _named(
            "arrow",
            "sinks.arrow:Arrow",
            "Write records as the rows of an Arrow file, or of a folder of such files",
            ".arrow",
            ".feather",
            ".arrows",
        ),
        _named(
            "parquet",
            "sinks.parquet:Parquet",
            "Write records as the rows of a Parquet file, or of a folder of such files",
            ".parquet",
            ".pq",
        ),
        _named(
            "sqlite", "sinks.sqlite:Sqlite", "Write records as the rows of a table in an SQLite database", *DATABASES
        ),
        _named("duckdb", "sinks.duckdb:Duckdb", "Write records as the rows of a table in a DuckDB database", ".duckdb"),
        _named("stdout", "sinks.stdout:Stdout", "Write to standard output: text as it is, everything else as JSON"),
        _named("files", "sinks.files:Files", "Write a file for each record"),
        _named("null", "sinks.null:Null", "Throw every record away"),
    ]
