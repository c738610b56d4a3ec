"""Completion as docs/config.md says to switch it on, in a real shell where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text()
LINES = dict(re.findall(r"^\| (bash|zsh|fish) \| `([^`]+)` \|", PAGE, re.MULTILINE))

ASKED = """
{line}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ COMPREPLY+=("files"); }}
_stagerunner_completion stagerunner
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_there_is_a_line_for_each_shell():
    assert sorted(LINES) == ["bash", "fish", "zsh"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("stagerunner ru", "run"),
        ("stagerunner run conf", "files"),
        ("stagerunner run a.yaml -o ou", "files"),
        ("stagerunner check a.yaml b", "files"),
        ("stagerunner run a.yaml --allow", "--allow-dead-letters"),
        ("stagerunner run a.yaml --log-format j", "json"),
        ("stagerunner stages show text.st", "text.strip"),
    ],
)
def test_bash_completes(tmp_path, words, expected):
    script = ASKED.format(line=LINES["bash"], words=words)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == ([expected], "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_given_a_script(call, shell):
    variable, source = re.search(r"(_\w+)=(\w+)", LINES[shell]).groups()
    done = call(env={variable: source})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{shell}_complete" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", done.stdout], check=True, timeout=60)
