"""Devices and numbers of workers, as the workers themselves find them in their environment."""

from __future__ import annotations

import json

import pytest

PARTS = """
@stage
class Noted:
    "Leaves what its worker finds in its environment."
    def setup(self):
        self.seen = [os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CACHE", "PLAIN")]
        tell(f"seen-{os.getpid()}", __import__("json").dumps(self.seen))
    def process(self, record: object) -> object:
        if record == 5 and once("died"):
            os.kill(os.getpid(), signal.SIGKILL)
        return [record, self.seen[0]]

@stage
def plainly(record):
    return [*record, os.environ.get("CUDA_VISIBLE_DEVICES")]
"""


@pytest.fixture(autouse=True)
def _cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")


def seen(project):
    return sorted(json.loads(path.read_text()) for path in project.folder.glob("seen-*"))


def test_each_worker_has_devices_of_its_own_and_keeps_them(project):
    project.plugin(PARTS)
    model = {"use": "noted", "workers": 2, "resources": {"gpu": 2}, "env": {"CACHE": "c-${worker}", "PLAIN": "$$5"}}

    given = list(project.results(model, "plainly", records=range(12), run={"frame": 1}))

    assert [record for record, *_ in given] == list(range(12))
    assert {own for _, own, _ in given} <= {"4,5", "6,7"}
    assert {other for *_, other in given} == {"4,5,6,7"}, "a stage without `gpu` sees them all"
    twice = [["4,5", "c-0", "$5"], ["4,5", "c-0", "$5"], ["6,7", "c-1", "$5"], ["6,7", "c-1", "$5"]]
    assert seen(project) == twice, "the worker that took the place of the dead one has the same"


def test_inline_there_is_one_process_which_sees_all(project):
    project.plugin(PARTS)
    model = {"use": "noted", "resources": {"gpu": 2}, "env": {"CACHE": "c-${worker}"}}
    project.write("died", "")
    given = list(project.results(model, "plainly", records=range(3), engine="inline"))
    assert given == [[number, "4,5,6,7", "4,5,6,7"] for number in range(3)]
    assert seen(project) == [["4,5,6,7", "c-0", None]]


def test_the_command_says_what_is_missing(project):
    project.plugin(PARTS)
    path = project.config({"use": "noted", "workers": 3, "resources": {"gpu": 2}}, sink="out.jsonl")
    checked = project.cli("check", str(path), env=None)
    assert checked.returncode == 2
    assert b"3 workers with gpu: 2 need 6 devices; CUDA_VISIBLE_DEVICES names 4" in checked.stderr
    assert b"stages[0].resources.gpu" in checked.stderr
