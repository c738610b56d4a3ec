"""Which devices the workers of a stage get. The environment names them, or a folder stands for /proc."""

from __future__ import annotations

import pytest

from stagerunner.config.model import Resources, Run
from stagerunner.errors import ConfigError, Mark
from stagerunner.plan import devices
from stagerunner.plan.devices import VISIBLE


def on_cards(number, **settings):
    return {"use": "shout", "resources": Resources(gpu=number, gpu_mark=Mark("chain.yaml", 7, 24)), **settings}


@pytest.fixture(autouse=True)
def visible(monkeypatch):
    monkeypatch.setenv(VISIBLE, "0,1,2,3")
    return lambda text: monkeypatch.setenv(VISIBLE, text)


def test_stages_get_devices_of_their_own_in_order(planned):
    plan = planned(on_cards(1, workers=2, name="a"), "shout", on_cards(2, name="b"))
    assert [stage.devices for stage in plan.stages] == [("0", "1"), (), ("2", "3")]


def test_without_any_device_fewer_workers_are_no_help(planned, visible):
    visible("")
    with pytest.raises(ConfigError) as caught:
        planned(on_cards(1, workers=1))
    assert caught.value.mistakes[0].fix.startswith("leave `gpu` out to run without, or name")


def test_too_few_are_a_mistake_where_gpu_stands(planned):
    with pytest.raises(ConfigError) as caught:
        planned(on_cards(1, workers=3, name="a"), on_cards(2, workers=1, name="b"), on_cards(1, workers=5, name="c"))
    first, second = caught.value.mistakes
    assert str(first.mark) == "chain.yaml:7:24"
    assert first.message == ("gpu: 2 needs 2 devices; CUDA_VISIBLE_DEVICES names 4, of which the stages before take 3")
    assert second.message.startswith("5 workers with gpu: 1 need 5 devices; CUDA_VISIBLE_DEVICES names 4")
    assert "CUDA_VISIBLE_DEVICES=0,1" in first.fix


def test_an_engine_that_places_workers_elsewhere_counts_for_itself(planned):
    assert planned(on_cards(9), run=Run(engine="inline")).stages[0].devices == ()


def test_a_stage_says_only_once_which_devices_it_has(planned):
    with pytest.raises(ConfigError, match="both say which devices a worker gets"):
        planned(on_cards(1, env=((VISIBLE, "1"),)))


def test_a_stage_with_devices_shares_no_workers(planned):
    plan = planned("shout", on_cards(1, name="b"), run=Run(fuse="auto"))
    assert "shout and b stay apart: 'b' has devices of its own" in plan.notes


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2,0", ["2", "0"]),
        (" 1 , GPU-8932f937-d72c,MIG-c6d4f1ef", ["1", "GPU-8932f937-d72c", "MIG-c6d4f1ef"]),
        ("0,-1,1", ["0"]),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_the_environment_is_read_as_cuda_reads_it(visible, text, names):
    visible(text)
    assert devices.devices() == names


@pytest.mark.parametrize("counted", ["driver", "files", "listed", "nothing"])
def test_they_are_counted_without_importing_anything_large(monkeypatch, tmp_path, counted):
    monkeypatch.delenv(VISIBLE)
    driver, files = tmp_path / "gpus", tmp_path / "dev"
    monkeypatch.setattr(devices, "DRIVER", driver)
    monkeypatch.setattr(devices, "FILES", files)
    files.mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    if counted == "driver":
        for bus in ("0000:01:00.0", "0000:02:00.0"):
            (driver / bus).mkdir(parents=True)
    if counted == "files":
        for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia0x"):
            (files / name).touch()
    if counted == "listed":
        program = tools / "nvidia-smi"
        program.write_text("#!/bin/sh\n[ $1 = -L ] && echo 'GPU 0: A (UUID: GPU-1)' && echo 'GPU 1: B (UUID: GPU-2)'\n")
        program.chmod(0o755)
    assert devices.devices() == ([] if counted == "nothing" else ["0", "1"])
