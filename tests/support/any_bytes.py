"""Any bytes as a config: texts that are right, changed at random, and what `check` says of them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from stagerunner.api import prepare
from stagerunner.config.diagnostics import render
from stagerunner.errors import ConfigError, Mistake

REDACT = """\
# configs/redact.yaml — hide who it was, keep what happened
version: 1
vars: {day: "*", many: [1, 2], deep: {a: "${vars.day}"}}
plugins: [./my_stages.py]
source: {use: lines, with: {path: "logs/access-${vars.day}.log.gz"}, on_error: dead_letter}
stages:
  - text.strip
  - use: parse
    with: {preset: combined}
    workers: 2
    on_error: dead_letter
  - use: anonymize
    name: hide-people
    with: {fields: [ip, user], salt: "${secret:LOG_SALT:-pepper}"}
    workers: 4
  - use: ./my_stages.py:enrich
    retry: {attempts: 3, delay: 200ms}
    timeout: 5s
sink: {use: jsonl, with: {path: out/clean.jsonl.gz}}
dead_letter: out/failed.jsonl
"""
BARE = "version: 1\nstages: [text.strip, text.upper]\nsource: logs/*.gz\nsink: '-'\n"
FULL = """\
version: 1
name: all of it
description: >
  folded
  text
vars:
  n: 4
  size: 10MB
source: "-"
stages:
- use: pkg.module:function
  workers: ${vars.n}
  batch: 100
  concurrency: 3
  rate: 50/s
  max_errors: 0
  max_memory: ${vars.size}
  start_timeout: 1m
  env: {LANG: C, HOME: "${env:HOME:-/}"}
  resources: {gpu: 1}
  with:
    "quoted": 'single'
    text: |
      literal
    more: [1.5, 1e3, .inf, 0x1f, 0o17, ~, true, 010]
run: {engine: {use: inline, with: {a: b}}, frame: auto, window: 64MiB, linger: 50ms, journal: off, fuse: auto}
"""
SEEDS = [text.encode() for text in (REDACT, BARE, FULL)]
ODD = [
    *(b"\0", b"\t", b"\r", b"\x1b[31m", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"\xf0\x9f\x92\xa9", b"*", b"&a ", b"!x ", b"<<: ", b"? ", b"- ", b": ", b"#", b"---\n", b"...\n", b"@", b"`"),
    *(b"%YAML 1.1\n", b"|", b">", b"'", b'"', b"\\", b"[", b"]", b"{", b"}", b",", b"${", b"${vars.n}", b"${env:X}"),
    *(b"$$", b"~", b"null", b"9" * 400, b"1e999", b"-", b".nan", b"0x" + b"f" * 300, b"[" * 80, b"{a: " * 80, b"   "),
]


def examine(numbers: Sequence[int]) -> int:
    """Examine a config for each number, with warnings as errors. Returns how many. Raises what a config raises, and
    AssertionError for a mistake that has no place or no words."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in numbers:
            text = mutated(random.Random(number))
            try:
                assert all(is_told(mistake) for mistake in mistakes_of(text, Path(folder)))
            except BaseException as error:
                error.add_note(f"with the config {number}: {text!r}")
                raise
    return len(numbers)


def is_told(mistake: Mistake) -> bool:
    """Whether it has a place and words."""
    return mistake.mark.line >= 1 and mistake.mark.column >= 1 and bool(mistake.message)


def mistakes_of(text: bytes, folder: Path) -> list[Mistake]:
    """What is wrong with these bytes as a config: what `check` finds, plugins and plan included."""
    file = folder / "config.yaml"
    file.write_bytes(text)
    try:
        prepare(file)
    except ConfigError as error:
        render(error.mistakes, color=True).encode()
        return list(error.mistakes)
    return []


def mutated(random: random.Random) -> bytes:
    text = bytearray(random.choice(SEEDS))
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        random.choice((flip, delete, double, splice, insert))(text, random)
    return bytes(text)


def flip(text: bytearray, random: random.Random) -> None:
    if text:
        text[random.randrange(len(text))] ^= 1 << random.randrange(8)


def delete(text: bytearray, random: random.Random) -> None:
    start, stop = cut(text, random)
    del text[start:stop]


def double(text: bytearray, random: random.Random) -> None:
    start, stop = cut(text, random)
    text[stop:stop] = text[start:stop]


def splice(text: bytearray, random: random.Random) -> None:
    other = bytearray(random.choice(SEEDS))
    start, stop = cut(other, random)
    place = random.randrange(len(text) + 1)
    text[place:place] = other[start:stop]


def insert(text: bytearray, random: random.Random) -> None:
    place = random.randrange(len(text) + 1)
    text[place:place] = random.choice(ODD)


def cut(text: bytearray, random: random.Random) -> tuple[int, int]:
    start = random.randrange(len(text) + 1)
    return start, min(len(text), start + random.choice((1, 2, 5, 20, 100)))
