from __future__ import annotations

from stagerunner.config.options import RUNNER_SETTINGS, options_of, read_options
from stagerunner.errors import Mark


def shout(text: str, *, times: int, sign: str = "!", limit: int = None) -> str: ...  # noqa: RUF013


def test_what_is_written_is_converted_and_what_is_left_out_stays_out(values):
    assert values(shout, "{times: 3}") == {"times": 3}


def test_null_for_an_option_that_defaults_to_none_says_nothing(values):
    assert values(shout, "{times: 3, limit: null}") == {"times": 3}


def test_unknown_options_are_told_with_the_nearest_name(wrong):
    assert wrong(shout, "{times: 3, sing: x}") == ("there is no option 'sing'", "did you mean 'sign'?")
    assert wrong(shout, "{times: 3, zzz: x}")[1] == "the options are times, sign, limit"
    assert wrong(str.strip, "{zzz: x}")[1] == "it takes no options"


def test_a_setting_among_the_options_is_told_its_place(wrong):
    assert wrong(shout, "{times: 3, workers: 4}") == (
        "there is no option 'workers'",
        "`workers` is a setting: it stands beside `use:`, not under `with:`",
    )


def test_an_option_may_be_called_like_a_setting(values):
    def limited(record, *, rate: int): ...

    assert "rate" in RUNNER_SETTINGS
    assert values(limited, "{rate: 4}") == {"rate": 4}


def test_a_missing_option_stands_at_the_mapping(read):
    (mistake,) = read(shout, "sign: '?'")[1]
    assert (mistake.code, mistake.mark.line, mistake.mark.column) == ("missing-option", 1, 1)
    assert mistake.path == "stages[0].with.times"
    assert mistake.fix == "add `times:` (whole number)"


def test_or_at_the_part_where_there_is_no_mapping():
    part = Mark("f.yaml", 7, 3)
    mistakes = read_options(options_of(shout), None, mark=part, path="stages[0].with", base=lambda mark: None)[1]
    assert [mistake.mark for mistake in mistakes] == [part]


def test_every_mistake_is_told_at_once(read):
    messages = [mistake.message for mistake in read(shout, "{sign: [a], limit: x, other: 1}")[1]]
    assert messages == [
        "sign must be text, not a list",
        "limit must be a whole number, not the text 'x'",
        "there is no option 'other'",
        "the option 'times' is required",
    ]
