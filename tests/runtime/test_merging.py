"""When shards may be merged, and what is merged."""

from __future__ import annotations

from support.sharding import OUTPUTS, chain, in_shards, merged, run, written


def test_nothing_is_merged_while_a_shard_is_missing(project):
    chain(project)
    for number in (1, 3):
        run(project, "--shard", f"{number}/4")
    done = merged(project, 4, code=2)

    assert b"shard 2/4 was not run" in done.stderr
    assert b"shard 4/4 was not run" in done.stderr
    assert not (project / "out.jsonl").exists()


def test_a_shard_that_was_killed_is_not_finished(project):
    chain(project, "fatal")
    flags = ("run", "chain.yaml", "-q", "--shard", "1/1")
    assert project.cli(*flags).returncode < 0
    assert b"shard 1/1 is not finished; `run \xe2\x80\xa6 --shard 1/1 --resume`" in merged(project, 1, code=2).stderr


def test_a_shard_of_another_chain_is_refused(project):
    chain(project)
    in_shards(project, 2)
    chain(project, "same")
    assert b"shard 1/2 was run for another chain" in merged(project, 2, code=2).stderr


def test_a_merge_is_repeated_after_a_kill_and_removes_the_shards_if_asked(project):
    chain(project)
    in_shards(project, 2)
    (project / "out.jsonl.merging").write_text("half of")
    merged(project, 2)
    whole = written(project, *OUTPUTS)

    assert project.cli("merge", "chain.yaml", "--shards", "2", "-q", "--remove").returncode == 3

    assert written(project, *OUTPUTS) == whole
    assert not list(project.folder.glob("*shard*"))
    assert not list(project.folder.glob(".*shard*"))
