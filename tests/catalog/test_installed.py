from __future__ import annotations

import pytest

from stagerunner.catalog.installed import goes_by, installed_plugins, provider_of


@pytest.fixture
def point(install):
    install("geo_tools", "1.2", "", module="geo_code")
    return next(point for point in installed_plugins() if point.value == "geo_code")


def test_the_built_in_parts_come_by_the_same_road():
    assert "stagerunner_parts" in [point.value for point in installed_plugins()]


def test_the_provider_is_the_distribution(point):
    assert provider_of(point) == "geo_tools 1.2"


@pytest.mark.parametrize("name", ["geo_tools", "geo-tools", "Geo.Tools", "geo_code"])
def test_it_goes_by_any_of_its_names(point, name):
    assert goes_by(point, ["other", name])


def test_it_goes_by_no_other_name(point):
    assert not goes_by(point, ["geo", ""])
