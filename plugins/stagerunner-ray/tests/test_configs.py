"""Every config of the repository gives in actors what it gives in processes. (Several workers: test_conformance.py.)"""

from __future__ import annotations

import shutil

import pytest
from configs.test_configs import CONFIGS, NAMES, country_server, expected, run


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(CONFIGS, copy / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    with country_server():
        yield copy


@pytest.mark.parametrize("name", NAMES)
def test_a_config_gives_what_is_expected(name, cluster, checkout, tmp_path):
    assert run(name, checkout, tmp_path, "ray", 1) == expected(name)
