from datetime import date
from decimal import Decimal

from stagerunner_parts.digests import canonical, digest


def test_equal_values_have_one_text_and_no_others_do():
    assert canonical({"a": 1, "b": {2, 1}}) == canonical({"b": {1, 2}, "a": 1})
    different = [1, 1.0, True, "1", None, "null", [1], Decimal(1), date(2026, 1, 1), "2026-01-01", b"1"]
    assert len({canonical(value) for value in different}) == len(different)


def test_a_digest_depends_on_the_key():
    assert digest("a", size=8, key=b"x") != digest("a", size=8, key=b"y")
    assert len(digest("\ud800", size=16)) == 16
