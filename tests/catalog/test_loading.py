from __future__ import annotations

import sys
from pathlib import Path

from stagerunner.catalog import Problem, load_catalog
from stagerunner.errors import Mark

SHOUT = """
    from stagerunner import hookimpl, stage

    @stage
    def shout(text: str) -> str:
        "Say it louder."
        return text.upper()

    @hookimpl
    def stagerunner_stages():
        return [shout]
"""
LONE = """
    from stagerunner import stage

    @stage
    def whisper(text: str) -> str:
        return text.lower()
"""
MARK = Mark("chain.yaml", 2, 11, "plugins: [geo]", 3)


def provider(catalog, name):
    return catalog.parts["stage", name].provider


def test_an_installed_plugin_is_found_by_its_entry_point(install):
    install("geo", "1.2", SHOUT)
    assert provider(load_catalog(), "shout") == "geo 1.2"


def test_an_entry_point_may_name_an_object_of_a_module(install):
    text = (
        SHOUT
        + """
    class Plugin:
        stagerunner_stages = staticmethod(stagerunner_stages)
"""
    )
    install("geo", "1.2", text, point="geo_plugin:Plugin")
    assert provider(load_catalog(), "shout") == "geo 1.2"


def test_installed_plugins_are_left_alone_when_not_wanted(install):
    install("geo", "1.2", SHOUT)
    assert load_catalog(installed=False).parts == {}
    assert "geo_plugin" not in sys.modules


def test_a_blocked_plugin_is_never_imported(install):
    install("geo", "1.2", "raise SystemExit('imported')")
    catalog = load_catalog(blocked=["geo"])
    assert not [problem for problem in catalog.problems if problem.provider == "geo 1.2"]
    assert "geo_plugin" not in sys.modules


def test_an_installed_plugin_can_be_blocked_by_its_module_too(install):
    install("geo", "1.2", SHOUT)
    assert ("stage", "shout") not in load_catalog(blocked=["geo_plugin"]).parts


def test_a_plugin_that_is_kept_out_stays_out_when_the_file_names_it(install, tmp_path):
    install("geo", "1.2", SHOUT)
    catalog = load_catalog(plugins=[("geo_plugin", MARK, tmp_path)], blocked=["geo"])
    assert ("stage", "shout") not in catalog.parts
    assert catalog.mistakes == ()


def test_an_object_that_cannot_even_be_looked_at_is_a_problem(install):
    text = "class Odd:\n    def __dir__(self): raise ValueError('no')\nodd = Odd()\n"
    install("geo", "1.2", text, point="geo_plugin:odd")
    [problem] = [problem for problem in load_catalog().problems if problem.provider == "geo 1.2"]
    assert "ValueError: no" in problem.text


def test_what_fails_to_import_is_named_and_the_others_load(install):
    install("bad", "0.3", "import nothing_of_that_name")
    install("geo", "1.2", SHOUT)
    catalog = load_catalog()
    assert provider(catalog, "shout") == "geo 1.2"
    [problem] = [problem for problem in catalog.problems if problem.provider == "bad 0.3"]
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in problem.text or "no module" in problem.text
    assert catalog.mistakes == ()


def test_a_failing_plugin_that_the_config_names_is_a_mistake_there(install, tmp_path):
    install("geo", "1.2", "1 / 0")
    catalog = load_catalog(plugins=[("geo", MARK, tmp_path)])
    [mistake] = catalog.mistakes
    assert (mistake.code, mistake.mark, mistake.path) == ("plugin", MARK, "plugins[0]")
    assert "ZeroDivisionError" in mistake.message
    assert "geo_plugin.py:1" in mistake.message


def test_a_module_is_a_plugin_that_its_entry_point_named_already(install, tmp_path):
    install("geo", "1.2", SHOUT)
    catalog = load_catalog(plugins=[("geo_plugin", MARK, tmp_path)])
    assert len(catalog.entries["stage", "shout"]) == 1
    assert catalog.conflicts == {}


