from __future__ import annotations

import sys
from importlib import metadata
from zipfile import ZipFile

import pytest

from stagerunner.catalog.installed import Installed, installed_plugins, is_named, provider_of


@pytest.fixture
def point(install):
    install("geo_tools", "1.2", "", module="geo_code")
    return next(point for point in installed_plugins() if point.value == "geo_code")


def values():
    return [point.value for point in installed_plugins()]


def as_metadata_has_it():
    found = (
        Installed(point.name, point.value, point.dist.name, point.dist.version)
        for point in metadata.entry_points(group="stagerunner")
    )
    return tuple(sorted(found, key=lambda point: (provider_of(point), point.name)))


def test_the_built_in_parts_come_by_the_same_road():
    assert "stagerunner_parts" in values()


def test_the_provider_is_the_distribution(point):
    assert provider_of(point) == "geo_tools 1.2"


@pytest.mark.parametrize("name", ["geo_tools", "geo-tools", "Geo.Tools", "geo_code"])
def test_it_goes_by_any_of_its_names(point, name):
    assert is_named(point, ["other", name])


def test_it_goes_by_no_other_name(point):
    assert not is_named(point, ["geo", ""])


@pytest.mark.parametrize("value", ["geo.code:Plugin.inner", "geo.code : Plugin.inner [extra]"])
def test_a_value_names_a_module_and_what_of_it_is_meant(value):
    assert (Installed("geo", value).module, Installed("geo", value).attr) == ("geo.code", "Plugin.inner")


def test_what_is_found_in_folders_is_what_the_standard_library_finds(install):
    install("geo_tools", "1.2", "")
    install("abc", "0.1", "", point="abc_plugin:Plugin")
    assert installed_plugins() == as_metadata_has_it()


def test_only_our_own_group_counts_and_comments_do_not(tmp_path, monkeypatch):
    info = tmp_path / "geo-1.0.dist-info"
    info.mkdir()
    text = "[console_scripts]\ngeo = geo:main\n\n[stagerunner]\n# old = geo.old\nparts = geo.parts\n[x]\ny = geo\n"
    (info / "entry_points.txt").write_text(text)
    (info / "METADATA").write_text("Name: Geo\nVersion: 1.0\n\nName: not this one\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [point for point in installed_plugins() if "geo" in point.value] == [
        Installed("parts", "geo.parts", "Geo", "1.0")
    ]


def test_of_two_distributions_of_one_name_the_first_on_the_path_counts(tmp_path, monkeypatch):
    for place, version in (("behind", "1.0"), ("before", "2.0")):
        info = tmp_path / place / f"geo-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(f"[stagerunner]\ngeo = geo_{place}\n")
        monkeypatch.syspath_prepend(str(tmp_path / place))
    assert "geo_before" in values()
    assert "geo_behind" not in values()


def test_an_egg_info_folder_beside_the_code_is_a_distribution_too(tmp_path, monkeypatch):
    info = tmp_path / "geo.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[stagerunner]\ngeo = geo_code\n")
    (info / "PKG-INFO").write_text("Name: geo\nVersion: 3.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Installed("geo", "geo_code", "geo", "3.1") in installed_plugins()


def test_a_zip_file_is_left_to_the_standard_library(tmp_path, monkeypatch):
    with ZipFile(tmp_path / "geo.zip", "w") as file:
        file.writestr("geo-1.0.dist-info/entry_points.txt", "[stagerunner]\ngeo = geo_zipped\n")
        file.writestr("geo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: geo\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "geo.zip"))
    assert Installed("geo", "geo_zipped", "geo", "1.0") in installed_plugins()


def test_so_is_a_finder_that_knows_distributions_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "METADATA").write_text("Metadata-Version: 2.1\nName: geo\nVersion: 1.0\n")
    (tmp_path / "entry_points.txt").write_text("[stagerunner]\ngeo = geo_found\n")

    class Finder(metadata.DistributionFinder):
        def find_spec(self, *_):
            return None

        def find_distributions(self, context=None):
            return [metadata.PathDistribution(tmp_path)]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert "geo_found" in values()


def test_what_is_not_there_and_what_can_not_be_read_hold_nothing(tmp_path, monkeypatch):
    (tmp_path / "geo-1.0.dist-info").write_text("a file where a folder should be")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "nowhere"))
    assert "stagerunner_parts" in values()
