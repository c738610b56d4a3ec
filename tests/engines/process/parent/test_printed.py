from __future__ import annotations

import os
import selectors

import pytest

from stagerunner.engines.process.parent.printed import Printed


@pytest.fixture
def told() -> list:
    return []


@pytest.fixture
def printed(told):
    with selectors.DefaultSelector() as selector:
        yield Printed(selector, lambda name, number, data: told.append((name, number, data)))


def test_what_is_printed_is_told_with_its_name_and_what_is_left_at_the_end(printed, told):
    reading, writing = os.pipe()
    printed.watch(reading, "parse", 1)
    os.write(writing, b"hello\n")

    printed.close()
    os.close(writing)

    assert told == [("parse", 1, b"hello\n")]


def test_the_end_is_told_as_nothing(printed, told):
    reading, writing = os.pipe()
    printed.watch(reading, "parse")
    os.close(writing)

    printed.close()

    assert told == [("parse", 0, b"")]
