from __future__ import annotations

import pytest

from stagerunner import events
from stagerunner.catalog import Unresolved, load_catalog
from stagerunner.errors import Mark, Mistake

LOUD = """
    from stagerunner import stage, source

    @stage(state=True)
    def shout(text: str) -> str:
        "Say it louder."
        return text.upper()

    @source(suffixes=(".num",))
    def numbers():
        yield 1
"""
STARTED = events.RunStarted("r", ("shout",), "inline")


@pytest.fixture
def catalog_of(write, tmp_path):
    def catalog_of(*texts):
        names = [f"p{number}.py" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            write(name, text)
        return load_catalog(plugins=[(f"./{name}", None, tmp_path) for name in names], installed=False)

    return catalog_of


def test_a_name_is_resolved_to_what_it_stands_for(catalog_of, use, tmp_path):
    resolved = catalog_of(LOUD).resolve("stage", use("shout"), tmp_path)
    assert resolved.found("a") == "A"
    assert resolved.part.state
    assert resolved.part.summary == "Say it louder"
    assert resolved.provider == "./p0.py"


def test_a_part_named_by_string_is_imported_when_it_is_used(catalog_of, write, use, tmp_path):
    catalog = catalog_of("""
        from stagerunner import hookimpl, part
        @hookimpl
        def stagerunner_sinks():
            return [part("decode", "json:loads", summary="Text to data", suffixes=(".json",))]
    """)
    assert catalog.parts["sink", "decode"].part.summary == "Text to data"
    assert catalog.resolve("sink", use("decode"), tmp_path).found("1") == 1
    assert [entry.part.name for entry in catalog.for_suffix("sink", ".json")] == ["decode"]


def test_an_unknown_name_is_a_mistake_where_it_stands(catalog_of, use, tmp_path):
    mistake = catalog_of(LOUD).resolve("stage", use("shuot"), tmp_path, "stages[0].use")
    assert mistake == Mistake(
        "unknown-stage",
        "no stage is called 'shuot'",
        Mark("chain.yaml", 4, 10, "  - use: shuot", 5),
        "stages[0].use",
        "did you mean 'shout'?",
    )


def test_a_name_of_another_kind_is_said_to_be_one(catalog_of, use, tmp_path):
    mistake = catalog_of(LOUD).resolve("stage", use("numbers"), tmp_path)
    assert mistake.message == "no stage is called 'numbers'; there is a source of that name"


def test_an_unknown_name_is_reported_with_the_plugins_that_failed(catalog_of, use, tmp_path):
    mistake = catalog_of("import nothing_such").resolve("stage", use("shout"), tmp_path)
    assert "./p0.py: p0.py could not be imported" in mistake.message.replace(str(tmp_path) + "/", "")


def test_a_file_without_a_name_is_not_a_stage(catalog_of, use, tmp_path):
    mistake = catalog_of(LOUD).resolve("stage", use("./p0.py"), tmp_path)
    assert mistake.fix == "say which stage: ./p0.py:NAME"


def test_two_parts_of_one_name_are_a_mistake_when_it_is_used(catalog_of, use, tmp_path):
    catalog = catalog_of(LOUD, LOUD)
    assert catalog.mistakes == ()
    assert set(catalog.conflicts) == {("stage", "shout"), ("source", "numbers")}
    mistake = catalog.resolve("stage", use("shout"), tmp_path)
    assert mistake.code == "conflict"
    assert "./p0.py" in mistake.message
    assert "./p1.py" in mistake.message
    with pytest.raises(Unresolved):
        catalog.find("stage", "shout")


@pytest.mark.parametrize("offered", ["stage('shout')(lambda text: text)", "local()"])
def test_what_has_no_name_to_import_is_refused(catalog_of, use, tmp_path, offered):
    catalog = catalog_of(f"""
        from stagerunner import hookimpl, stage
        def local():
            @stage
            def shout(text): return text
            return shout
        @hookimpl
        def stagerunner_stages():
            return [{offered}]
    """)
    mistake = catalog.resolve("stage", use("shout"), tmp_path)
    assert "stages need a name that can be imported" in mistake.message


def test_what_its_name_does_not_lead_to_is_refused(catalog_of, use, tmp_path):
    catalog = catalog_of("""
        from stagerunner import hookimpl, stage
        @stage
        def shout(text): return text
        first = shout
        def shout(text): return None
        @hookimpl
        def stagerunner_stages():
            return [first]
    """)
    mistake = catalog.resolve("stage", use("shout"), tmp_path)
    assert "is not what" in mistake.message


def test_observers_hear_of_what_they_listen_to(catalog_of, capsys):
    catalog = catalog_of("""
        from stagerunner import hookimpl
        @hookimpl
        def stagerunner_run_started(event): print(event.engine)
        @hookimpl
        def stagerunner_checkpoint(): print("kept")
    """)
    assert catalog.notify(STARTED) == ()
    assert catalog.notify(events.Checkpoint(3)) == ()
    assert catalog.notify(events.Notice("unheard")) == ()
    assert capsys.readouterr().out == "inline\nkept\n"


def test_an_observer_that_raises_is_a_notice_and_the_others_still_hear(catalog_of, capsys):
    failing = """
        from stagerunner import hookimpl
        @hookimpl
        def stagerunner_run_started(event): raise KeyError("x")
    """
    hearing = failing.replace('raise KeyError("x")', 'print("heard")')
    [first, second] = catalog_of(failing, hearing, failing).notify(STARTED)
    assert "KeyError: 'x'" in first.text
    assert "stagerunner_run_started of" in second.text
    assert capsys.readouterr().out == "heard\n"