def test_a_module_can_be_named_where_installed_plugins_are_not_wanted(install, tmp_path):
    install("geo", "1.2", SHOUT)
    catalog = load_catalog(plugins=[("geo", MARK, tmp_path)], installed=False)
    assert provider(catalog, "shout") == "geo 1.2"


def test_a_lone_file_offers_what_is_decorated_in_it(write, tmp_path):
    write("my_stages.py", LONE + "    from os.path import join\n")
    catalog = load_catalog(plugins=[("./my_stages.py", None, tmp_path)], installed=False)
    assert catalog.names("stage") == ["whisper"]
    assert provider(catalog, "whisper") == "./my_stages.py"


def test_a_lone_file_does_not_offer_what_it_imports(write, tmp_path, install):
    install("geo", "1.2", SHOUT)
    write("my_stages.py", LONE + "    from geo_plugin import shout\n")
    catalog = load_catalog(plugins=[("./my_stages.py", None, tmp_path)], installed=False)
    assert catalog.names("stage") == ["whisper"]


def test_a_file_with_hooks_offers_what_they_say(write, tmp_path):
    write("my_stages.py", SHOUT + LONE)
    catalog = load_catalog(plugins=[("my_stages.py", None, tmp_path)], installed=False)
    assert catalog.names("stage") == ["shout"]


def test_the_same_file_by_two_ways_is_one_plugin(write, tmp_path):
    path = write("my_stages.py", LONE)
    roads = [("./my_stages.py", MARK, tmp_path), (str(path), None, Path("/"))]
    catalog = load_catalog(plugins=roads, installed=False)
    assert catalog.conflicts == {}
    assert len(catalog.providers) == 1


def test_a_missing_file_names_its_neighbour(write, tmp_path):
    write("my_stages.py", LONE)
    catalog = load_catalog(plugins=[("./my_stage.py", MARK, tmp_path)], installed=False)
    [mistake] = catalog.mistakes
    assert mistake.message.endswith("did you mean 'my_stages.py'?")


def test_a_plugin_of_the_command_line_is_marked_there(tmp_path):
    [mistake] = load_catalog(plugins=[("no.such", None, tmp_path)], installed=False).mistakes
    assert str(mistake.mark) == "-p:1:1"
    assert mistake.message == "there is no module 'no'"


def test_a_misspelt_hook_is_a_mistake_with_the_right_name(write, tmp_path):
    write("p.py", SHOUT.replace("stagerunner_stages", "stagerunner_stagse"))
    [mistake] = load_catalog(plugins=[("./p.py", MARK, tmp_path)], installed=False).mistakes
    assert mistake.message == "there is no hook 'stagerunner_stagse'; did you mean 'stagerunner_stages'?"


def test_a_hook_with_an_argument_that_it_does_not_get_is_a_mistake(write, tmp_path):
    write("p.py", SHOUT.replace("def stagerunner_stages()", "def stagerunner_stages(wrong)"))
    [mistake] = load_catalog(plugins=[("./p.py", MARK, tmp_path)], installed=False).mistakes
    assert "wrong" in mistake.message
    assert "\n" not in mistake.message


def test_what_a_plugin_prints_while_it_is_imported_is_not_data(write, tmp_path, capsys):
    write("p.py", "print('hello')")
    load_catalog(plugins=[("./p.py", None, tmp_path)], installed=False)
    assert capsys.readouterr().out == ""


def test_two_engines_of_one_name_are_a_problem(write, tmp_path):
    for name in ("a", "b"):
        write(f"{name}.py", f"""
            from stagerunner import hookimpl
            from stagerunner.hookspecs import EngineSpec
            @hookimpl
            def stagerunner_engines():
                return [EngineSpec("ray", "{name}:Engine")]
        """)  # fmt: skip
    plugins = [("./a.py", None, tmp_path), ("./b.py", None, tmp_path)]
    catalog = load_catalog(plugins=plugins, installed=False)
    assert catalog.engines["ray"].target == "a:Engine"
    assert catalog.problems == (Problem("./b.py", "the engine 'ray' is offered by ./a.py too"),)
