"""The transcript of docs/resume.md: its commands give what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "resume.md").read_text()
FILE = re.compile(r"^`([\w.-]+)`, [^\n]*:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.reliability("transcript")


def said_by(page: str) -> list[tuple[str, str]]:
    """Each command of the page, and what it says comes of it."""
    parts = re.split(r"^\$ ", "".join(CONSOLE.findall(page)), flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def run(commands: list[str], folder: Path) -> list[str]:
    """What comes of each command, one shell after the other; how the shell itself tells of a death left out."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"cwd": folder, "env": os.environ | {"PATH": path, "LC_ALL": "C"}, "text": True, "timeout": 60}
    outputs = []
    for command in commands:
        shell = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)
        outputs.append("".join(line for line in shell.stdout.splitlines(keepends=True) if "Killed" not in line))
    return outputs


def test_its_commands_give_what_it_says(tmp_path, proved):
    for name, text in FILE.findall(PAGE):
        (tmp_path / name).write_text(text)
    commands, outputs = zip(*said_by(PAGE), strict=True)

    got = run(list(commands), tmp_path)

    assert [moments_away(text) for text in got] == [moments_away(text) for text in outputs]
    proved(commands=len(commands))


def moments_away(text: str) -> str:
    """The text without what depends on the moment of the kill."""
    return re.sub(r"after byte \d+, (in )?line \d+", "after byte N, line N", text)


def test_the_page_kills_resumes_and_compares():
    commands = " ".join(command for command, _ in said_by(PAGE))
    assert all(word in commands for word in ("kill -9 $!", "--resume", "cmp whole.txt killed.txt &&"))
