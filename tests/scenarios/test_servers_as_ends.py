"""A source or sink that is a server: what it refuses for now can be resumed, and its journal has a place."""

from __future__ import annotations

import pytest

from stagerunner.api import Request, prepare
from stagerunner.errors import Stopped

PARTS = """
    import errno, json
    from stagerunner import Split

    @source("served")
    class Served:
        def splits(self, after):
            for number in range(after or 0, 6):
                yield Split(number, 1, number + 1, 1)

        def read(self, split):
            if split.data == 3 and once("refused"):
                raise OSError(errno.ECONNRESET, "the connection was lost")
            yield split.data

        def identity(self):
            return {}

        def close(self):
            tell("closed")

    @sink("stored")
    class Stored:
        keeps = "truncate"

        def encode(self, records):
            return json.dumps(records).encode() if records else b""

        def open(self, position):
            self.rows = position or []

        def write(self, data):
            self.rows += json.loads(bytes(data))

        def position(self):
            return self.rows

        def commit(self, row):
            pass

        def finish(self):
            tell("stored", self.rows)

        def abort(self):
            pass

        def beside(self):
            return Path("server-table")
"""


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_a_source_that_is_refused_for_now_goes_on_with_resume(project, monkeypatch, engine):
    project.plugin(PARTS)
    monkeypatch.chdir(project.folder)
    chain = project.config("same", source="served", sink="stored", run={"engine": engine})

    with pytest.raises(Stopped, match="the source failed: the connection was lost; --resume goes on"):
        prepare(chain).execute()
    assert (project / ".server-table.stagerunner").exists()
    assert (project / "closed").exists()

    prepare(chain, Request(resume=True)).execute()
    assert (project / "stored").read_text() == "[0, 1, 2, 3, 4, 5]"


def test_a_source_of_several_is_closed_when_the_run_is_over(project, monkeypatch):
    project.plugin(
        PARTS
        + """
    @stage
    def seen(record):
        return [record, (Path(__file__).parent / "closed").exists()]
    """
    )
    monkeypatch.chdir(project.folder)
    project.write("refused", "")
    chain = project.config("seen", source=["served", "served"], sink="stored", run={"engine": "inline"})

    prepare(chain).execute()

    assert (project / "stored").read_text() == str([[number, False] for number in [0, 1, 2, 3, 4, 5] * 2])
    assert (project / "closed").exists()
