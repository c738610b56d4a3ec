from __future__ import annotations

import pytest

from stagerunner.config.model import Retry
from stagerunner.config.options import quantities as readers
from stagerunner.views.quantities import size, written


@pytest.mark.parametrize(("seconds", "text"), [(0.05, "50ms"), (60.0, "60s"), (0.0, "0s"), (1.5, "1.5s")])
def test_durations_read_back_to_what_they_were(seconds: float, text: str):
    assert written("timeout", seconds) == text
    assert readers.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(("number", "text"), [(64 * 2**20, "64MiB"), (1000, "1000B"), (0, "0B"), (2**30, "1GiB")])
def test_sizes_read_back_to_what_they_were(number: int, text: str):
    assert size(number) == text
    assert readers.size(text) == number


def test_other_settings_stay_what_they_are():
    assert (written("workers", 3), written("on_error", "skip"), written("retry", Retry(attempts=2))) == (3, "skip", 2)
