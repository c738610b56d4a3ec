"""The words that other tools have for our keys, so that a message can name ours."""

from __future__ import annotations

from collections.abc import Container

_OURS = {
    "source": ("input", "inputs", "in", "from", "reader", "sources"),
    "sink": ("output", "out", "to", "writer"),
    "sinks": ("outputs",),
    "stages": ("steps", "tasks", "pipeline", "processors", "transforms", "operators", "nodes"),
    "use": ("type", "kind", "function", "class", "plugin", "uses"),
    "with": ("args", "arguments", "kwargs", "params", "parameters", "options", "config"),
    "workers": ("parallel", "parallelism", "processes", "num_workers", "n_jobs", "jobs", "replicas", "threads"),
    "batch": ("batch_size", "batchsize", "chunksize", "chunk_size"),
    "concurrency": ("max_concurrency", "max_in_flight"),
    "when": ("if", "condition"),
    "retry": ("retries", "attempts", "max_retries"),
    "attempts": ("tries", "max_attempts", "max_tries", "times"),
    "delay": ("backoff", "pause", "interval"),
    "rate": ("rate_limit", "ratelimit", "throttle"),
    "memo": ("cache", "memoize"),
    "env": ("environment",),
    "on_error": ("on_failure", "error_policy", "errors"),
    "vars": ("variables",),
    "dead_letter": ("dead_letters", "deadletter", "dlq", "failed"),
}
_OUR_WORD = {theirs: ours for ours, words in _OURS.items() for theirs in words}


def our_word(theirs: str, known: Container[str]) -> str:
    """Our word for this one, if it is among those known at this place; else ""."""
    ours = _OUR_WORD.get(theirs.lower(), "")
    return ours if ours in known else ""
