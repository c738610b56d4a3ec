import pytest
from support.project import Project

from stagerunner.errors import ConfigError
from stagerunner_parts.remote.address import Address
from stagerunner_parts.sinks.lines import Lines


def sink(text="memory://out.txt", mode="replace"):
    return Lines(path=Address(text), mode=mode)


def written(records, **more):
    made = sink(**more)
    made.check()
    made.open(None)
    made.write(made.encode(records))
    made.commit(None)
    return made


def test_it_is_there_whole_at_the_end_and_nothing_stays_here(memory, tmp_path):
    made = written(["a", "b"])
    assert not memory.exists("/out.txt")
    made.finish()
    assert memory.cat("/out.txt") == b"a\nb\n"
    assert list((tmp_path / "state" / "stagerunner").iterdir()) == []


def test_finishing_may_be_repeated_at_every_point(memory):
    made = written(["a"])
    position = made.position()
    made.abort()
    for _ in range(2):
        again = sink()
        again.left(position)
        again.finish()
        assert memory.cat("/out.txt") == b"a\n"
    memory.rm("/out.txt")
    lost = sink()
    lost.left(position)
    with pytest.raises(FileNotFoundError, match=r"so it can't be put at memory://out\.txt"):
        lost.finish()


def test_a_new_output_overwrites_nothing(memory):
    made = written(["a"], mode="new")
    memory.pipe("/out.txt", b"from another")
    with pytest.raises(FileExistsError, match=r"memory://out\.txt already exists"):
        made.finish()
    assert memory.cat("/out.txt") == b"from another"
    with pytest.raises(FileExistsError):
        sink(mode="new").check_new()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("memory://out.txt", "append", "can't be appended to: it is put in its place whole"),
        ("https://h/out.txt", "replace", "can only be read"),
        ("memory://out*.txt", "replace", "is not the address of one file"),
        ("memory://deep", "replace", "is a folder"),
        ("memory://deep/{day}.txt", "append", "can be replaced or new, not appended to"),
        ("memory://{day}/x.txt", "replace", "no server and no bucket"),
        ("memory://deep/x/{day}.txt", "replace", "memory://deep/x is a file, not a folder"),
        ("memory://deep/*/{day}.txt", "replace", "names one place"),
        ("https://h/{day}.txt", "replace", "can only be read"),
    ],
)
def test_where_nothing_can_be_written(memory, text, mode, why):
    memory.pipe("/deep/x", b"x")
    with pytest.raises((OSError, ValueError), match=why):
        sink(text, mode).check()


@pytest.mark.parametrize("source", ["memory://deep/x.jsonl", "memory://deep/*.jsonl", ["memory://deep/x.jsonl"]])
def test_a_sink_does_not_overwrite_what_the_source_reads(memory, tmp_path, source):
    memory.pipe("/deep/x.jsonl", b"{}\n")
    project = Project(tmp_path)
    reading = {"use": "jsonl", "with": {"path": source}}
    with pytest.raises(ConfigError, match="would overwrite what the source reads"):
        project.plan("same", source=reading, sink="memory://deep/x.jsonl")
    project.plan("same", source=reading, sink="memory://deep/y.csv")
