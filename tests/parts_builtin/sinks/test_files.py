import os
import random
import shutil
from pathlib import Path

import pytest

from stagerunner_parts.sinks.files import Files


def made(folder, *frames, position=None, left=None, **options):
    """A sink to which these frames were written, each committed."""
    sink = Files(path=folder / "out", **({"name": "{id}.txt", "content": "text"} | options))
    sink.check()
    sink.left(left)
    sink.open(position)
    for frame in frames:
        sink.write(memoryview(sink.encode(frame)))
        sink.commit(None)
    return sink


def records(*numbers, text="x"):
    return [{"id": number, "text": f"{text}{number}"} for number in numbers]


def found(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_files_are_in_the_folder_at_the_end(tmp_path):
    sink = made(tmp_path, records(1, 2), records(3))
    assert not (tmp_path / "out").exists()
    sink.finish()
    assert found(tmp_path) == {"out/1.txt": "x1", "out/2.txt": "x2", "out/3.txt": "x3"}
    sink.finish()
    assert len(found(tmp_path)) == 3


def test_a_run_without_records_makes_an_empty_folder(tmp_path):
    made(tmp_path).finish()
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_what_is_in_the_folder_stays_unless_it_has_the_same_name(tmp_path):
    made(tmp_path, records(1, 2, text="old")).finish()
    (tmp_path / "out" / "mine").write_text("mine")
    made(tmp_path, records(2, 3)).finish()
    assert found(tmp_path / "out") == {"1.txt": "old1", "2.txt": "x2", "3.txt": "x3", "mine": "mine"}


def test_the_new_mode_overwrites_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    sink = made(tmp_path, records(1), mode="new")
    sink.check_new()
    sink.finish()
    with pytest.raises(FileExistsError, match="mode `new` overwrites nothing"):
        sink.check_new()
    with pytest.raises(FileExistsError, match="mode `new` overwrites nothing"):
        made(tmp_path, mode="new")


def test_content_is_a_field_or_the_record_as_json(tmp_path):
    made(tmp_path, [{"id": 1, "text": b"\xff\0"}]).finish()
    assert (tmp_path / "out" / "1.txt").read_bytes() == b"\xff\0"
    made(tmp_path, [{"id": 2, "b": [1]}], content=None, name="{id}.json").finish()
    assert (tmp_path / "out" / "2.json").read_text() == '{"id":2,"b":[1]}\n'


def test_fields_in_a_name_may_make_folders(tmp_path):
    made(tmp_path, [{"c": "SE", "id": 1.5, "x": "a"}], name="by {c}/{{{id}}}.txt", content="x").finish()
    assert found(tmp_path / "out") == {"by SE/{1.5}.txt": "a"}


@pytest.mark.parametrize("seed", range(30))
def test_no_value_whatever_leads_out_of_the_folder(tmp_path, seed):
    chance = random.Random(seed)
    values = ["".join(chance.choices("./\\a\0\n~ {}ä", k=chance.randint(0, 9))) for _ in range(20)]
    frame = [{"id": number, "v": value, "x": value} for number, value in enumerate(values)]
    made(tmp_path, frame, name="{v}/{v}{id}", content="x").finish()
    assert sorted(found(tmp_path / "out").values()) == sorted(path.replace("\r\n", "\n") for path in values)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("text", "needs a mapping"),
        ({"text": "x"}, "has no field 'id'"),
        ({"id": None, "text": "x"}, "is null, so the file has no name"),
        ({"id": 1}, "has no field 'text'"),
        ({"id": 1, "text": 5}, "text or bytes, but 'text' is int"),
        ({"id": b"1", "text": "x"}, "bytes are not text"),
        ({"id": "\ud800", "text": "x"}, "surrogates not allowed"),
    ],
)
def test_a_record_that_can_not_be_a_file_is_refused(tmp_path, record, why):
    with pytest.raises((TypeError, ValueError), match=why):
        Files(path=tmp_path, name="{id}", content="text").encode([record])


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, and `files` writes into a folder"):
        Files(path=tmp_path / "a", name="{id}").check()
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        Files(path=tmp_path / "a" / "b", name="{id}").check()


