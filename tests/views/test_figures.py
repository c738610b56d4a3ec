from __future__ import annotations

import pytest

from stagerunner.views import figures


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (311, "311"),
        (1204, "1,204"),
        (9999, "9,999"),
        (20_400, "20.4 k"),
        (461_000, "461 k"),
        (999_600, "1.00 M"),
        (3_020_000, "3.02 M"),
    ],
)
def test_counts_are_exact_while_they_are_few(number: int, text: str):
    assert figures.count(number) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (0, "0/s"),
        (3_020_000, "3.02 M/s"),
        (10, "10/s"),
        (2, "2/s"),
        (0.996, "1/s"),
        (0.2, "12/min"),
        (0.001, "4/h"),
    ],
)
def test_a_rate_is_told_in_the_unit_in_which_it_is_at_least_one(per_second, text):
    assert figures.rate(per_second) == text


def test_short_counts_have_no_space_in_them():
    assert [figures.short(number) for number in (71, 461_000, 46_100)] == ["71", "461k", "46.1k"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.42, "0.4 s"), (42.3, "42 s"), (69, "1 m 09 s"), (3600, "1 h 00 m"), (59.7, "1 m 00 s")]
)
def test_seconds_are_written_as_people_say_them(value: float, text: str):
    assert figures.seconds(value) == text


def test_a_clock_has_hours_when_it_needs_them():
    assert [figures.clock(value) for value in (42.9, 600, 3723)] == ["0:42", "10:00", "1:02:03"]


def test_sizes_count_in_thousands():
    assert [figures.size(number) for number in (512, 48_000, 1_100_000_000)] == ["512 B", "48.0 kB", "1.10 GB"]


def test_one_is_singular():
    assert (figures.plural(1, "dead letter"), figures.plural(2, "dead letter")) == ("1 dead letter", "2 dead letters")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "3"),
        (1204, "1,204"),
        (9.999999999999831, "10"),
        (0.5300001, "0.53"),
        (1204.5, "1,204.5"),
        (0.00042, "0.00042"),
        (1.5e-7, "1.5e-07"),
        (12345.678, "12.3 k"),
        (-0.25, "-0.25"),
    ],
)
def test_a_counter_may_have_a_fraction(number, text):
    assert figures.amount(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "–"), (5e-7, "500 ns"), (1.2e-6, "1.20 µs"), (0.0034, "3.40 ms"), (2.5, "2.50 s"), (9.996e-4, "1.00 ms")],
)
def test_short_times_have_three_digits(seconds, text):
    assert figures.short_time(seconds) == text
