from __future__ import annotations

from stagerunner.config.diagnostics import MOST, render
from stagerunner.config.read import read_config
from stagerunner.errors import Mark, Mistake


def test_no_mistakes_are_nothing():
    assert render([]) == ""


def test_what_where_the_line_and_the_fix():
    mark = Mark("configs/logs.yaml", 10, 15, "      fields: ip", 2)
    mistake = Mistake("type", "fields must be a list, not the text 'ip'", mark, "stages[1].with.fields", "write [ip]")
    assert render([mistake]) == (
        "error[type]: fields must be a list, not the text 'ip'\n"
        "  --> configs/logs.yaml:10:15  (stages[1].with.fields)\n"
        "   |\n"
        "10 |       fields: ip\n"
        "   |               ^^ write [ip]\n"
        "\n"
        "1 error in configs/logs.yaml\n"
    )


def test_related_places_follow():
    first, second = Mark("f", 1, 1, "a: 1"), Mark("f", 2, 1, "a: 2")
    shown = render([Mistake("duplicate-key", "twice", second, fix="second", related=((first, "first"),))])
    assert shown.splitlines()[4:9] == ["  | ^ second", " --> f:1:1", "  |", "1 | a: 1", "  | - first"]


def test_a_place_without_text_shows_its_fix_alone():
    assert render([Mistake("no-file", "there is no file x", Mark("x"), fix="did you mean y?")]) == (
        "error[no-file]: there is no file x\n --> x:1:1\n  = did you mean y?\n\n1 error in x\n"
    )


def test_the_last_line_counts_and_names_the_files():
    mistakes = [Mistake("a", "b", Mark(file)) for file in ("f.yaml", "--set", "f.yaml")]
    assert render(mistakes).splitlines()[-1] == "3 errors in f.yaml, --set"


def test_a_flood_is_cut_and_counted():
    shown = render([Mistake("a", "b", Mark("f"))] * 5000)
    assert shown.count("error[a]") == MOST
    assert shown.splitlines()[-1] == f"5000 errors in f, the first {MOST} shown"


def test_one_endless_line_does_not_flood():
    mark = Mark("f", 1, 500_000, "x" * 1_000_000, 400_000)
    assert len(render([Mistake("a", "m" * 100_000, mark, "p" * 100_000, "f" * 100_000)])) < 3000


def test_nothing_reaches_the_terminal_that_it_would_act_upon():
    mark = Mark("f\x1b[2J", 1, 1, "\x1b[31m")
    assert "\x1b" not in render([Mistake("a", "b\x1b\n", mark, "c\r", "d\b")])


def test_colours_only_when_asked_for():
    mistake = Mistake("a", "b", Mark("f", 1, 1, "x"))
    assert "\x1b[" in render([mistake], color=True)
    assert "\x1b[" not in render([mistake])


def test_no_secret_is_shown_anywhere():
    mark = Mark("f-hunter2", 1, 4, "a: hunter2", 7)
    mistake = Mistake("a", "hunter2", mark, "hunter2", "hunter2", ((mark, "hunter2"),))
    shown = render([mistake], secrets=["hunter2"])
    assert "hunter2" not in shown
    assert "a: ***\n" in shown


def test_a_secret_of_the_environment_stays_unseen(monkeypatch):
    monkeypatch.setenv("SALT", "hunter2")
    config = read_config("version: 1\nstages:\n- {use: a, workers: '${secret:SALT}'} # hunter2\n")
    shown = render(config.mistakes, secrets=config.secrets)
    assert "workers must be a whole number, not the value of ${secret:SALT}" in shown
    assert "hunter2" not in shown
