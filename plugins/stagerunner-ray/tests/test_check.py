"""What can't work in the cluster is said before anything starts."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

CHAIN = """
version: 1
source: {{use: range, with: {{stop: 5}}}}
stages: [{{use: text.strip, {settings}}}]
sink: out.jsonl
run: {{engine: {{use: ray, with: {{{options}}}}}}}
"""


def checked(folder, options="address: local", settings="workers: 1"):
    (folder / "chain.yaml").write_text(CHAIN.format(options=options, settings=settings))
    command = [sys.executable, "-m", "stagerunner", "check", "chain.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_what_the_machine_has_is_enough(tmp_path):
    assert checked(tmp_path, settings="resources: {cpu: 0.5}")[0] == 0


@pytest.mark.parametrize(
    ("options", "settings", "told"),
    [
        (
            "cpus: 2",
            "workers: 3, resources: {cpu: 1}",
            "cpu: 3 wanted up to here ('text-strip' 3 × 1), and this machine has 2",
        ),
        ("cpus: 2", "resources: {gpu: 99}", "4:45  (stages[0].resources.gpu)"),
        ("adress: local", "workers: 1", "there is no option 'adress'"),
        ("address: nowhere", "workers: 1", "an address is local, auto, ray://HOST:PORT or HOST:PORT"),
        ("address: auto", "memo: true", "4:34  (stages[0].memo)"),
    ],
)
def test_what_cannot_work_is_a_mistake(options, settings, told, tmp_path):
    code, errors = checked(tmp_path, options, settings)

    assert code == 2
    assert told in errors


@pytest.mark.parametrize("auto", [False, True])
def test_no_cluster_at_the_address_is_said_at_once(auto, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)  # where `auto` looks first

    code, errors = checked(tmp_path, "address: auto" if auto else f'address: "{address}"')

    assert code == 2
    assert f"error[engine]: no Ray cluster at {address}: Connection refused\n --> chain.yaml:6:" in errors
