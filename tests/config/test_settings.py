from __future__ import annotations

import pytest

from stagerunner.config.model import BatchSize, Retry, Run, Settings
from stagerunner.config.read import read_config


@pytest.fixture
def setting(config):
    """The settings of a stage."""
    return lambda text: config(f"version: 1\nstages:\n- use: a\n  {text}").stages[0].settings


@pytest.fixture
def run(config):
    return lambda text: config(f"version: 1\nstages: []\nrun: {text}").run


def test_a_silent_file_has_the_defaults(setting, run):
    assert setting("with: {}") == Settings()
    assert run("{}") == Run()


def test_every_setting(setting):
    assert setting("workers: 4").workers == 4
    assert setting("batch: 100").batch == BatchSize(100, wait=1)
    assert setting("batch: {size: 100, wait: 50ms}").batch == BatchSize(100, wait=0.05)
    assert setting("concurrency: 3").concurrency == 3
    assert setting("timeout: 5s").timeout == 5
    assert setting("rate: 120/m").rate == 2
    assert setting("start_timeout: 2m").start_timeout == 120
    assert setting("on_error: skip").on_error == "skip"
    assert setting("max_errors: 0").max_errors == 0
    assert setting("max_memory: 1GiB").max_memory == 2**30
    assert setting("env: {A: b, N: 010}").env == (("A", "b"), ("N", "010"))
    found = setting("resources: {cpu: 0.5, gpu: 2, memory: 1GiB}").resources
    assert (found.cpu, found.gpu, found.memory) == (0.5, 2, 2**30)
    assert (found.gpu_mark.column, found.path) == (30, "stages[0].resources.gpu")


def test_retry_is_the_attempts_or_all_of_it(setting):
    assert setting("retry: 3").retry == Retry(attempts=3)
    assert setting("retry: {attempts: 3, delay: 1s, factor: 1.5, max: 1m}").retry == Retry(3, 1, 1.5, 60)


def test_null_unsets_what_has_no_default(setting):
    assert setting("timeout: null") == setting("rate: null") == setting("max_errors: null") == Settings()


def test_a_variable_can_be_a_number(config):
    found = config('version: 1\nvars: {n: 4}\nstages: [{use: a, workers: "${vars.n}"}]')
    assert found.stages[0].settings.workers == 4


def test_every_key_of_run(run):
    assert run("{frame: 100}").frame == 100
    assert run("{frame: auto}").frame is None
    assert run("{window: 1MiB, max_record: 2MiB, max_growth: 3MiB}") == Run(
        window=2**20, max_record=2**21, max_growth=3 * 2**20
    )
    assert run("{linger: 1s, grace: 2s, checkpoint: 3s}") == Run(linger=1, grace=2, checkpoint=3)
    assert run("{durability: power, fuse: auto}") == Run(durability="power", fuse="auto")


def test_an_engine_is_a_name_or_a_name_with_options(run):
    assert run("{engine: inline}").engine == "inline"
    found = run("{engine: {use: ray, with: {cpus: 4}}}")
    assert (found.engine, found.engine_options.get("cpus").value, found.engine_mark.column) == ("ray", 4, 15)


def test_a_journal_comes_with_the_folder_it_stands_against(config, run, tmp_path):
    assert (run("{journal: off}").journal, run("{journal: off}").journal_base) == ("off", None)
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nstages: []\nrun: {journal: j.db}")
    assert (read_config(file).run.journal, read_config(file).run.journal_base) == ("j.db", tmp_path)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("workers: 0", "4:12 stages[0].workers: workers must be at least 1"),
        ("name: Big", "4:9 stages[0].name: name must be lower case letters, digits and dashes, not the text 'Big'"),
        ("retry: 0", "4:10 stages[0].retry: retry must be at least 1"),
        ("retry: {dely: 1s}", "4:11 stages[0].retry.dely: unknown key 'dely' | did you mean 'delay'?"),
        (
            "retry: [1]",
            "4:10 stages[0].retry: retry must be a mapping, not a list | it takes attempts, delay, factor, max",
        ),
        (
            "retry: {delay: 1s}",
            "4:10 stages[0].retry: retry has no `attempts`, so nothing would be tried again"
            " | add `attempts:`, 2 or more",
        ),
        ("timeout: 0s", "4:12 stages[0].timeout: timeout must be more than 0 | leave it out for none"),
        ("start_timeout: 0", "4:18 stages[0].start_timeout: start_timeout must be more than 0 | write 60s"),
        (
            "memo: yes",
            "4:9 stages[0].memo: memo must be true, false, or a path, not the text 'yes'"
            " | write true; a file of that name is ./yes",
        ),
        ("max_memory: 0.1B", "4:15 stages[0].max_memory: max_memory must be more than 0 | leave it out for none"),
        (
            "timeout: -5s",
            "4:12 stages[0].timeout: timeout must be a duration, not the text '-5s' | write 500ms, 30s, 5m or 2h",
        ),
        ("rate: 5", "4:9 stages[0].rate: rate must be a rate, not the number 5 | write 50/s, 100/m or 10/500ms"),
        ("env: [A]", "4:8 stages[0].env: env must be a mapping, not a list | write {NAME: VALUE, …}"),
        (
            "resources: {gpu: 0.5}",
            "4:20 stages[0].resources.gpu: gpu must be a whole number: a worker has devices of its own"
            " | workers that share a device have no `gpu`, and name it in `env`: CUDA_VISIBLE_DEVICES",
        ),
        ("resources: {gpus: 1}", "4:15 stages[0].resources.gpus: unknown key 'gpus' | did you mean 'gpu'?"),
        ("resources: {cpu: 0}", "4:20 stages[0].resources.cpu: cpu must be more than 0 | leave it out"),
        ("env: {A: [b]}", "4:12 stages[0].env.A: A must be text, not a list"),
    ],
)
def test_wrong_settings(wrong, text, mistake):
    assert wrong(f"version: 1\nstages:\n- use: a\n  {text}") == [mistake]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("{frame: 0}", "3:14 run.frame: frame must be at least 1"),
        ("{window: 0}", "3:15 run.window: window must be more than 0 | write 64MiB"),
        ("{max_record: 0B}", "3:19 run.max_record: max_record must be more than 0 | write 16MiB"),
        ("{max_growth: 0.5B}", "3:19 run.max_growth: max_growth must be more than 0 | write 64MiB"),
        ("{windwo: 1MB}", "3:7 run.windwo: unknown key 'windwo' | did you mean 'window'?"),
        ("{fuse: on}", "3:13 run.fuse: fuse must be off or auto, not the text 'on'"),
        ("{engine: {with: {}}}", "3:15 run.engine: engine needs `use:` | write its name, or {use: NAME, with: {…}}"),
    ],
)
def test_wrong_keys_of_run(wrong, text, mistake):
    assert wrong(f"version: 1\nstages: []\nrun: {text}") == [mistake]


@pytest.mark.parametrize("end", ["source", "sink"])
def test_what_has_no_effect_yet_on_a_source_or_sink_is_a_mistake(wrong, end):
    assert wrong(f"version: 1\nstages: []\n{end}: {{use: a, retry: 3}}") == [
        f"3:{len(end) + 19} {end}.retry: retry has no effect yet on a source or a sink | leave it out; a stage has it"
    ]
