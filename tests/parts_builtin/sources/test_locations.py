from __future__ import annotations

import gzip

import pytest

from stagerunner import Want
from stagerunner_parts.sources import locations
from stagerunner_parts.sources.csv import Csv
from stagerunner_parts.sources.jsonl import Jsonl
from stagerunner_parts.sources.lines import Lines
from stagerunner_parts.sources.locations import LineNumbers


def located(source, size=20):
    """(offset, line) of every record."""
    found = []
    for split in source.splits(None, Want(size)):
        for number, _ in enumerate(source.read(split)):
            origin = source.locate(split, number)
            found.append((origin.offset, origin.line))
    return found


def test_a_record_is_found_by_line_as_well_as_by_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {number}\n" for number in range(100)))

    assert [line for _, line in located(Lines(path=path))] == list(range(1, 101))


def test_empty_lines_and_lines_inside_quotes_are_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n\n{"a": 1}\n\n2\n')
    (tmp_path / "a.csv").write_text('x,y\n1,"two\nlines"\n3,4\n')

    assert [line for _, line in located(Jsonl(path=tmp_path / "a.jsonl"))] == [3, 5]
    assert [line for _, line in located(Csv(path=tmp_path / "a.csv"))] == [2, 4]


def test_of_what_was_compressed_the_byte_alone_is_known(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a\nb\n"))

    assert located(Lines(path=tmp_path / "a.txt.gz")) == [(0, None), (2, None)]


def test_each_byte_is_counted_once(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x\n" * 1000)
    read = []
    newlines = locations._newlines
    monkeypatch.setattr(locations, "_newlines", lambda name, *span: read.append(span) or newlines(name, *span))
    numbers = LineNumbers()

    assert [numbers.at(str(path), offset) for offset in range(0, 2000, 2)] == list(range(1, 1001))
    assert sum(stop - start for start, stop in read) == 1998
    assert numbers.at(str(path), 20) == 11


@pytest.mark.parametrize("name", ["a.txt", "gone.txt"])
def test_what_is_too_far_away_or_gone_has_no_number(tmp_path, monkeypatch, name):
    (tmp_path / "a.txt").write_bytes(b"x\n" * 1000)
    monkeypatch.setattr(locations, "FARTHEST", 100)

    assert LineNumbers().at(str(tmp_path / name), 1000 if name == "a.txt" else 10) is None
