from pathlib import Path

from stagerunner_parts.sinks.jsonl import Jsonl


def test_a_line_of_json_a_record():
    assert Jsonl(path=Path("x")).encode(["one", {"a": [1]}]) == b'"one"\n{"a":[1]}\n'
    assert Jsonl(path=Path("x")).encode([]) == b""
