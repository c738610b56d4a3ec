from pathlib import Path

import pytest

from stagerunner_parts.sinks.lines import Lines


def test_a_line_a_record():
    assert Lines(path=Path("x")).encode(["one", {"a": [1]}]) == b'one\n{"a":[1]}\n'


@pytest.mark.parametrize("text", ["two\nlines", "ends with one\n", "\r", "a\r"])
def test_a_text_that_would_be_read_back_as_another_is_refused(text):
    for among in (["fine", text], ["fine", text, {"a": 1}]):
        with pytest.raises(ValueError, match="contains a line break"):
            Lines(path=Path("x")).encode(among)
    assert Lines(path=Path("x")).encode(["a\rb", {"a": text}]).count(b"\n") == 2
