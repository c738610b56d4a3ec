from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.runs import project

from stagerunner.catalog import Catalog, load_catalog
from stagerunner.config.model import Config, PartConfig, Run, Settings
from stagerunner.config.nodes import Mapping, Scalar, from_plain
from stagerunner.errors import Mark
from stagerunner.plan import Plan, make_plan

__all__ = ["project"]

PARTS = """
    from pathlib import Path
    from stagerunner import sink, source, stage

    class Reader:
        def __init__(self, *, path: Path):
            self.path = path
        @property
        def stdin(self):
            return self.path == Path("-")
        def check(self):
            if not self.stdin and "*" not in str(self.path) and not self.path.exists():
                raise FileNotFoundError(f"there is no file {self.path.name}")
        def splits(self, after): ...
        def read(self, split): ...
        def identity(self): ...

    @source
    class Lines(Reader): "Lines of text."

    @source(suffixes=(".jsonl",))
    class Jsonl(Reader): "Lines of JSON."

    @source
    def ticks(*, every: int = 1):
        yield every

    @source
    class Topic:
        def read(self, after): ...

    class Writer:
        keeps = "truncate"
        def encode(self, records): ...
        def open(self, position): ...
        def write(self, data): ...
        def position(self): ...
        def commit(self, row): ...
        def finish(self): ...
        def abort(self): ...

    @sink("lines")
    class LinesOut(Writer):
        def __init__(self, *, path: Path, mode: str = "replace"):
            self.path = path
        def check(self):
            if not self.path.parent.is_dir():
                raise ValueError("there is no such folder")
        def target(self):
            return self.path

    @sink
    class Homeless(Writer): ...

    @sink("jsonl", suffixes=(".jsonl",))
    class JsonlOut(LinesOut): ...

    @sink
    class Table(LinesOut):
        keeps = "transaction"
        def target(self):
            return self.path.with_suffix(".db")

    @sink
    class Stdout(Writer):
        keeps = "truncate"
        stdout = True

    @stage
    def shout(text: str, *, times: int = 1) -> str:
        return text.upper() + "!" * times

    @stage.batch
    def pairs(texts: list) -> list:
        return texts

    @stage
    async def ask(text: str) -> str:
        return text

    @stage(state=True)
    def tally(text: str) -> str:
        return text

    @stage
    class Latest:
        def process(self, record): return record
        def snapshot(self): ...
        def restore(self, data): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the config; it holds the parts and an input."""
    (tmp_path / "parts.py").write_text(dedent(PARTS))
    (tmp_path / "in.txt").write_text("a\n")
    return tmp_path


@pytest.fixture
def catalog(folder: Path) -> Catalog:
    return load_catalog(plugins=[("./parts.py", None, folder)], installed=False)


def part_config(given: str | dict[str, Any], name: str, path: str, line: int) -> PartConfig:
    """A part as the config reader makes it: `use`, `with`, and settings whose places are their names."""
    settings = {"use": given} if isinstance(given, str) else dict(given)
    mark = Mark("chain.yaml", line, 5)
    use, options = settings.pop("use"), settings.pop("with", None)
    node = None if options is None else from_plain(options, mark)
    assert node is None or isinstance(node, Mapping)
    name = settings.pop("name", name)
    places = {key: Mark("chain.yaml", line, 5, key) for key in settings}
    bare = isinstance(given, str)
    return PartConfig(Scalar(use, use, mark), name, node, Settings(**settings), places, mark, path, bare)


@pytest.fixture
def config(folder: Path) -> Callable[..., Config]:
    """A config: source on line 2, stages from line 3, sink on line 8, dead letters on line 9."""

    def config(
        *stages: str | dict[str, Any],
        source: str | dict[str, Any] | None = "in.txt",
        sink: str | dict[str, Any] | None = "out.txt",
        dead_letter: str | None = None,
        dropped: str | None = None,
        run: Run | None = None,
        **more: Any,
    ) -> Config:
        letters = Scalar(dead_letter, dead_letter, Mark("chain.yaml", 9, 14)) if dead_letter is not None else None
        drops = Scalar(dropped, dropped, Mark("chain.yaml", 10, 10)) if dropped is not None else None
        names = [given if isinstance(given, str) else given["use"] for given in stages]
        return Config(
            "chain.yaml",
            folder,
            Mapping((), Mark("chain.yaml")),
            "chain",
            sources=(part_config(source, "source", "source", 2),) if source else (),
            stages=tuple(
                part_config(given, names[index].rpartition(":")[2], f"stages[{index}]", index + 3)
                for index, given in enumerate(stages)
            ),
            sinks=(part_config(sink, "sink", "sink", 8),) if sink else (),
            dead_letter=letters,
            dropped=drops,
            run=run or Run(),
            **more,
        )

    return config


@pytest.fixture
def planned(config: Callable[..., Config], catalog: Catalog) -> Callable[..., Plan]:
    """The plan of a config that is written down as `config` takes it; `how` goes to `make_plan`."""
    return lambda *stages, how=None, **keys: make_plan(config(*stages, **keys), catalog, **(how or {}))
