"""Names that ask for something that no plugin offers."""

from __future__ import annotations

import pytest
from support.project import Project

from stagerunner.errors import ConfigError
from stagerunner.plan.targets import why_address, why_foreign, why_not_json_lines, why_not_offered


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.mark.parametrize("kind", ["source", "sink"])
@pytest.mark.parametrize(
    "name",
    [
        *("nix://bucket/x.jsonl", "nix://host/x", "NIX://host/a.csv", "nix://b/*.gz", "file:///tmp/x.jsonl"),
        *("x.orc", "x.ORC", "dir/x.h5", "x.bson", "x.xlsx", "x.avro", "x.msgpack"),
        *("x.zstd", "x.jsonl.zstd", "x.csv.zip", "x.tar.gz", "x.Z", "logs/*.orc"),
    ],
)
def test_what_no_plugin_offers_is_a_mistake_with_its_place(project, kind, name):
    with pytest.raises(ConfigError) as caught:
        project.plan("same", **({"source": "-", "sink": "out.jsonl"} | {kind: name}))
    (mistake,) = caught.value.mistakes
    assert (mistake.code, mistake.path) == ("target", kind)
    assert mistake.mark.column > 1
    assert mistake.fix
    assert not list(project.folder.glob("*:*"))


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("postgresql://h/shop", "write {use: postgres, with: {dsn: ADDRESS, table: NAME}}; "),
        ("sqlite:///shop.db", "write the path of the file alone"),
        ("s3://b/x.jsonl", "pip install 'stagerunner[remote]'"),
        ("nix://b/x", "name a file here, or a plugin's part"),
    ],
)
def test_an_address_of_a_known_kind_is_answered_with_what_reads_it(address, fix):
    assert why_address(address)[1].startswith(fix)


@pytest.mark.parametrize(
    "name", ["x", "x.log", "x.txt", "x.txt.gz", "x.md", "a.b/c", ".hidden", "x.2024", "x.jsonl.xz"]
)
def test_what_may_well_be_text(name):
    assert why_not_offered(name, "sink") is None
    assert why_not_offered(name, "source") is None


@pytest.mark.parametrize("name", ["x.json", "x.json.gz"])
def test_a_json_document_is_read_but_not_written(project, name):
    with pytest.raises(ConfigError) as caught:
        project.plan("same", source="-", sink=name)
    assert caught.value.mistakes[0].fix == f"for a JSON value a line: {{use: jsonl, with: {{path: {name}}}}}"


def test_a_folder_is_not_a_sink(project):
    with pytest.raises(ConfigError, match="is a folder"):
        project.plan("same", source="-", sink="out/")


@pytest.mark.parametrize(("use", "path"), [("jsonl", "nix://b/x.jsonl"), ("lines", "x.zstd")])
def test_a_part_of_ours_writes_no_file_of_another_kind(project, use, path):
    for kind in ("source", "sink") if "://" in path else ("sink",):
        ends = {"source": "-", "sink": "out.jsonl"} | {kind: {"use": use, "with": {"path": path}}}
        with pytest.raises(ConfigError) as caught:
            project.plan("same", **ends)
        assert caught.value.mistakes[0].code == "target"
    project.write("x.json", "")
    project.plan("same", source={"use": "jsonl", "with": {"path": "x.json"}}, sink="out.jsonl")


def test_the_same_from_the_command_line(project):
    project.config("same", source={"use": "range", "with": {"stop": 3}})
    done = project.cli("run", "chain.yaml", "-o", "out.avro")
    assert done.returncode == 2
    assert b"-o:1:1" in done.stderr
    assert b"end its name in .jsonl or .csv" in done.stderr
    assert not (project / "out.avro").exists()


@pytest.mark.parametrize("name", ["failed.jsonl.gz", "failed.csv", "failed.parquet", "s3://b/failed.jsonl", "f.zst"])
def test_dead_letters_are_plain_lines_of_json(project, name):
    assert why_not_json_lines(name) is not None
    with pytest.raises(ConfigError) as caught:
        project.plan("same", source="-", sink="out.jsonl", dead_letter=name)
    assert caught.value.mistakes[0].path == "dead_letter"
    assert why_not_json_lines("failed.json") is why_not_json_lines("failed") is why_foreign("a.b") is None
