from __future__ import annotations

import pytest

from stagerunner.catalog import load_catalog
from stagerunner.config.model import BatchSize, Resources, Retry, Run
from stagerunner.errors import ConfigError
from stagerunner.plan import make_plan


def mistake(planned, stage):
    with pytest.raises(ConfigError) as caught:
        planned(stage)
    [mistake] = caught.value.mistakes
    return mistake


def test_a_worker_gets_target_form_and_options(planned):
    work = planned({"use": "shout", "with": {"times": 2}, "name": "louder"}).stages[0].work
    assert (work.index, work.name, work.options) == (0, "louder", {"times": 2})
    assert work.target.endswith(":shout")
    assert not work.form.state


def test_settings_reach_the_worker(planned):
    retry = Retry(attempts=3, delay=0.5, factor=3.0, max=9.0)
    stage = {"use": "ask", "retry": retry, "timeout": 5.0, "concurrency": 4, "on_error": "skip"}
    work = planned(stage, run=Run(max_growth=77)).stages[0].work
    assert (work.attempts, work.delay, work.factor, work.longest) == (3, 0.5, 3.0, 9.0)
    assert (work.timeout, work.concurrency, work.on_error, work.growth) == (5.0, 4, "skip", 77)


def test_each_worker_knows_the_rate_of_the_whole_stage(planned):
    assert planned({"use": "ask", "workers": 4, "rate": 10.0}).stages[0].work.rate == 10.0


def test_a_file_of_ones_own_is_named_and_known_to_workers(planned, folder):
    (folder / "my.py").write_text("def enrich(record): return record\n")
    plan = planned("./my.py:enrich")
    stage = plan.stages[0]
    assert stage.use == "./my.py:enrich"
    assert plan.files[stage.work.target.partition(":")[0]] == str(folder / "my.py")


def test_a_class_that_is_not_a_stage(planned, folder):
    (folder / "my.py").write_text("class Empty: ...\n")
    wrong = mistake(planned, "./my.py:Empty")
    assert (wrong.code, wrong.mark.line, wrong.path) == ("form", 3, "stages[0].use")
    assert "needs one of the methods process and process_batch" in wrong.message


def test_an_async_generator_is_not_a_stage(planned, folder):
    (folder / "my.py").write_text("async def drip(record):\n    yield record\n")
    assert "an async generator can't be a stage" in mistake(planned, "./my.py:drip").message


def test_an_unknown_option(planned):
    wrong = mistake(planned, {"use": "shout", "with": {"tims": 2}})
    assert (wrong.path, wrong.fix) == ("stages[0].with.tims", "did you mean 'times'?")


# Settings


CARDS = Resources(gpu=1)


@pytest.mark.parametrize(
    ("use", "setting", "value", "message"),
    [
        ("tally", "workers", 2, "a stage with state has one worker"),
        ("latest", "workers", 2, "a stage with state has one worker"),
        ("shout", "batch", BatchSize(10), "`batch` is for batch transforms"),
        ("shout", "concurrency", 4, "`concurrency` is for async stages"),
        ("shout", "max_errors", 4, "`max_errors` is for `on_error: skip` or `dead_letter`"),
    ],
)
def test_a_setting_that_means_nothing_here(planned, use, setting, value, message):
    with pytest.raises(ConfigError) as caught:
        planned({"use": use, setting: value})
    [mistake] = caught.value.mistakes
    assert message in mistake.message
    assert (mistake.mark.text, mistake.path) == (setting, f"stages[0].{setting}")


@pytest.mark.parametrize(
    "stage",
    [
        {"use": "tally", "workers": 1},
        {"use": "pairs", "batch": BatchSize(10), "workers": 2},
        {"use": "ask", "concurrency": 4, "rate": 4.0},
        {"use": "pairs", "rate": 4.0},
        {"use": "shout", "max_errors": 4, "on_error": "skip"},
        {"use": "shout", "timeout": 1.0, "max_memory": 2**30, "env": (("A", "1"),)},
    ],
)
def test_a_setting_that_means_something(planned, stage):
    assert planned(stage)


@pytest.mark.parametrize("knows", [True, False])
def test_resources_are_for_engines_that_know_them(config, folder, knows):
    (folder / "engines.py").write_text(
        "from stagerunner import hookimpl\nfrom stagerunner.hookspecs import EngineSpec\n"
        f"@hookimpl\ndef stagerunner_engines(): return [EngineSpec('ray', 'x:Y', resources={knows})]\n"
    )
    plugins = [(f"./{name}.py", None, folder) for name in ("parts", "engines")]
    catalog, chain = load_catalog(plugins=plugins, installed=False), {"use": "shout", "resources": CARDS}
    if knows:
        assert make_plan(config(chain, run=Run(engine="ray")), catalog).stages[0].settings.resources is CARDS
    else:
        with pytest.raises(ConfigError, match="the engine 'ray' knows no resources"):
            make_plan(config(chain, run=Run(engine="ray")), catalog)
