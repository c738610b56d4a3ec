from __future__ import annotations

from stagerunner.evaluate.describing import describe


def test_an_error_is_described_with_the_users_lines_only():
    def theirs():
        raise ValueError("no")

    try:
        theirs()
    except ValueError as error:
        head, *frames = describe(error).split("\n")

    assert head == "ValueError: no"
    assert frames[-1].endswith("in theirs")
    assert all("test_describing.py" in frame for frame in frames)


def test_an_error_without_a_text_is_described():
    class Mute(Exception):
        def __str__(self):
            raise SystemExit

    assert describe(Mute()) == "Mute: <unprintable Mute>"
