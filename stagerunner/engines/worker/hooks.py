"""The hooks that plugins have in every worker."""

from __future__ import annotations

from stagerunner.evaluate.loading import load
from stagerunner.wire.spec import WorkerSpec


def call_hooks(targets: tuple[str, ...], spec: WorkerSpec) -> None:
    """Call the worker hooks of plugins: plain functions, with as many arguments as they take."""
    for target in targets:
        function = load(target)
        code = function.__code__
        given = {"stage": "+".join(spec.names), "worker": spec.number}
        function(**{name: value for name, value in given.items() if name in code.co_varnames[: code.co_argcount]})
