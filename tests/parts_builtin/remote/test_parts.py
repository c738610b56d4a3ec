"""A folder of parts at an address."""

from __future__ import annotations

from contextlib import suppress

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq

from stagerunner_parts.remote.address import Address
from stagerunner_parts.remote.folder import RemoteFolder
from stagerunner_parts.remote.uploading import Upload
from stagerunner_parts.sinks.parquet import Parquet


def sink(**more):
    return Parquet(path=Address("memory://deep/out/"), **{"rows": 2, "group": 2} | more)


def written(count, **more):
    made = sink(**more)
    made.check()
    made.open(None)
    for number in range(count):
        made.write(made.encode([{"n": number}]))
    made.commit(None)
    return made


def there(memory):
    rows = {}
    for path in memory.find("/deep/out"):
        with memory.open(path) as file:
            rows[path.rpartition("/")[2]] = pq.read_table(file).column("n").to_pylist()
    return rows


def parts(count):
    numbers = [list(range(count))[first : first + 2] for first in range(0, count, 2)]
    return {f"part-{number:05}.parquet": part for number, part in enumerate(numbers)}


def test_parts_replace_those_of_an_earlier_run_and_nothing_stays_here(memory, tmp_path):
    memory.pipe("/deep/out-of-reach/part-00009.parquet", b"")
    for count in (5, 3, 0):
        run = written(count)
        run.finish()
        assert there(memory) == parts(count)
        assert list((tmp_path / "state" / "stagerunner").iterdir()) == []
    assert memory.exists("/deep/out-of-reach/part-00009.parquet")


def kill(monkeypatch, run, arrived):
    """Finish the run, which dies when so many of its parts have arrived; if it has no more, before old ones go."""
    left = iter(range(arrived))

    def begun(store, local):
        if next(left, None) is None:
            raise KeyboardInterrupt
        upload = Upload(store, local)
        upload.wait()
        return upload

    def removed(folder, names):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr("stagerunner_parts.remote.folder.Upload", begun)
        patched.setattr(RemoteFolder, "remove", removed)
        run.finish()
    run.abort()


@pytest.mark.parametrize("arrived", range(4))
@pytest.mark.parametrize("count", [0, 5])
def test_finishing_goes_on_after_a_kill_at_every_point(memory, tmp_path, monkeypatch, arrived, count):
    """Killed before the upload of each part, before old ones are removed, or with only the folder left here."""
    written(9).finish()
    run = written(count)
    position = run.position()

    kill(monkeypatch, run, arrived)
    for _ in range(2):
        again = sink()
        again.left(position)
        again.finish()
        assert there(memory) == parts(count)
    (tmp_path / "state" / "stagerunner" / "memory%3A%2F%2Fdeep%2Fout").mkdir()
    again.finish()
    assert there(memory) == parts(count)
    assert list((tmp_path / "state" / "stagerunner").iterdir()) == []


def test_an_output_without_a_part_is_nowhere_and_not_missed(memory):
    run = written(0)
    position = run.position()
    run.finish()
    again = sink()
    again.left(position)
    again.finish()
    assert memory.find("/deep") == []


def test_an_output_that_is_nowhere_is_missed(memory):
    run = written(3)
    position = run.position()
    run.discard()
    lost = sink()
    lost.left(position)
    with pytest.raises(FileNotFoundError, match="so it can't be put at memory://deep/out"):
        lost.finish()


@pytest.mark.parametrize("arrived", range(3))
def test_parts_are_added_behind_those_that_are_there_also_by_a_resume(memory, tmp_path, monkeypatch, arrived):
    written(3).finish()
    lost = written(9, mode="append")
    kill(monkeypatch, lost, 0)
    assert there(memory) == parts(3)
    run = written(3, mode="append")
    position = run.position()
    kill(monkeypatch, run, arrived)
    for _ in range(2):
        again = sink(mode="append")
        again.left(position)
        again.finish()
        added = {f"part-{2 + number:05}.parquet": rows for number, rows in enumerate(parts(3).values())}
        assert there(memory) == parts(3) | added
    assert list((tmp_path / "state" / "stagerunner").iterdir()) == []


def test_parts_are_added_only_to_those_with_the_same_columns(memory):
    written(1).finish()
    other = sink(mode="append")
    other.open(None)
    with pytest.raises(ValueError, match=r"text|column"):
        other.write(other.encode([{"x": "text"}]))
    other.abort()
    memory.pipe("/deep/out/part-00004.parquet", b"nonsense")
    with pytest.raises(ValueError, match=r"memory://deep/out/part-00004\.parquet can't be read"):
        sink(mode="append").open(None)


def test_where_no_parts_can_be_put(memory):
    memory.pipe("/deep/out", b"x")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder; a single file's name"):
        sink(mode="append").check()
    memory.rm("/deep/out")
    written(1).finish()
    with pytest.raises(FileExistsError, match="memory://deep/out already exists"):
        sink(mode="new").check_new()
