from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner import load
from stagerunner.catalog import load_catalog
from stagerunner.config.model import Run
from stagerunner.config.nodes import from_plain
from stagerunner.errors import ConfigError, Mark, Mistake, UsageError
from stagerunner.parts import files
from stagerunner.plan import make_plan
from stagerunner.plan.making import selected


def test_a_plan_holds_what_an_engine_needs(planned, folder):
    plan = planned({"use": "shout", "with": {"times": 2}, "workers": 3}, dead_letter="failed.jsonl", how={"limit": 5})
    assert plan.name == "chain"
    assert [stage.name for stage in plan.stages] == ["shout"]
    assert plan.source.options == {"path": folder / "in.txt"}
    assert plan.sinks[0].options == {"path": folder / "out.txt"}
    assert plan.dead_letter == folder / "failed.jsonl"
    assert plan.engine.target == "stagerunner.engines.process.engine:ProcessEngine"
    assert plan.limit == 5
    assert str(folder / "parts.py") in plan.files.values()


def test_a_chain_without_stages_is_a_plan(planned):
    assert planned().stages == ()


def test_all_mistakes_come_at_once_and_in_order_of_lines(config, catalog):
    version = Mistake("version", "there is no version", Mark("chain.yaml"))
    stages = "shuot", {"use": "shout", "with": {"time": 2}}
    wrong = config(*stages, source="none.txt", sink="no/out.txt", mistakes=(version,))
    with pytest.raises(ConfigError) as caught:
        make_plan(wrong, catalog, engine="proces")
    places = [(mistake.code, mistake.mark.line) for mistake in caught.value.mistakes]
    assert places == [
        ("unknown-engine", 1),
        ("version", 1),
        ("source-check", 2),
        ("unknown-stage", 3),
        ("unknown-option", 4),
        ("sink-check", 8),
    ]


def test_mistakes_of_plugins_that_the_config_names_are_among_them(config, folder):
    catalog = load_catalog(
        plugins=[("./parts.py", None, folder), ("./gone.py", Mark("chain.yaml", 2, 11), folder)], installed=False
    )
    with pytest.raises(ConfigError, match=r"chain.yaml:2:11: there is no file"):
        make_plan(config(), catalog)


def test_a_mistake_found_twice_is_reported_once(config, catalog):
    twice = Mistake("version", "there is no version", Mark("chain.yaml"))
    with pytest.raises(ConfigError) as caught:
        make_plan(config(mistakes=(twice, twice)), catalog)
    assert caught.value.mistakes == (twice,)


def test_an_option_beside_use_is_one_mistake_with_the_text_to_write(tmp_path):
    chain = tmp_path / "chain.yaml"
    chain.write_text("version: 1\nsource: {use: lines, path: in.txt}\nstages: [{use: filter, where: x > 1}]\n")
    with pytest.raises(ConfigError) as caught:
        load(chain)
    assert [(mistake.mark.line, mistake.path, mistake.fix) for mistake in caught.value.mistakes] == [
        (2, "source.path", "options stand under `with:`, so write `with: {path: …}`"),
        (3, "stages[0].where", "options stand under `with:`, so write `with: {where: …}`"),
    ]


def test_no_option_is_missing_in_a_with_that_is_no_mapping(tmp_path):
    chain = tmp_path / "chain.yaml"
    chain.write_text("version: 1\nstages: [{use: select, with: [id, name]}]\n")
    with pytest.raises(ConfigError) as caught:
        load(chain)
    assert [(mistake.code, mistake.path) for mistake in caught.value.mistakes] == [("type", "stages[0].with")]


def test_secrets_are_masked_in_what_plugins_say(config, catalog):
    with pytest.raises(ConfigError) as caught:
        make_plan(config(source="hunter2.txt", secrets=("hunter2", "")), catalog)
    assert caught.value.mistakes[0].message == "there is no file ***.txt"


def test_given_records_need_no_source_and_taken_results_no_sink(planned):
    plan = planned("shout", source="none.txt", sink="no/out.txt", how={"records_given": True, "take_results": True})
    assert (plan.source, plan.sinks) == (None, ())


def test_only_what_is_chosen_is_planned_and_numbered_anew(planned):
    plan = planned("no-such", "shout", "pairs", how={"only": "shout.."})
    assert [(stage.name, stage.work.index) for stage in plan.stages] == [("shout", 0), ("pairs", 1)]


def test_what_is_not_used_is_not_imported(planned, folder):
    (folder / "unused.py").write_text("raise SystemExit('imported')")
    planned("./unused.py:stage", "shout", how={"only": "shout"})
    assert files.module_name(folder / "unused.py") not in files.registered()


def lines_blamed(config, catalog):
    try:
        make_plan(config, catalog)
    except ConfigError as error:
        return [mistake.mark.line for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    "text", ["", ".", "..", "/", "-", ":", "a:b", "a.py", "a\0b", "\ud800", "x" * 5000, "[", "{}", "\n"]
)
def test_whatever_a_config_holds_is_a_plan_or_mistakes_with_places(config, catalog, text):
    ends = [{"source": text}, {"sink": text}, {"dead_letter": text}, {"source": {"use": text, "with": {text: text}}}]
    odd = [config(**end) for end in ends] + [config(f"{text}.py:f"), config({"use": "shout", "with": {text: text}})]
    assert all(line >= 1 for one in odd for line in lines_blamed(one, catalog))


