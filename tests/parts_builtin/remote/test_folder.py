from __future__ import annotations

import errno

import pytest

from stagerunner_parts.remote.address import Address
from stagerunner_parts.remote.folder import AT_A_TIME, RemoteFolder
from stagerunner_parts.sinks.csv import Csv
from stagerunner_parts.sinks.jsonl import Jsonl


@pytest.fixture
def folder(memory):
    return RemoteFolder(Address("memory://deep/there/"), None)


def test_every_file_gets_its_name_in_order_however_many_are_under_way(folder, memory, tmp_path):
    files = [(tmp_path / str(number), f"{number % 3}/{number}") for number in range(2 * AT_A_TIME + 1)]
    for path, name in files:
        path.write_text(name)
    assert list(folder.put(files)) == [path for path, _ in files]
    assert {name: memory.cat(f"/deep/there/{name}").decode() for _, name in files} == {name: name for _, name in files}


def test_what_is_in_it(folder, memory):
    assert (folder.exists(), folder.names(), folder.first("*")) == (False, [], None)
    for name in ("b", "a.x", "c/d.x"):
        memory.pipe(f"/deep/there/{name}", b"x")
    assert folder.exists()
    assert sorted(folder.names()) == ["a.x", "b"]
    assert [str(folder.first(pattern)) for pattern in ("*.x", "*/*.x")] == [
        "memory://deep/there/a.x",
        "memory://deep/there/c/d.x",
    ]
    folder.remove(["b", "gone"])
    assert folder.names() == ["a.x"]


# A file for each value of a field


def written(path, records, mode="replace"):
    sink = Jsonl(path=Address(path), mode=mode)
    sink.check()
    sink.check_new()
    sink.open(None)
    sink.write(sink.encode(records))
    sink.commit(None)
    return sink


def there(memory):
    return {path: memory.cat_file(path).decode() for path in memory.find("/")}


def test_each_value_has_a_file_there_at_the_end_and_nothing_stays_here(memory, tmp_path):
    sink = written("memory://deep/{c}/{n}.jsonl", [{"c": "b", "n": 1}, {"c": "a", "n": 1}, {"c": "b", "n": 1}])
    assert there(memory) == {}
    sink.finish()
    assert there(memory) == {
        "/deep/a/1.jsonl": '{"c":"a","n":1}\n',
        "/deep/b/1.jsonl": '{"c":"b","n":1}\n' * 2,
    }
    assert list((tmp_path / "state" / "stagerunner").iterdir()) == []


def test_no_value_leads_out_of_the_folder_or_begins_a_version(memory):
    values = ["../../etc", "a/b", "", "x?versionId=1", "x#2", "é:*[x]"]
    written("memory://deep/in/{c}.jsonl", [{"c": value} for value in values]).finish()
    assert list(there(memory)) == sorted(
        f"/deep/in/{name}.jsonl" for name in ("_.._.._etc", "a_b", "_", "x_versionId=1", "x_2", "é:*[x]")
    )


def test_a_finish_that_was_killed_goes_on_with_the_files_that_are_not_there(memory, tmp_path):
    sink = written("memory://deep/{n}.jsonl", [{"n": n} for n in range(3)])
    position = sink.position()
    sink.abort()
    (place,) = (tmp_path / "state" / "stagerunner").iterdir()
    (place / "1.jsonl").unlink()  # that one has arrived
    for _ in range(2):
        again = Jsonl(path=Address("memory://deep/{n}.jsonl"))
        again.left(position)
        again.finish()
        assert sorted(there(memory)) == ["/deep/0.jsonl", "/deep/2.jsonl"]


def test_an_upload_that_fails_leaves_what_is_not_there_and_says_where(memory, tmp_path, monkeypatch):
    sink = written("memory://deep/{n}.jsonl", [{"n": n} for n in range(3)])
    names = sorted(path.name for path in (tmp_path / "state").rglob("*.jsonl"))
    waits = iter([None, OSError(errno.ETIMEDOUT, "no answer")])

    def wait(upload):
        if (error := next(waits)) is not None:
            raise error

    with monkeypatch.context() as patched:
        patched.setattr("stagerunner_parts.remote.uploading.Upload.wait", wait)
        with pytest.raises(OSError, match="no answer; the files that aren't there yet are complete in /") as failed:
            sink.finish()
    assert failed.value.errno == errno.ETIMEDOUT
    assert len(list((tmp_path / "state").rglob("*.jsonl"))) == len(names) - 1
    sink.finish()
    assert sorted(there(memory)) == [f"/deep/{name}" for name in names]


def test_a_new_output_overwrites_none_of_the_files(memory):
    memory.pipe("/deep/x/1.jsonl", b"")
    with pytest.raises(FileExistsError, match=r"memory://deep/x/1\.jsonl already exists"):
        written("memory://deep/{c}/{n}.jsonl", [], mode="new")
    written("memory://deep/{c}/{n}.csv", [], mode="new")


def test_each_csv_file_there_has_its_columns_once(memory):
    sink = Csv(path=Address("memory://deep/{c}.csv"))
    sink.open(None)
    for records in ([{"c": 1, "x": 1}], [{"c": 1, "x": 2}]):
        sink.write(sink.encode(records))
        sink.commit(None)
    sink.finish()
    assert there(memory) == {"/deep/1.csv": "c,x\n1,1\n1,2\n"}
