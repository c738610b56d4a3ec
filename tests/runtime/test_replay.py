"""How a replay is planned and its letters are handled; what a person sees of it is in cli/test_replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import Project

from stagerunner.errors import UsageError
from stagerunner.evaluate.dead_letters.letters import as_line
from stagerunner.journal import Journal
from stagerunner.plan import Plan
from stagerunner.plan.outputs import journal_path
from stagerunner.plan.preparing import Request, read
from stagerunner.runtime import replay as replaying


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def planned(folder):
    """The plan of a replay of `failed.jsonl`."""

    def planned(sink: str = "again.jsonl", start: str | None = None, append: bool = False) -> Plan:
        project = Project(folder)
        path = project.config("same", "double", source="in.jsonl", sink="out.jsonl", dead_letter="failed.jsonl")
        config, catalog = read(path, Request(sink=str(folder / sink) if "." in sink else sink))
        letters = folder / "failed.jsonl"
        return replaying.replay_plan(config, catalog, letters, start=start, append=append, engine=None)

    return planned


def letter(output: str = "out.jsonl") -> str:
    return as_line(output, 1, {"stage": "same", "record": 1}).decode()


@pytest.fixture
def letters(folder) -> Path:
    path = folder / "failed.jsonl"
    path.write_text(letter())
    return path


# The plan


def test_the_letters_are_the_source_and_what_fails_again_is_a_letter_again(planned, folder):
    plan = planned()

    assert plan.source.options["path"] == str(folder / "failed.jsonl.replaying")
    assert plan.source.options["stages"] == ["same", "double"]
    assert plan.source.settings.on_error == "dead_letter"
    assert plan.dead_letter == folder / "failed.jsonl"
    assert plan.replay
    assert plan.run.journal == "auto"


@pytest.mark.parametrize("start", [None, "same", "double", "sink"])
def test_all_are_let_in_where_it_is_asked_for(planned, start):
    assert planned(start=start).source.options["start"] == start


def test_an_unknown_place_to_let_them_in_is_refused_with_what_there_is(planned):
    with pytest.raises(UsageError, match=r"--from: no stage of this chain is named 'dobule'; did you mean 'double'\?"):
        planned(start="dobule")
    with pytest.raises(UsageError, match="there is same, double, sink"):
        planned(start="xyz")


@pytest.mark.parametrize(("append", "mode"), [(False, "new"), (True, "append")])
def test_what_is_in_the_output_is_never_written_over(planned, append, mode):
    assert planned(append=append).sinks[0].options["mode"] == mode


def test_standard_output_needs_no_mode_and_other_sinks_without_one_can_not_append(planned):
    assert "mode" not in planned("stdout").sinks[0].options
    assert "mode" not in planned("null").sinks[0].options
    with pytest.raises(UsageError, match="the sink null has no `mode` to append with"):
        planned("null", append=True)


def test_its_journal_is_not_the_runs(planned, folder):
    assert replaying.journal_of(planned()) == str(folder / ".again.jsonl.replay.stagerunner")
    assert replaying.journal_of(planned("stdout")) is None


# What is refused before anything is touched


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "there is no file"), ('{"n": 1}\n', "holds something other than dead letters")],
)
def test_what_is_no_file_of_letters_is_refused(planned, letters, content, told):
    letters.unlink()
    if content is not None:
        letters.write_text(content)
    with pytest.raises(UsageError, match=told):
        replaying.check_places(planned(), letters, append=False, resumed=False)


@pytest.mark.parametrize("content", ["", letter(), letter()[:20]])
def test_an_empty_file_and_one_whose_writer_was_killed_are_letters(planned, letters, content):
    letters.write_text(content)
    replaying.check_places(planned(), letters, append=False, resumed=False)


@pytest.mark.parametrize(
    ("append", "resumed", "away", "told"),
    [
        (False, False, False, "already exists"),
        (True, False, False, None),
        (False, True, False, "already exists"),
        (False, True, True, None),
        (True, True, True, None),
        (True, False, True, "go on with --resume"),
    ],
)
def test_an_output_that_is_there_is_only_appended_to_or_gone_on_with(planned, letters, append, resumed, away, told):
    letters.with_name("again.jsonl").write_text("1\n")
    if away:
        letters.rename(replaying.replaying_path(letters))
    plan = planned(append=append)

    if told is None:
        replaying.check_places(plan, letters, append=append, resumed=resumed)
        return
    with pytest.raises(UsageError, match=told):
        replaying.check_places(plan, letters, append=append, resumed=resumed)


def test_results_do_not_go_over_the_letters(planned, letters):
    with pytest.raises(UsageError, match="holds the dead letters"):
        replaying.check_places(planned("failed.jsonl.replaying"), letters, append=False, resumed=False)


def test_what_can_not_be_resumed_is_told(planned, letters):
    with pytest.raises(UsageError, match=r"--resume is not possible, because .*; without it the replay starts over"):
        replaying.check_places(planned("stdout"), letters, append=False, resumed=True)


# The letters


def test_letters_are_taken_away_once_and_removed_when_the_replay_is_done(letters):
    assert replaying.take_letters(letters)
    assert (letters.exists(), replaying.replaying_path(letters).read_text()) == (False, letter())

    letters.write_text("what failed again")
    assert replaying.take_letters(letters), "an unfinished replay goes on with those it has"
    assert replaying.replaying_path(letters).read_text() == letter()

    replaying.remove_letters(letters)
    replaying.remove_letters(letters)
    assert (letters.read_text(), replaying.replaying_path(letters).exists()) == ("what failed again", False)


@pytest.mark.parametrize("content", [None, ""])
def test_where_there_are_none_nothing_is_taken(letters, content):
    letters.unlink()
    if content is not None:
        letters.write_text(content)
    assert not replaying.take_letters(letters)
    assert not replaying.replaying_path(letters).exists()


@pytest.mark.parametrize(
    ("output", "journal"),
    [("out.jsonl", "out.jsonl"), ("out.jsonl (replay)", "out.jsonl.replay")],
)
def test_letters_of_a_run_or_replay_that_may_yet_be_resumed_stay_where_they_are(letters, output, journal):
    letters.write_text(letter(output))
    path = journal_path(letters.with_name(journal))
    unfinished(path)

    with pytest.raises(UsageError, match=r"has dead letters of a run into .*out.jsonl that has not come to its end"):
        replaying.take_letters(letters)
    assert letters.exists()

    path.unlink()
    assert replaying.take_letters(letters)


def unfinished(path: Path) -> None:
    journal = Journal(path)
    journal.begin({}, "1", {})
    journal.close()


def test_a_replay_is_finished_once_its_journal_says_so_and_no_letters_are_under_way(letters):
    journal = letters.with_name("journal")
    assert not replaying.finished(letters, str(journal))
    assert not replaying.finished(letters, None)

    unfinished(journal)
    assert not replaying.finished(letters, str(journal))  # it was refused: nothing of it was done

    opened = Journal(journal)
    opened.mark("done")
    opened.close()
    assert replaying.finished(letters, str(journal))

    replaying.replaying_path(letters).touch()
    assert not replaying.finished(letters, str(journal))


@pytest.mark.parametrize(("sink", "adds"), [("x.jsonl", True), ("stdout", True), ("{a}.jsonl", False)])
def test_what_can_be_appended_to(planned, sink, adds):
    assert replaying.can_append(planned(sink)) == adds