def test_a_limit_below_zero_makes_no_sense(planned):
    with pytest.raises(UsageError):
        planned(how={"limit": -1})


def test_hooks_of_workers_are_passed_by_name(config, folder):
    (folder / "hooked.py").write_text(
        "from stagerunner import hookimpl\n@hookimpl\ndef stagerunner_worker_started(stage, worker): ...\n"
    )
    catalog = load_catalog(plugins=[("./parts.py", None, folder), ("./hooked.py", None, folder)], installed=False)
    plan = make_plan(config(), catalog)
    [target] = plan.started_hooks
    assert target.partition(":")[2] == "stagerunner_worker_started"
    assert target.partition(":")[0] in plan.files


def test_dead_letters_of_the_command_line_stand_against_its_folder(config, catalog, tmp_path_factory):
    other = tmp_path_factory.mktemp("cwd")
    plan = make_plan(config(dead_letter="dead.jsonl", bases={"chain.yaml": other}, source=None, sink=None), catalog)
    assert plan.dead_letter == other / "dead.jsonl"
    assert isinstance(plan.dead_letter, Path)


# A part of the chain


@pytest.fixture
def stages(config):
    return config("a", "b", "c", "d").stages


@pytest.mark.parametrize(
    ("only", "names"),
    [(None, "abcd"), ("b", "b"), ("b..c", "bc"), ("b..", "bcd"), ("..b", "ab"), ("..", "abcd"), ("d..d", "d")],
)
def test_a_range_of_stages(stages, only, names):
    assert "".join(stage.name for stage in selected(stages, only)) == names


@pytest.mark.parametrize(
    ("only", "message", "column"),
    [
        ("b..x", "no stage of this chain is named 'x'", 4),
        ("x..b", "no stage of this chain is named 'x'", 1),
        ("x", "no stage of this chain is named 'x'", 1),
        ("", "no stage of this chain is named ''", 1),
        ("c..b", "'c' comes after 'b'", 1),
    ],
)
def test_a_range_that_is_none(stages, only, message, column):
    mistake = selected(stages, only)
    assert isinstance(mistake, Mistake)
    assert (mistake.message, mistake.mark.column) == (message, column)


# The engine


MARK = Mark("chain.yaml", 6, 3)
ENGINES = """
from stagerunner import hookimpl
from stagerunner.hookspecs import EngineSpec

class Ray:
    def __init__(self, plan, *, address: str, size: int = 2): ...

@hookimpl
def stagerunner_engines():
    return [EngineSpec("ray", f"{__name__}:Ray"), EngineSpec("gone", f"{__name__}:Gone")]
"""


@pytest.fixture
def with_engines(config, folder):
    (folder / "engines.py").write_text(ENGINES)
    plugins = [(f"./{name}.py", None, folder) for name in ("parts", "engines")]
    catalog = load_catalog(plugins=plugins, installed=False)

    def plan(name, options=None, **how):
        node = None if options is None else from_plain(options, MARK)
        return make_plan(config(run=Run(engine=name, engine_options=node, engine_mark=MARK)), catalog, **how)

    return plan


def test_the_callers_choice_comes_before_the_files(with_engines):
    plan = with_engines("ray", {"address": "here"}, engine="inline")
    assert (plan.run.engine, plan.engine.target) == ("inline", "stagerunner.engines.inline:InlineEngine")
    assert plan.engine_options == {}


def test_an_engine_of_a_plugin_with_its_options(with_engines):
    plan = with_engines("ray", {"address": "here"})
    assert plan.engine.target.endswith(":Ray")
    assert plan.engine_options == {"address": "here"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rai", None, "no engine is called 'rai'"),
        ("ray", {"addres": "here", "address": "x"}, "there is no option 'addres'"),
        ("ray", {"plan": 1, "address": "x"}, "there is no option 'plan'"),
        ("process", {"address": "here"}, "the engine 'process' takes no options"),
        ("gone", {}, "the engine 'gone' can't be used: engines.py has no 'Gone'"),
    ],
)
def test_mistakes_stand_where_the_engine_is_named(with_engines, folder, monkeypatch, name, options, message):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        with_engines(name, options)
    [mistake] = caught.value.mistakes
    assert mistake.message == message
    assert mistake.mark == MARK


def test_a_misspelt_engine_of_the_command_line_is_marked_there(planned):
    with pytest.raises(ConfigError) as caught:
        planned(how={"engine": "inlin"})
    [mistake] = caught.value.mistakes
    assert (str(mistake.mark), mistake.fix) == ("--engine:1:1", "did you mean 'inline'?")


def test_an_engine_of_another_distribution_is_named_with_what_installs_it(config, catalog):
    with pytest.raises(ConfigError) as raised:
        make_plan(config(), catalog, engine="ray")

    assert raised.value.mistakes[0].fix == "it is in a distribution of its own: pip install stagerunner-ray"
