"""The example of docs/remote.md gives what stands there, from a server on this machine."""

import re
from pathlib import Path

from support.project import Project
from support.remote import Shelf

from stagerunner.config.read import read_config

PAGE = (Path(__file__).parents[1] / "docs" / "remote.md").read_text()
FILE = re.compile(r"^`([\w./-]+)`, ([^\n]*):\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_example_gives_its_result(tmp_path):
    (orders, chain, result) = FILE.findall(PAGE)
    project = Project(tmp_path)
    with Shelf() as shelf:
        shelf.put(f"2026/{orders[0]}", orders[2].encode())
        project.write(chain[0], chain[2].replace("https://files.example.org", shelf.web.url))
        done = project.cli("run", chain[0], "-q")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (project / result[0]).read_text() == result[2]


def test_the_other_blocks_are_sinks_and_a_source():
    blocks = re.findall(r"```yaml\n(s(?:ource|inks):.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert not read_config(f"version: 1\nstages: []\n{block}").mistakes
