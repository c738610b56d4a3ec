"""Where parts end, and what a resume finds in PATH.partial: with a writer that writes numbers as text."""

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner_parts.columnar.encoding import PartWriter
from stagerunner_parts.columnar.parts import Parts, old_parts
from stagerunner_parts.columnar.streams import stream_of
from stagerunner_parts.sinks.locking import inode_of


class Numbers(PartWriter):
    """A line for each row group."""

    def __init__(self, path, schema):
        self._file = path.open("w")

    def group(self, table):
        self._file.write(" ".join(map(str, table.column("n").to_pylist())) + "\n")
        return self._file.tell()

    def close(self):
        self._file.close()


@pytest.fixture
def parts(tmp_path):
    made = []

    def parts(suffix=".txt", group=2, rows=None, size=None):
        made.append(Parts(tmp_path / "out", suffix, group=group, rows=rows, size=size, writer=Numbers))
        return made[-1]

    yield parts
    for one in made:
        one.close()


def write(parts, *numbers):
    batch = pa.RecordBatch.from_pydict({"n": list(numbers)})
    parts.schema = batch.schema
    parts.write(stream_of(batch), len(numbers))


def texts(folder):
    return {path.name: path.read_text().split("\n")[:-1] for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("frames", [[range(7)], [[number] for number in range(7)], [range(3), range(3, 7)]])
def test_parts_and_row_groups_end_after_so_many_rows_however_the_rows_come(parts, tmp_path, frames):
    output = parts(group=2, rows=5)
    output.begin(0)
    for frame in frames:
        write(output, *frame)
    output.complete()
    assert texts(tmp_path / "out") == {"part-00000.txt": ["0 1", "2 3", "4"], "part-00001.txt": ["5 6"]}


def test_a_part_ends_with_the_row_group_that_reaches_its_bytes(parts, tmp_path):
    output = parts(group=1, size=4)
    output.begin(0)
    write(output, *range(5))
    output.complete()
    assert [len(groups) for groups in texts(tmp_path / "out").values()] == [2, 2, 1]


def test_without_a_suffix_the_output_is_one_file(parts, tmp_path):
    output = parts(suffix=None)
    output.begin(0)
    write(output, 1, 2, 3)
    output.complete()
    assert (tmp_path / "out").read_text() == "1 2\n3\n"
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("written", range(8))
def test_a_resume_cuts_the_spool_back_and_makes_the_part_anew(parts, tmp_path, written):
    first = parts(rows=5)
    first.begin(0)
    for number in range(written):
        write(first, number)
    position = first.where()
    write(first, 100, 101, 102)
    first.close()

    again = parts(rows=5)
    again.begin_again(position)
    write(again, *range(written, 9))
    again.complete()
    assert texts(tmp_path / "out") == {"part-00000.txt": ["0 1", "2 3", "4"], "part-00001.txt": ["5 6", "7 8"]}


def test_only_spools_that_no_resume_needs_are_removed(parts, tmp_path):
    output = parts(rows=2)
    output.begin(0)
    write(output, *range(5))
    output.where()
    output.forget(1)
    assert [path.name for path in sorted((tmp_path / "out.partial").glob("spool-*"))] == ["spool-00001", "spool-00002"]


def test_a_folder_of_another_program_is_in_the_way(parts, tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "theirs").touch()
    with pytest.raises(FileExistsError, match="in the way"):
        parts().begin(0)
    parts().begin(inode_of(tmp_path / "out.partial"))  # unless it is what the run before has left


def test_a_spool_that_is_too_short_is_refused(parts):
    output = parts()
    output.begin(0)
    position = output.where() | {"bytes": 10}
    output.close()
    with pytest.raises(OSError, match="has 0 bytes, but 10 were written to it"):
        parts().begin_again(position)


def test_parts_are_known_by_their_names(tmp_path):
    for name in ("part-00002.txt", "part-00001.txt", "part-1.txt", "part-00001.csv", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in old_parts(tmp_path, ".txt")] == ["part-00001.txt", "part-00002.txt"]
