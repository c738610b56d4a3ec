"""Bodies of named files, and how files reach their folder."""

import pytest

from stagerunner_parts.sinks.many import in_the_way, move, pack, unpack

FILES = [("a/ä.txt", b"one"), ("empty", b""), ("b", bytes(range(256)))]


def test_a_body_gives_its_files_back_in_order():
    assert [(name, bytes(content)) for name, content in unpack(memoryview(pack(FILES)))] == FILES
    assert list(unpack(b"")) == []


def test_bodies_may_be_joined():
    assert pack(FILES) == b"".join(pack([file]) for file in FILES)


def test_a_file_is_moved_to_its_place_and_the_folders_are_made(tmp_path):
    (tmp_path / "made").write_text("x")
    for _ in range(2):  # again, after a move that was interrupted behind this file
        move(tmp_path / "made", tmp_path / "out" / "a" / "b", tmp_path / "out", tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b").read_text() == "x"


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path)
    (tmp_path / "made").write_text("x")
    with pytest.raises(OSError, match="a link that leads out of out"):
        move(tmp_path / "made", tmp_path / "out" / "a" / "b", tmp_path / "out", "out")
    assert (tmp_path / "made").exists()


def test_what_is_in_the_way_is_named():
    assert str(in_the_way("x.partial")).startswith("x.partial is in the way")
