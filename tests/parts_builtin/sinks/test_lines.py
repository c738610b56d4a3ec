from pathlib import Path

from stagerunner_parts.sinks.lines import Lines


def test_a_line_a_record():
    assert Lines(path=Path("x")).encode(["one", {"a": [1]}]) == b'one\n{"a":[1]}\n'
