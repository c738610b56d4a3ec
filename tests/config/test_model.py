from __future__ import annotations

from pathlib import Path

from stagerunner.config.model import Config
from stagerunner.config.nodes import Mapping
from stagerunner.errors import Mark


def test_a_mark_of_the_command_line_has_a_base_of_its_own():
    config = Config("f.yaml", Path("/file"), Mapping((), Mark("f.yaml")), "f", bases={"-i": Path("/here")})
    assert config.base_of(Mark("f.yaml")) == Path("/file")
    assert config.base_of(Mark("-i")) == Path("/here")
