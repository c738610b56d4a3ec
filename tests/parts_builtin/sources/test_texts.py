import pytest

from stagerunner_parts.sources.texts import check_encoding


def test_encodings_that_can_be_cut():
    for encoding in ("utf-8", "latin-1", "cp1252", "shift_jis"):
        check_encoding(encoding)


def test_encodings_that_cannot():
    with pytest.raises(ValueError, match="make it UTF-8 first"):
        check_encoding("utf-16")
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        check_encoding("utf-9")
