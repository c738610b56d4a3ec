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
        ("cpus: 2", "workers: 3, resources: {cpu: 1}", "want cpu: 3 in all ('text-strip' 3 × 1), and this machine"),
        ("cpus: 2", "resources: {gpu: 99}", "want gpu: 99"),
        ("adress: local", "workers: 1", "there is no option 'adress'"),
        ("address: nowhere", "workers: 1", "an address is local, auto, ray://HOST:PORT or HOST:PORT"),
        ("address: auto", "memo: true", "has a memo, which is kept in a file of one machine"),
    ],
)
def test_what_cannot_work_is_a_mistake(options, settings, told, tmp_path):
    code, errors = checked(tmp_path, options, settings)

    assert code == 2
    assert told in errors


def test_no_cluster_at_the_address_is_said_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    code, errors = checked(tmp_path, f'address: "127.0.0.1:{port}"')

    assert code == 2
    assert f"no Ray cluster at 127.0.0.1:{port}: Connection refused" in errors
