"""The part of a source that a shard reads."""

from __future__ import annotations

from itertools import pairwise

from support.sharding import TEXT, chain, in_shards

from stagerunner.plan.model import Shard
from stagerunner.runtime.shard_source import ShardSource
from stagerunner_parts.sources.lines import Lines


def test_every_shard_has_its_share(project):
    chain(project)
    in_shards(project, 4)

    sizes = [(project / Shard(n, 4).beside(project / "out.jsonl").name).stat().st_size for n in range(1, 5)]
    assert min(sizes) > 0.7 * max(sizes)


def test_neighbours_meet(project):
    """Shards end where the next one begins, whatever their number."""
    (project / "numbers.txt").write_text(TEXT)
    source = Lines(path=project / "numbers.txt")
    shards = [list(ShardSource(source, Shard(n, 7)).splits(None)) for n in range(1, 8)]
    ranges = [(split.data.start, split.data.stop) for splits in shards for split in splits]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(TEXT)
    assert all(one[1] == other[0] for one, other in pairwise(ranges))
