"""docs/dead-letters.md: its commands give what it says, and its table names every field."""

from __future__ import annotations

import json
from pathlib import Path

from test_docs import section, table
from test_resume import FILE, run, said_by

from stagerunner.delivery.deadletters import letter
from stagerunner.evaluate.dead_letters.letters import as_line
from stagerunner.records import Cause, Failure, Origin

PAGE = (Path(__file__).parents[1] / "docs" / "dead-letters.md").read_text()


def test_its_commands_give_what_it_says(tmp_path):
    for name, text in FILE.findall(PAGE):
        (tmp_path / name).write_text(text)
    commands, outputs = zip(*said_by(PAGE), strict=True)

    assert run(list(commands), tmp_path) == list(outputs)


def test_its_table_names_every_field():
    cause = Cause("cause", "KeyError", "'x'")
    failures = [Failure(0, 0, 0, "T", "m", "dead_letter", causes=(cause,), record=(1,))]
    failures.append(Failure(0, 0, 0, "T", "m", "dead_letter", text="<a lock>"))
    lines = [json.loads(as_line("out", 1, letter(failure, "s", Origin("a")))) for failure in failures]

    named = [row[0].strip("`") for row in table(section(PAGE, "## The file"))]
    assert named == [*lines[0], "text"]
