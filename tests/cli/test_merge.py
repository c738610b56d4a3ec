"""The command `merge`."""

from __future__ import annotations

from support.sharding import chain, in_shards


def test_the_counts_of_all_shards_are_added_up(project):
    chain(project)
    in_shards(project, 2)
    done = project.cli("merge", "chain.yaml", "--shards", "2")
    assert b"3,000 in \xc2\xb7 1,979 out" in done.stderr


def test_more_shards_than_a_run_can_have_are_refused_at_once(project):
    done = project.cli("merge", "chain.yaml", "--shards", "99999999999")
    assert done.returncode == 2
    assert b"1<=x<=100000" in done.stderr
