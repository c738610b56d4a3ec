"""A stage's memo: a record seen before is not computed, nor paid for, again.

    record ─▶ key ─▶ kept? ── yes ─▶ its results and counters, no call
                       └──── no ──▶ call ─▶ keep, before the results travel

Only what a call gave is kept, also a reason to drop its record: no failure, and nothing of a call that said `enough`.
If the file can't be used, or the code behind it has changed since the plan was made, the stage says so once and does
without.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from time import time
from typing import Any

from stagerunner.errors import Drop
from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import CallFailure, failure_of
from stagerunner.evaluate.outcome.growth import ResultList
from stagerunner.evaluate.work import MemoSpec, Work
from stagerunner.memo.files import changed, checksum
from stagerunner.memo.keys import NoKey, digest, encoded
from stagerunner.memo.store import Store, Unusable
from stagerunner.records import HITS, RECALLED
from stagerunner.tuples import NamedTuple

Call = Callable[[Any], Any]

MOST = 2**24
"""Bytes of the results of one record that are kept at most."""


class Kept(NamedTuple):
    """What a call gave, and what it counted.

    given: a result, None, or a list of results, as the form says; a CallFailure if it dropped its record with a reason.
    """

    given: Any
    extra: dict[str, int]

    def counted(self) -> dict[str, int]:
        """What a hit counts."""
        again = {RECALLED + name: number for name, number in self.extra.items()}
        return {**self.extra, **again, HITS: 1}


class Memo:
    """The memo of one stage in one worker. Made before the stage is imported; `start` is called when it is set up."""

    def __init__(self, work: Work, spec: MemoSpec) -> None:
        self.work = work
        self._spec = spec
        self._store = Store(spec.path, power=spec.power, size=spec.size)
        self._reading = self._writing = True
        self._said: set[str] = set()
        self._modules = set(sys.modules)

    def start(self) -> None:
        """Check that the code that was imported is the code in the key."""
        if path := changed(self._spec.files):
            self._do_without(f"{path} was changed since the run was planned")

    def close(self) -> None:
        self._store.close()

    def around(self, call: Call, many: ResultList | None = None) -> Call:
        """A call that is made only for records not seen before. many: the list that it adds its results to; then it
        returns how many there are."""
        if many is None:
            return lambda record: self._given(call, record)
        return lambda record: self._added(call, record, many)

    def _given(self, call: Call, record: Any) -> Any:
        key = self.key(record)
        if (kept := self.find(key)) is not None:
            return self.replay(kept)
        listener = stage_api.CallListener()
        try:
            found = stage_api.heard(call, record, listener)
        except Drop as why:
            self.keep(key, failure_of(why), listener)
            raise
        if found is not None or self.work.form.drops:
            self.keep(key, found, listener)
        return found

    def _added(self, collect: Call, record: Any, result_list: ResultList) -> int:
        key = self.key(record)
        if (kept := self.find(key)) is not None:
            return result_list.add(self.replay(kept))
        start = len(result_list.results)
        listener = stage_api.CallListener()
        try:
            number = stage_api.heard(collect, record, listener)
        except Drop as why:
            self.keep(key, failure_of(why), listener)
            raise
        self.keep(key, result_list.results[start:], listener)
        return int(number)

    # What is kept

    def key(self, record: Any) -> bytes | None:
        """The key of a record; None if it has none, or if the memo isn't used. Take it before the call."""
        if not (self._reading or self._writing):
            return None
        if self.work.stages:
            from stagerunner.records import Entering

            if type(record) is Entering:
                if record.stage > self.work.index:
                    return None
                record = record.record
        try:
            return digest(self._spec.version, encoded(record, self._known))
        except NoKey as why:
            self._say("key", f"records that hold {why} have no key, so each is computed")
            return None

    def find(self, key: bytes | None) -> Kept | None:
        """What was kept under this key."""
        if key is None or not self._reading:
            return None
        try:
            data = self._store.get(key, 0 if self._spec.ttl is None else time() - self._spec.ttl)
            return None if data is None else Kept(*pickle.loads(data))
        except Unusable as why:
            self._do_without(str(why))
        except BaseException as error:  # what was kept can't be read any more
            self._say("read", f"a result can't be read ({type(error).__name__}: {error}), so it is computed")
        return None

    def keep(self, key: bytes | None, given: Any, listener: stage_api.CallListener) -> bytes | None:
        """Keep what a call gave, unless it said that it needs no more. Returns it as it would be read again; None if it
        can't be kept."""
        if key is None or not (self._reading or self._writing) or listener.said_enough or self._strange():
            return None
        try:
            data = pickle.dumps((given, listener.extra), 5)
        except BaseException:  # then it can't be sent either
            return None
        if len(data) > MOST:
            self._say("size", f"results of more than {MOST:,} bytes are not kept")
            return None
        if self._writing:
            self._write(key, data)
        return data

    def _write(self, key: bytes, data: bytes) -> None:
        try:
            self._store.put(key, self.work.name, self._spec.version[:8], data)
        except Unusable as why:
            self._writing = False
            self._say("write", f"nothing more is kept in {self._spec.path}: {why}")

    def replay(self, kept: Kept) -> Any:
        """Count what the call counted, and the hit. Returns what it gave, or raises the Drop that it raised."""
        listener = stage_api.current.get()
        if listener is not None:
            stage_api.add(listener, kept.counted())
        if isinstance(kept.given, CallFailure):
            raise Drop(kept.given.message)
        return kept.given

    # What is behind it

    def _known(self, kind: type) -> bool:
        """Whether the code of a class is part of the key."""
        return self._covered(kind.__module__)

    def _covered(self, name: str) -> bool:
        file = getattr(sys.modules.get(name), "__file__", None)
        top = name.partition(".")[0]
        return file in self._spec.code or top in self._spec.packages or top in sys.stdlib_module_names

    def _strange(self) -> bool:
        """Whether code was imported that isn't part of the key, or not as it is there. Then nothing is kept."""
        if len(sys.modules) == len(self._modules):
            return False
        new = sys.modules.keys() - self._modules
        self._modules |= new
        why = next(filter(None, map(self._why_strange, sorted(filter(self._is_own, new)))), "")
        if why:
            self._do_without(why)
        return bool(why)

    def _why_strange(self, name: str) -> str:
        """Why the code of a module that was imported late is not that in the key, or ""."""
        if not self._covered(name):
            return f"the stage has imported {name} in a way that its source doesn't show"
        file = str(sys.modules[name].__file__)
        known = self._spec.files.get(file)
        return "" if known is None or checksum(file) == known else f"{file} was changed since the run was planned"

    def _is_own(self, name: str) -> bool:
        """Whether a module is a user's own: neither installed nor part of Python or of the runner."""
        file = getattr(sys.modules.get(name), "__file__", None) or ""
        installed = ("site-packages", "dist-packages")
        ours = name.partition(".")[0] in ("stagerunner", "stagerunner_parts", "__main__")
        return bool(file) and not ours and not any(folder in file for folder in installed)

    # Without it

    def _do_without(self, why: str) -> None:
        self._reading = self._writing = False
        self._say("", f"going on without {self._spec.path}: {why}")

    def _say(self, what: str, text: str) -> None:
        """Say it once; the parent shows who said it."""
        if what not in self._said:
            self._said.add(what)
            print(f"memo: {text}", file=sys.stderr, flush=True)
