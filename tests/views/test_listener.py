from __future__ import annotations

from types import SimpleNamespace

from stagerunner.events import Output, Progress, RecordFailed
from stagerunner.views.listener import Listener
from stagerunner.views.log import TextLog
from stagerunner.views.plain import Silent


class Recording(Silent):
    def __init__(self, console) -> None:
        super().__init__(console, SimpleNamespace(name="logs"))
        self.heard: list[str] = []

    def progress(self, event: Progress) -> None:
        self.heard.append("progress")

    def close(self, *, silent: bool = False) -> None:
        self.heard.append("closed")


def test_the_view_is_opened_at_the_first_progress(console, stream):
    view = Recording(console)
    listener = Listener(TextLog({}), Silent(console, view.plan), lambda: view)
    listener(Output("a", 0, "before"))
    assert view.heard == []
    listener(Progress(1.0, 0, 0, 0, 0, None, ()))
    listener.close()
    assert view.heard == ["progress", "closed"]
    assert stream.getvalue() == "[a] before\n"


def test_what_was_only_counted_is_told_at_the_end(console, stream):
    listener = Listener(TextLog({}), Recording(console), lambda: Recording(console))
    for _ in range(5):
        listener(RecordFailed("a", "E", "", "skip", ""))
    listener.close()
    assert stream.getvalue().endswith("a: … and 2 more skipped\n")
