from __future__ import annotations

from stagerunner.window import kinds


def test_every_kind_has_a_name_and_a_number_of_its_own() -> None:
    assert sorted(kinds.NAMES) == [kinds.READY, kinds.DATA, kinds.FLUSH, kinds.BARRIER, kinds.END, kinds.BLANK]
    assert kinds.NAMES[kinds.BARRIER] == "BARRIER"


def test_a_kind_fits_its_byte_in_the_header() -> None:
    assert all(0 < kind < 256 for kind in kinds.NAMES)
