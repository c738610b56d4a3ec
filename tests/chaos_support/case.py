"""One chain in a folder of its own: config, input, and what it is to give."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from chaos_support.outputs import content, lay_out, names, place, sinks_of

from stagerunner.api import Request, prepare

PARTS = Path(__file__).with_name("parts.py")

TESTS = Path(__file__).parents[1]
"""Where the modules of ours are that a run may import."""

HARMLESS = {"harmless": True, "pause": 0, "mark": ""}
"""Options of parts.py for a run in which nothing happens."""

Letters = list[tuple[str, Any, Any]]
"""Dead letters: stage, origin, record."""


MOST_KEPT = 50
_one_at_a_time = Lock()
_expected: dict[str, Outcome] = {}
"""What was expected of the latest cases."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything by which a run is judged: rows or bytes of the output, and the dead letters in order."""

    output: Any
    letters: Letters


@dataclass(frozen=True, slots=True)
class Case:
    """stages: as in a config. sink: a key of OUTPUTS or BRANCHED. plugin: the file the parts come from."""

    folder: Path
    stages: list[dict[str, Any]]
    records: list[dict[str, Any]]
    sink: str = "jsonl"
    run: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    plugin: Path = PARTS

    @property
    def config(self) -> Path:
        return self.folder / "chain.yaml"

    @property
    def out(self) -> Path:
        """The folder that may contain only output, dead letters and journal."""
        return self.folder / "out"

    @property
    def output(self) -> Path:
        """The output; of several, the first."""
        return self.out / names(self.sink)[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of everything in the folder `out` that has results in it."""
        return names(self.sink)

    @property
    def letters(self) -> Path:
        return self.out / "failed.jsonl"

    @property
    def events(self) -> Path:
        """What the stages tell of themselves."""
        return self.folder / "events"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def write(self) -> Case:
        """Make the folder; everything the command needs is in it."""
        self.temporary.mkdir(parents=True)
        source = self.folder / "in.jsonl"
        source.write_text("".join(f"{json.dumps(record)}\n" for record in self.records))
        _write(self.config, self._config("out", self.stages, self.run))
        lay_out(self.out, self.sink)
        return self

    def expected(self) -> Outcome:
        """The result of the inline engine, with deadly records refused instead. Computed once for equal cases."""
        config = self._config("out", [_harmless(stage) for stage in self.stages], {"engine": "inline"})
        alike = json.dumps([config, self.records]).replace(str(self.folder), "")
        with _one_at_a_time:
            if alike not in _expected:
                if len(_expected) == MOST_KEPT:
                    _expected.clear()
                _expected[alike] = self._evaluated(config)
            return _expected[alike]

    def _evaluated(self, config: dict[str, Any]) -> Outcome:
        folder = self.folder / "expected"
        folder.mkdir()
        file = _write(folder / "chain.yaml", config)
        lay_out(folder / "out", self.sink)
        prepare(file, Request(allow_dead_letters=True)).execute()
        return outcome(folder / "out", self.sink)

    def got(self) -> Outcome:
        return outcome(self.out, self.sink)

    def _config(self, out: str, stages: list[dict[str, Any]], run: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": 1,
            "plugins": [str(self.plugin)],
            "source": {"use": "jsonl", "with": {"path": str(self.folder / "in.jsonl")}, "on_error": "dead_letter"},
            "stages": stages,
            **sinks_of(out, self.sink),
            "dead_letter": f"{out}/failed.jsonl",
            "run": run,
            **self.keys,
        }


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config))
    return path


def _harmless(stage: dict[str, Any]) -> dict[str, Any]:
    """The stage with options that make it neither kill nor wait."""
    options = {name: HARMLESS.get(name, value) for name, value in stage.get("with", {}).items()}
    return {**stage, "with": options}


def outcome(out: Path, sink: str) -> Outcome:
    """What stands in a folder after a run."""
    return Outcome(content(out, sink), _letters(out / "failed.jsonl"))


def _letters(path: Path) -> Letters:
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [(letter["stage"], place(letter["origin"]), letter.get("record", letter.get("text"))) for letter in found]


_NOT_HANDED_ON = ("STAGERUNNER_", "CHAOS_", "PYTHONDONTWRITEBYTECODE")
"""The last would have every process of every run compile every module."""


def environment(case: Case, **more: str) -> dict[str, str]:
    """Our environment, with folders that a run may use and the token by which its processes are recognised."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_HANDED_ON)}
    places = {"TMPDIR": str(case.temporary), "CHAOS_EVENTS": str(case.events), "CHAOS_TOKEN": str(case.folder)}
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    return kept | places | {"PYTHONPATH": path} | more
