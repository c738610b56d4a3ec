"""Plugin files reach nodes that don't have them."""

from __future__ import annotations

from stagerunner_ray.shipping import packed, unpacked


def test_a_file_stays_where_it_is_if_the_same_lies_there(tmp_path):
    file = tmp_path / "parts.py"
    file.write_text("one = 1")

    assert unpacked(packed({"module": str(file)})) == {str(file): str(file)}


def test_a_file_that_is_missing_or_another_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    gone, other = tmp_path / "gone.py", tmp_path / "other.py"
    gone.write_text("one = 1")
    other.write_text("two = 2")
    contents = packed({"gone": str(gone), "other": str(other)})
    gone.unlink()
    other.write_text("two = 3")

    for _ in range(2):
        places = unpacked(contents)
        for path, data in contents.items():
            with open(places[path], "rb") as file:
                assert file.read() == data
            assert places[path] != path