@pytest.mark.parametrize("frames", [(records(1, 1),), (records(1), records(1)), ([{"id": "a/b"}, {"id": "a_b"}],)])
def test_two_records_with_one_name_end_the_run(tmp_path, frames):
    with pytest.raises(ValueError, match="two records have the name"):
        made(tmp_path, *frames, content=None)


@pytest.mark.parametrize("mode", ["replace", "new"])
def test_a_resume_goes_on_at_the_position(tmp_path, mode):
    sink = made(tmp_path, records(1), records(2), mode=mode)
    position = sink.position()
    sink.write(memoryview(sink.encode(records(3, 4, text="lost"))))
    sink.abort()
    again = made(tmp_path, records(4), position=position, left=position, mode=mode)
    assert found(tmp_path / "out.partial").keys() == {".written", "1.txt", "2.txt", "4.txt"}
    again.finish()
    assert found(tmp_path / "out") == {"1.txt": "x1", "2.txt": "x2", "4.txt": "x4"}


def test_a_name_that_the_log_has_half_was_never_written(tmp_path):
    sink = made(tmp_path, records(1))
    position = sink.position()
    sink.abort()
    with open(tmp_path / "out.partial" / ".written", "ab") as log:
        log.write("2.txt\nä".encode()[:-1])
    made(tmp_path, records(2), position=position, left=position).finish()
    assert found(tmp_path / "out") == {"1.txt": "x1", "2.txt": "x2"}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("killed", ["rename", "replace", "unlink", "rmtree"])
def test_a_finish_that_was_killed_is_finished(tmp_path, monkeypatch, there, killed):
    if there:
        made(tmp_path, records(9)).finish()
    sink = made(tmp_path, records(1, 2))
    position, calls = sink.position(), []

    def dies(call):
        def dying(*arguments, **options):
            calls.append(killed)
            if len(calls) == 2 or killed != "replace":
                raise KeyboardInterrupt
            return call(*arguments, **options)

        return dying

    with monkeypatch.context() as patched:
        where = shutil if killed == "rmtree" else Path
        patched.setattr(where, killed, dies(getattr(where, killed)))
        try:
            sink.finish()
        except KeyboardInterrupt:
            pass
    again = Files(path=tmp_path / "out", name="{id}.txt", content="text")
    again.left(position)
    again.finish()
    assert found(tmp_path) == {f"out/{n}.txt": f"x{n}" for n in (1, 2, *([9] if there else []))}
    assert os.listdir(tmp_path) == ["out"]


def test_a_fresh_run_discards_only_what_is_its_own(tmp_path):
    left = made(tmp_path, records(1))
    left.abort()
    with pytest.raises(FileExistsError, match="is in the way"):
        made(tmp_path, records(2))
    made(tmp_path, records(2), left=left.position()).finish()
    assert found(tmp_path / "out") == {"2.txt": "x2"}
    made(tmp_path).abort()
    made(tmp_path, records(3)).finish()  # after a run that was killed before it had written anything
    (tmp_path / "out.partial").symlink_to(tmp_path / "out")
    with pytest.raises(FileExistsError, match="is in the way"):
        made(tmp_path)
    assert found(tmp_path / "out") == {"2.txt": "x2", "3.txt": "x3"}


def test_another_folder_is_not_resumed(tmp_path):
    sink = made(tmp_path, records(1))
    sink.abort()
    (tmp_path / "out.partial").rename(tmp_path / "elsewhere")
    (tmp_path / "out.partial").mkdir()
    with pytest.raises(FileNotFoundError, match="isn't what the run to be resumed has left"):
        made(tmp_path, position=sink.position())


def test_a_run_that_can_not_be_resumed_leaves_nothing(tmp_path):
    sink = made(tmp_path, records(1))
    sink.discard()
    sink.abort()
    assert os.listdir(tmp_path) == []


def test_two_runs_do_not_share_a_folder(tmp_path):
    sink = made(tmp_path, records(1))
    with pytest.raises(BlockingIOError):
        made(tmp_path, left=sink.position())
    assert len(found(tmp_path / "out.partial")) == 2


def test_a_link_in_the_folder_is_not_followed_out_of_it(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "SE").symlink_to(tmp_path)
    sink = made(tmp_path, [{"c": "SE", "x": "a"}], name="{c}/a", content="x")
    with pytest.raises(OSError, match="a link that leads out"):
        sink.finish()
    assert not (tmp_path / "a").exists()
