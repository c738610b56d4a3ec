from __future__ import annotations

import pytest

from stagerunner.config.quantities import NotAQuantity, rate, seconds, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5s", 1.5), ("0", 0), (" 3 s ", 3)],
)
def test_durations_are_seconds(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512B", 512), ("64KiB", 65536), ("10MB", 10_000_000), ("1GiB", 2**30), ("100", 100), ("1.5kB", 1500)],
)
def test_sizes_are_bytes(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("50/s", 50), ("120/min", 2), ("10/500ms", 20), ("1 / h", 1 / 3600)])
def test_rates_are_calls_per_second(text, expected):
    assert rate(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("read", "text", "fix"),
    [
        (seconds, "30", "write 30s or 30ms"),
        (seconds, "30 parsecs", "one of us, ms, s, m, min, h, d"),
        (seconds, "", "write 500ms, 30s, 5m or 2h"),
        (seconds, "-1s", "write 500ms, 30s, 5m or 2h"),
        (size, "64XiB", "one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"),
        (size, "much", "write 512B, 64KiB, 10MB or 1GiB"),
        (rate, "50", "write 50/s, 100/m or 10/500ms"),
        (rate, "0/s", "write 50/s"),
        (rate, "5/0s", "write 50/s"),
    ],
)
def test_anything_else_is_refused_and_says_what_to_write(read, text, fix):
    with pytest.raises(NotAQuantity) as refused:
        read(text)
    assert refused.value.fix == fix


@pytest.mark.parametrize(("read", "text"), [(seconds, "9" * 18 + "d"), (size, "9" * 18 + "TiB"), (size, "9" * 5000)])
def test_no_number_is_too_large_to_be_refused(read, text):
    with pytest.raises(NotAQuantity):
        read(text)
