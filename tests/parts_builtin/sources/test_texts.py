import pytest

from stagerunner_parts.sources.texts import check_encoding, no_characters, plain


def test_encodings_that_can_be_cut():
    for encoding in ("utf-8", "latin-1", "cp1252", "shift_jis"):
        check_encoding(encoding)


def test_encodings_that_cannot():
    for encoding in ("utf-16", "utf-32-le", "iso2022_jp", "iso2022_kr", "hz", "utf-7", "cp037", "idna"):
        with pytest.raises(ValueError, match="convert it to UTF-8 first"):
            check_encoding(encoding)
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        check_encoding("utf-9")


def test_a_delimiter_that_may_be_part_of_a_character():
    check_encoding("shift_jis", ',;\t"')
    check_encoding("utf-8", "|")
    with pytest.raises(ValueError, match=r"in shift_jis '\|' may be part of another character"):
        check_encoding("shift_jis", ",|")


def test_a_mark_at_the_start_is_no_encoding_of_its_own():
    assert plain("UTF-8-SIG") == plain("utf_8_sig") == "utf-8"


def test_bytes_that_are_no_characters():
    assert no_characters("ä".encode()) is None
    assert no_characters(b"a\x81", "cp1252").message == "the byte 0x81 at offset 1 of the record is not cp1252"
