"""When what is accepted is committed, where the journal's row may stand, and from where a resumed chain goes on.

A commit is made soon after it was asked for. Its row may stand behind any accepted record, with two exceptions:

* In a chain with state it stands where a barrier has passed, since the row holds the snapshots of that barrier.
* If the source gives marks, it stands at a mark: everything before the mark is accepted, and nothing behind it. So a
  barrier for the journal is sent right behind a mark. A barrier that makes room in the window goes out at any place;
  its snapshots serve a restart, and no row is written for it.

What is written to the sink behind the row is cut off, or rolled back, by a resume.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from stagerunner.failpoints import point
from stagerunner.guard import guard
from stagerunner.journal import encode_snapshots, validate_snapshots
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.window.core import Window


class Checkpoints:
    """Says when to commit, and does it. names: of the stages. marks: the source gives marks. commit: writes the row.

    The window's state decides; see `Window.at_mark`.
    """

    def __init__(
        self, window: Window, dispatch: Dispatch, commit: Callable[[], None], names: list[str], *, marks: bool
    ) -> None:
        self._window = window
        self._dispatch = dispatch
        self._commit = commit
        self._names = names
        self._marks = marks
        self.snapshots: dict[int, Any] = {}
        """What the stages remembered at the last barrier, by index."""
        self.asked = False
        """Whether a commit was asked for."""
        self.news = False
        """Whether anything was accepted, or a mark has come, since the last commit."""

    def ask(self, *, barriers: bool) -> None:
        """Have everything accepted committed soon. barriers: one may be sent now."""
        if not self._window.stateful or (self._marks and not self._window.kept):
            self.asked = True
        elif barriers and self._window.barrier_due():
            self._dispatch.barrier_at_mark()

    @property
    def may_commit(self) -> bool:
        """Whether a row may say what is accepted at this moment."""
        if not self._window.stateful:
            return self._window.at_mark
        return self._marks and self._window.at_mark and not self._window.kept

    @property
    def due(self) -> bool:
        """Whether a commit is to be made before anything more is accepted."""
        return self.asked and self.news and self.may_commit

    def commit_if_due(self) -> None:
        if self.due:
            self.commit()

    def commit_before_end(self) -> None:
        """The next frame ends the run in its midst. Where only marks can be resumed from, this may be the last one."""
        if self._marks and self.news and self.may_commit:
            self.commit()

    def barrier_back(self, body: memoryview) -> None:
        """Keep the snapshots of a barrier: they stand for everything accepted so far. Commit it, if the barrier stood
        at a mark."""
        with guard("a stage's snapshot", "its reading"):
            snapshots = pickle.loads(body)
        self.snapshots = validate_snapshots(snapshots, self._names)
        point("barrier")
        if self._window.at_mark:
            self.commit()

    def commit(self) -> None:
        self.asked = self.news = False
        self._commit()

    def mark_came(self, position: Any) -> None:
        """A mark has come behind every split that the source gave."""
        self._dispatch.mark(position)
        self.news = True

    # The chain's part of a row

    def row(self) -> dict[str, Any]:
        """The source's position, and the state of the stages."""
        return {
            "position": self._window.position,
            "accepted": self._window.accepted,
            "bytes": self._dispatch.bytes_journaled,
            "order": self._names,
            "snapshots": encode_snapshots(self.snapshots),
            "stopped": self._dispatch.stopped,
        }

    def go_on(self, row: dict[str, Any], snapshots: dict[int, Any]) -> None:
        """Stand where the row of an earlier run stands. snapshots: those in it."""
        self._window.position, self._window.skipping = row["position"], row["accepted"]
        self.snapshots = snapshots
        if row["stopped"] is not None:
            self._window.stopped = True
            self._dispatch.stopped_by(row["stopped"])
