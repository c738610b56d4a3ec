from __future__ import annotations

import pytest

from stagerunner.config.model import Retry, Run
from stagerunner.errors import ConfigError


def mistake(planned, stage):
    with pytest.raises(ConfigError) as caught:
        planned(stage)
    [mistake] = caught.value.mistakes
    return mistake


def test_a_worker_is_told_target_form_and_options(planned):
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


def test_a_class_that_is_no_stage(planned, folder):
    (folder / "my.py").write_text("class Empty: ...\n")
    wrong = mistake(planned, "./my.py:Empty")
    assert (wrong.code, wrong.mark.line, wrong.path) == ("form", 3, "stages[0].use")
    assert "needs one of the methods process and process_batch" in wrong.message


def test_an_async_generator_is_no_stage(planned, folder):
    (folder / "my.py").write_text("async def drip(record):\n    yield record\n")
    assert "an async generator can't be a stage" in mistake(planned, "./my.py:drip").message


def test_an_unknown_option(planned):
    wrong = mistake(planned, {"use": "shout", "with": {"tims": 2}})
    assert (wrong.path, wrong.fix) == ("stages[0].with.tims", "did you mean 'times'?")
