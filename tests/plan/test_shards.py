"""Which chains have shards, and what they are called."""

from __future__ import annotations

import pytest
from support.sharding import chain, run

from stagerunner.plan.model import Shard


@pytest.mark.parametrize(
    ("stages", "keys", "why"),
    [
        ([{"use": "take", "with": {"n": 3}}], {}, b"'take' has state, so it must see every record"),
        ([], {"source": "-"}, b"standard input can't be read again"),
        ([], {"sink": "stdout"}, b"writes no file of this machine"),
        ([], {"sink": {"use": "lines", "with": {"path": "out/{n}.txt"}}}, b"a file for each value of a field"),
        ([], {"sink": "out.csv"}, b"in the sink 'sink' each shard would take the columns"),
        ([], {"sink": {"use": "sqlite", "with": {"path": "out.db", "table": "t"}}}, b"can't be joined"),
        ([], {"sink": {"use": "lines", "with": {"path": "out", "mode": "append"}}}, b"appends to one"),
    ],
)
def test_what_has_no_shards_is_refused_with_the_reason(project, stages, keys, why):
    chain(project, *stages, **keys)
    done = run(project, "--shard", "1/2", code=2)
    assert b"--shard is not possible, because " in done.stderr
    assert why in done.stderr


@pytest.mark.parametrize("text", ["2", "0/2", "3/2", "a/b", "1/1000000"])
def test_a_shard_that_does_not_exist_is_refused(project, text):
    chain(project)
    assert b"--shard: " in run(project, "--shard", text, code=2).stderr


def test_names_keep_their_suffixes(tmp_path):
    names = [Shard(2, 16).beside(tmp_path / name).name for name in ("a.jsonl", "b.c.csv.gz", "plain")]
    assert names == ["a.shard-2-of-16.jsonl", "b.c.shard-2-of-16.csv.gz", "plain.shard-2-of-16"]
