from __future__ import annotations

import pytest

from stagerunner.config.nodes import Scalar, plain
from stagerunner.config.paths import NoSuchPlace, put
from stagerunner.errors import Mark


@pytest.fixture
def changed(root):
    """The plain data of a text after `path` was set to 9."""
    place = Mark("--set")
    return lambda text, path: plain(put(root(text), Scalar(path, path, place), Scalar("9", 9, place)))


@pytest.mark.parametrize(
    ("text", "path", "result"),
    [
        ("a: 1", "a", {"a": 9}),
        ("a: 1", "b", {"a": 1, "b": 9}),
        ("run: {frame: 1, fuse: off}", "run.frame", {"run": {"frame": 9, "fuse": "off"}}),
        ("a: 1", "run.frame", {"a": 1, "run": {"frame": 9}}),
        ("run:", "run.frame", {"run": {"frame": 9}}),
        ("stages: [{use: a, with: {x: 1}}]", "stages.a.with.x", {"stages": [{"use": "a", "with": {"x": 9}}]}),
        ("stages: [{use: a, name: b}]", "stages.b.workers", {"stages": [{"use": "a", "name": "b", "workers": 9}]}),
        ("stages: [a, a]", "stages.1.workers", {"stages": ["a", {"use": "a", "workers": 9}]}),
        ("stages: [a, a]", "stages.a-2.workers", {"stages": ["a", {"use": "a", "workers": 9}]}),
        ("stages: [a]", "stages.0", {"stages": [9]}),
        ("source: x", "source.with.path", {"source": {"use": "x", "with": {"path": 9}}}),
        ("a: {b: [[1, 2], 3]}", "a.b.0.1", {"a": {"b": [[1, 9], 3]}}),
    ],
)
def test_the_value_stands_at_the_path(changed, text, path, result):
    assert changed(text, path) == result


@pytest.mark.parametrize(
    ("text", "path", "message", "fix"),
    [
        ("stages: [parse]", "stages.prase.workers", "no stage is called 'prase'", "did you mean 'parse'?"),
        ("stages: [parse]", "stages.zzz.workers", "no stage is called 'zzz'", "the stages are parse"),
        ("stages: [parse]", "stages.1.workers", "'stages' has no item 1", "its items are 0 to 0"),
        ("stages: []", "stages.0.workers", "'stages' has no item 0", "it is empty"),
        ("run: {frame: 1}", "run.frame.x", "'run.frame' is the number 1: there is nothing inside", ""),
        ("a: 1", "a..b", "'a..b' is no path", "write names with dots between: run.frame"),
        ("a: 1", ".".join("a" * 100), f"'{'a.' * 19}a…' is no path", "write names with dots between: run.frame"),
    ],
)
def test_a_path_that_leads_nowhere(changed, text, path, message, fix):
    with pytest.raises(NoSuchPlace) as error:
        changed(text, path)
    assert (str(error.value), error.value.fix) == (message, fix)
