"""Whether a file is still what it was."""

from __future__ import annotations

import os

from stagerunner.memo import files
from stagerunner.memo.files import GONE, changed, checksum


def test_the_content_of_a_file_counts_and_not_when_it_was_written(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    before = checksum(str(path))
    path.write_text("two")
    assert checksum(str(path)) != before
    path.write_text("one")
    assert checksum(str(path)) == before


def test_of_a_large_file_size_and_time_count(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "READ", 2)
    path = tmp_path / "a"
    path.write_text("one")
    before = checksum(str(path))
    os.utime(path, (1, 1))
    assert checksum(str(path)) != before


def test_all_that_is_in_a_folder_counts(tmp_path):
    before = checksum(str(tmp_path))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("one")
    within = checksum(str(tmp_path))
    (tmp_path / "deep" / "a").rename(tmp_path / "deep" / "b")
    assert len({before, within, checksum(str(tmp_path))}) == 3


def test_what_is_gone_is_told_from_all_else(tmp_path):
    path = str(tmp_path / "a")
    known = {path: checksum(path)}
    assert known[path] == GONE
    assert changed(known) == ""
    (tmp_path / "a").write_text("")
    assert changed(known) == path
