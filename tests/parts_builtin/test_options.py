import pytest

from stagerunner_parts.options import Duration, Number, Size


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Number, "1", 1),
        (Number, "007", 7),
        (Size, "64KiB", 65536),
        (Size, "1.5MB", 1_500_000),
        (Size, "2GiB", 2**31),
        (Size, "10B", 10),
        (Duration, "500ms", 0.5),
        (Duration, "1.5m", 90),
        (Duration, "2h", 7200),
    ],
)
def test_a_text_with_its_unit(kind, text, value):
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        *((Number, text, "is not a whole number from 1 on") for text in ("0", "-1", "1.5", "", "x")),
        *((Size, text, "isn't a size; write 64KiB") for text in ("64", "64 KiB", "kB", "-1kB", "1Ki")),
        *((Duration, text, "isn't a duration; write 500ms") for text in ("5", "5 s", "1d", "-1s", "s")),
    ],
)
def test_anything_else_is_refused_with_an_example(kind, text, why):
    with pytest.raises(ValueError, match=why):
        kind.parse(text)
