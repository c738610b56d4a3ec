"""The source `tail`: growth, half lines, rotation, truncation, and going on behind a mark."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from stagerunner import Malformed, Mark
from stagerunner_parts.options import Duration
from stagerunner_parts.sources import tail
from stagerunner_parts.sources.tail import Tail


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(tail, "POLL", 0.001)
    monkeypatch.setattr(tail, "SETTLE", 0.01)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "app.log"


def follow(path, **options):
    return Tail(path=path, until=Duration(0.02), **options)


def records(items):
    return [item for item in items if type(item) is not Mark]


def next_record(items):
    return next(item for item in items if type(item) is not Mark)


def append(path, text):
    with path.open("ab") as file:
        file.write(text)


def marks(path, **options):
    """The position of each mark, through JSON as in the journal, and the records behind it."""
    items = list(follow(path, **options).read(None))
    places = [place for place, item in enumerate(items) if type(item) is Mark]
    return [(json.loads(json.dumps(items[place].position)), records(items[place:])) for place in places]


def test_lines_are_read_as_they_come_and_a_half_one_waits_for_its_end(log):
    log.write_bytes(b"one\r\ntwo\nthr")
    items = Tail(path=log).read(None)
    assert [next_record(items), next_record(items)] == ["one", "two"]

    append(log, b"ee\nfour\n")
    assert [next_record(items), next_record(items)] == ["three", "four"]
    items.close()


def test_with_until_a_last_line_without_its_end_is_one_too(log):
    log.write_bytes(b"\xef\xbb\xbfone\ntwo")
    assert records(follow(log).read(None)) == ["one", "two"]


def test_a_file_that_never_comes_is_no_record(log):
    assert list(follow(log).read(None)) == []


def test_from_the_end_only_what_comes_is_read_with_the_line_that_is_half_written(log):
    log.write_bytes(b"old\nhal")
    items = Tail(path=log, begin="end").read(None)
    assert next(items).position["offset"] == 4

    append(log, b"f\n")
    assert next_record(items) == "half"
    items.close()


def test_a_file_that_was_renamed_is_read_to_its_end_and_then_the_new_one(log):
    log.write_bytes(b"one\n")
    items = follow(log).read(None)
    assert next_record(items) == "one"

    old = log.rename(log.with_name("app.log.1"))
    append(old, b"two\nthree")
    log.write_bytes(b"four\n")
    assert records(items) == ["two", "three", "four"]


def test_a_file_that_becomes_shorter_is_read_from_its_start(log, capfd):
    log.write_bytes(b"one\ntwo\n")
    items = follow(log).read(None)
    assert [next_record(items), next_record(items)] == ["one", "two"]

    log.write_bytes(b"new\n")
    assert records(items) == ["new"]
    assert "became shorter" in capfd.readouterr().err


@pytest.mark.parametrize("new", [b"new 1\nnew 2\n", b"new one\nnew two\nnew three\n"])
def test_a_file_that_was_written_anew_and_is_as_long_again_is_read_from_its_start(log, capfd, new):
    """A copy was made and the file truncated, and its writer was quicker than the next look."""
    log.write_bytes(b"old 1\nold 2\n")
    items = follow(log).read(None)
    assert [next_record(items), next_record(items)] == ["old 1", "old 2"]

    log.write_bytes(new)
    assert records(items) == new.decode().splitlines()
    assert "was written anew" in capfd.readouterr().err


def test_a_half_line_of_a_file_that_was_written_anew_is_forgotten(log):
    log.write_bytes(b"old 1\nhalf a li")
    items = follow(log).read(None)
    assert next_record(items) == "old 1"
    assert type(next(items)) is Mark

    log.write_bytes(b"new 1\nnew 2\n")
    assert records(items) == ["new 1", "new 2"]


def test_a_folder_in_the_place_of_the_file_is_named(log):
    log.write_bytes(b"one\n")
    items = follow(log).read(None)
    assert next_record(items) == "one"

    log.unlink()
    log.mkdir()
    with pytest.raises(OSError, match="is a folder now"):
        records(items)


def test_it_goes_on_behind_every_mark(log, monkeypatch):
    monkeypatch.setattr(tail, "CHUNK", 7)
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(20)))

    found = marks(log)

    assert len(found) > 10
    for position, rest in found:
        assert records(follow(log).read(position)) == rest


def test_it_goes_on_in_a_file_that_was_renamed_while_the_run_was_stopped(log):
    log.write_bytes(b"one\ntwo\n")
    position, rest = marks(log)[-1]
    assert rest == []

    append(log, b"three\n")
    log.rename(log.with_name("app.log.2"))
    log.write_bytes(b"four\n")
    log.rename(log.with_name("app.log.1"))
    log.write_bytes(b"five\n")
    log.with_name("app.log.0.gz").write_bytes(b"packed\n")

    assert records(follow(log).read(position)) == ["three", "four", "five"]


def test_it_goes_on_in_a_copy_if_the_file_was_emptied(log):
    log.write_bytes(b"one\ntwo\n")
    position = marks(log)[-1][0]

    append(log, b"three\n")
    log.with_name("app.log.1").write_bytes(log.read_bytes())
    log.write_bytes(b"")
    append(log, b"four\n")

    assert records(follow(log).read(position)) == ["three", "four"]


def test_a_file_that_is_gone_is_not_taken_for_another(log):
    log.write_bytes(b"one\n")
    position = marks(log)[-1][0]
    log.unlink()
    log.write_bytes(b"another\n")

    with pytest.raises(FileNotFoundError, match="can't be found"):
        list(follow(log).read(position))


def test_what_can_not_be_a_line_is_malformed(log, monkeypatch):
    monkeypatch.setattr(tail, "CHUNK", 8)
    log.write_bytes(b"ok\n" + b"x" * 50 + b"\n\xff\nfine\n")
    source = follow(log)
    source.max_record = 20

    ok, long, odd, fine = records(source.read(None))

    assert (ok, fine) == ("ok", "fine")
    assert [type(long), long.type, type(odd), odd.type] == [Malformed, "TooLarge", Malformed, "UnicodeDecodeError"]


def test_a_record_is_located_by_its_byte(log):
    log.write_bytes(b"one\ntwo\nthree\n")
    position, _ = marks(log)[0]

    assert [follow(log).locate(position, number).offset for number in range(3)] == [0, 4, 8]
    assert follow(log).locate(position, 3) is None


def test_what_can_not_be_followed_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Tail(path=tmp_path / "nowhere" / "app.log").check()
    with pytest.raises(ValueError, match="isn't a file that can be followed"):
        Tail(path=tmp_path).check()


def test_the_marks_of_a_large_file_are_few(log):
    log.write_bytes(b"x" * 99 + b"\n")
    append(log, (b"x" * 99 + b"\n") * 20_000)
    assert sum(type(item) is Mark for item in islice(follow(log).read(None), 20_000)) < 50
