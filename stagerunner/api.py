"""The story in a few lines: load → plan → engine → results."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, cast
from weakref import finalize

from msgspec import Struct, field

from stagerunner.catalog import Catalog
from stagerunner.config.masking import Mask
from stagerunner.config.model import Config
from stagerunner.config.read import Source
from stagerunner.engines.process.parent.prestart import prestarted_fork_server
from stagerunner.errors import ReaderGone, StagerunnerError, UsageError
from stagerunner.events import Summary
from stagerunner.inherited import fill_standard
from stagerunner.plan import Plan, make_plan, preparing
from stagerunner.plan.preparing import AS_WRITTEN, OnSecrets, Request
from stagerunner.runtime.opening import NO_RESUME, Resume, begin_engine
from stagerunner.runtime.signals import Signals

if TYPE_CHECKING:
    from stagerunner.delivery.writers import CallerWriter
    from stagerunner.runtime.session import Session


Listener = Callable[[Any], None]


def prepare(file: Source, request: Request = AS_WRITTEN, on_secrets: OnSecrets | None = None) -> Chain:
    """Read, check and plan; nothing is started. Raises ConfigError with every mistake, UsageError for a bad call.

    on_secrets: called with the secrets before any plugin is imported.
    """
    prepared = preparing.prepare(file, request, on_secrets)
    return Chain(prepared.config, prepared.catalog, prepared.plan, request)


def load(
    source: Source,
    vars: Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    engine: str | None = None,
    only: str | None = None,
) -> Chain:
    """A chain, checked and not started.

    source: a path, or the config itself: a text with a newline in it, or a mapping, in which a part may be the function
    or class itself. only: run the stages "a..b" alone. Raises ConfigError with every mistake and its place, UsageError
    for arguments that make no sense.
    """
    request = request_of(vars or {}, set or (), plugins, engine, only)
    config, catalog = preparing.read(checked_source(source), request)
    return Chain(config, catalog, _callers_plan(config, catalog, request), request)


def run(
    source: Source,
    vars: Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    listener: Listener | None = None,
    engine: str | None = None,
    only: str | None = None,
) -> Summary:
    """Run from source to sink, as the command does. Raises the error the run ends with; its `summary` is set."""
    request = request_of(vars or {}, set or (), plugins, engine, only)
    with prestarted_fork_server(wanted=engine in (None, "process")):
        return prepare(checked_source(source), request).execute(listener)


def _callers_plan(config: Config, catalog: Catalog, request: Request, *, records_given: bool = False) -> Plan:
    """The plan of a run whose caller takes the results."""
    with Mask(config.secrets).errors():
        return make_plan(
            config,
            catalog,
            take_results=True,
            records_given=records_given or config.source is None,
            limit=request.limit,
            engine=request.engine,
            only=request.only,
        )


class Chain(Struct, frozen=True):
    """A checked chain. It can be run any number of times."""

    config: Config
    catalog: Catalog
    plan: Plan
    request: Request = field(default_factory=Request)

    def __repr__(self) -> str:
        """Short, because a notebook shows it and options may hold secrets."""
        return repr(self.plan).replace("Plan", "Chain", 1)

    def run(self, records: Iterable[Any] | None = None) -> Results:
        """Start, and give the results as they come. The caller is the sink; `records` replaces the source.

        An iterator is read in a thread of its own, so it may wait for results of this run, as a queue does.
        """
        if records is None and self.config.source is None:
            raise UsageError("this chain has no `source:`: give `run` its records")
        given = None if records is None else checked_records(records)
        plan = _callers_plan(self.config, self.catalog, self.request, records_given=given is not None)
        allow = self.request.allow_dead_letters
        return Results(plan, self._teller(None), given, allow_dead_letters=allow, config=self.config)

    def execute(
        self, listener: Listener | None = None, *, signals: Signals | None = None, progress_every: float = 0.25
    ) -> Summary:
        """Run from source to sink. Raises the error the run ends with, its `summary` set.

        signals: entered already; they stop the run. progress_every: seconds between Progress events.
        """
        tell, mask = self._teller(listener), Mask(self.plan.secrets)
        with mask.errors(), self._session(tell) as session:
            if signals is not None:
                signals.stop(session)
            try:
                if signals is None:
                    session.run(progress_every)
                else:
                    session.run(progress_every, signals.time_is_up)
                    signals.end()
                session.finish()
                summary = session.closing_summary(allow_dead_letters=self.request.allow_dead_letters)
                session.progress(every=0)
            except StagerunnerError as error:
                error.summary = session.summary(error.exit_code)
                tell(error.summary)
                raise
        tell(summary)
        return cast("Summary", mask.data(summary))

    def _session(self, tell: Listener) -> Session:
        request = self.request
        resume = Resume(request.resume or request.force_resume, request.force_resume, request.journal)
        return open_session(self.plan, tell, resume=resume, config=self.config)

    def _teller(self, listener: Listener | None) -> Listener:
        """A function that passes an event to observers and to the listener, secrets masked."""
        mask = Mask(self.plan.secrets)

        def tell(event: Any) -> None:
            event = mask.data(event)
            if listener is not None and not isinstance(event, Summary):
                listener(event)
            for notice in self.catalog.notify(event):
                if listener is not None:
                    listener(mask.data(notice))

        return tell


def open_session(
    plan: Plan,
    listener: Listener,
    records: Iterable[Any] | None = None,
    resume: Resume = NO_RESUME,
    config: Config | None = None,
) -> Session:
    """A run of this plan, to be entered. Its engine has begun, unless the journal must say with which hash seed.

    config: the plan's, in which an engine's problems have their places.
    """
    fill_standard()
    engine = begin_engine(plan, early=not resume.wanted, config=config)
    try:
        # Late: the fork server has begun by now, and starts up while this is imported.
        from stagerunner.runtime.session import Session

        return Session(plan, listener, records, resume, engine)
    except BaseException:
        engine.close()
        raise


def _leave(session: Session, owner: int) -> None:
    """End the run, but not in a fork of the process that began it: a fork has copies of the descriptors only."""
    if os.getpid() == owner:
        session.__exit__(None, None, None)


class Results(Iterator[Any]):
    """The results of a run, in order. Also a context manager; leaving early ends every process of the run."""

    def __init__(
        self,
        plan: Plan,
        tell: Listener,
        records: Iterable[Any] | None,
        *,
        allow_dead_letters: bool = False,
        config: Config | None = None,
    ) -> None:
        self._allow_dead_letters = allow_dead_letters
        self._mask = Mask(plan.secrets)
        self._closed = False
        self._name = plan.name
        self.summary: Summary | None = None
        """Set when the run is over. Its exit code is the one of the command."""
        with self._mask.errors():
            self._session = open_session(plan, tell, records, config=config)
            self._session.__enter__()
        # Not `__del__`: in a cycle with its own iterator the order is undefined, and pipes and sockets that it needs
        # may be finalized first. What a finalizer holds is alive when it is called.
        self._end = finalize(self, _leave, self._session, os.getpid())
        self._end.atexit = False
        self._writer = cast("CallerWriter", self._session.delivery.writer)
        self._iterator = chain.from_iterable(self._lists())

    def __repr__(self) -> str:
        state = "under way: iterate to get its records" if self.summary is None else "over"
        return f"<Results of {self._name}, {state}>"

    def __iter__(self) -> Iterator[Any]:
        return self._iterator  # gives records without a Python call for each

    def __next__(self) -> Any:
        return next(self._iterator)

    def _lists(self) -> Iterator[list[Any]]:
        while not self._closed:
            yield self._next_list()  # no reference is kept, so that the next list reuses its memory

    def _next_list(self) -> list[Any]:
        try:
            return self._advance()
        except BaseException as error:
            self._failed(error)
            raise

    def _advance(self) -> list[Any]:
        """Step until there are results; an empty list when the run is over."""
        session = self._session
        while not self._writer.waiting and not session.over:
            session.step()
        if self._writer.waiting:
            return self._writer.records()
        session.finish()
        self.summary = self._mask.data(session.closing_summary(allow_dead_letters=self._allow_dead_letters))
        self.close()
        return []

    def _failed(self, error: BaseException) -> None:
        self._sum_up(getattr(error, "exit_code", 1))
        if isinstance(error, StagerunnerError):
            error.summary = self.summary
            self._mask.error(error)
        self.close()

    def _sum_up(self, exit_code: int) -> None:
        self.summary = self._mask.data(self._session.summary(exit_code))

    def close(self) -> None:
        """End the run and every process of it. Called at the end of the iteration, and when this is collected."""
        if not self._closed:
            self._closed = True
            if self.summary is None:
                self._sum_up(ReaderGone.exit_code)
            self._end()

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


# Checking arguments


_TEXTS = (str, bytes, bytearray, memoryview)


def checked_source(source: Any) -> Any:
    """The source of a config: a path, a text or a mapping. Raises UsageError for anything else."""
    if isinstance(source, str | Mapping):
        return source
    if isinstance(source, os.PathLike) and isinstance(os.fspath(source), str):
        return source
    raise UsageError(f"a config is a path, a text or a mapping, not {_called(source)}")


def request_of(vars: Any, sets: Any, plugins: Any, engine: Any, only: Any) -> Request:
    """The arguments of a call, checked. The command line has the same. Raises UsageError."""
    for name, value, example in (("vars", vars, "{'NAME': value}"), ("set", sets, "{'run.window': '8MiB'}")):
        if not isinstance(value, Mapping) and not _texts(value):
            raise UsageError(f"`{name}` is a mapping, as in {example}, or a list of texts, not {_called(value)}")
    if isinstance(plugins, str | os.PathLike) or not isinstance(plugins, Iterable):
        raise UsageError(f"`plugins` is a list, as in plugins=['./my_stages.py'], not {_called(plugins)}")
    for name, text in (("engine", engine), ("only", only)):
        if text is not None and not isinstance(text, str):
            raise UsageError(f"`{name}` is a text, not {_called(text)}")
    return Request(vars=vars, sets=sets, plugins=[_plugin(one) for one in plugins], engine=engine, only=only)


def _texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, _TEXTS) and all(isinstance(one, str) for one in value)


def _plugin(given: Any) -> Any:
    if isinstance(given, os.PathLike):
        path = os.fspath(given)
        return path if os.sep in path else f".{os.sep}{path}"
    if isinstance(given, str | ModuleType) or callable(given):
        return given
    raise UsageError(f"a plugin is a text, a path, a module, or a function or class, not {_called(given)}")


def checked_records(records: Any) -> Iterable[Any]:
    """The records of a run: any iterable, except texts and mappings, which iterate over something else. Raises
    UsageError."""
    if isinstance(records, _TEXTS):
        raise UsageError(f"`records` is one record, {_called(records)}: give a list of records, [{_brief(records)}]")
    if isinstance(records, Mapping):
        raise UsageError("`records` is a mapping, which gives its keys: give a list of records, or its .items()")
    if isinstance(records, AsyncIterable) and not isinstance(records, Iterable):
        raise UsageError("`records` is an async iterator: give a plain one")
    if not isinstance(records, Iterable) and not hasattr(records, "__getitem__"):
        raise UsageError(f"`records` isn't an iterable of records, but {_called(records)}")
    return records  # type: ignore[no-any-return]


def _called(value: Any) -> str:
    if value is None:
        return "None"
    if callable(value):
        return f"the {'class' if isinstance(value, type) else 'function'} {getattr(value, '__name__', '')}".rstrip()
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else "…"
