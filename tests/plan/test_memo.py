"""What a memo depends on, and where it is kept."""

from __future__ import annotations

import os
import py_compile
import sys
from pathlib import Path

import pytest
from support.project import Project

from stagerunner import load
from stagerunner.errors import ConfigError

PARTS = """
@stage
def ask(record, *, times: int = 1, words: Path = Path("none")):
    return record

@stage(memo=True)
def dear(record):
    return record

@stage(memo=True)
class Sum:
    def process(self, record): return record
    def snapshot(self): return None
    def restore(self, data): pass

@stage
class Total:
    def process(self, record): return record
    def snapshot(self): return None
    def restore(self, data): pass
"""


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.plugin(PARTS)
    (made / "in.txt").write_text("")
    return made


def spec(project, memo=True, use="ask", sink="out/x.txt", **keys):
    stage = {"use": use, "memo": memo, **keys.pop("stage", {})}
    keys = {"source": "in.txt", **({"sink": sink} if sink else {}), **keys}
    return project.plan(stage, **keys).stages[0].work.memo


def mistake(project, *arguments, **keys):
    with pytest.raises(ConfigError) as raised:
        spec(project, *arguments, **keys)
    (found,) = raised.value.mistakes
    return f"{found.path}: {found.message}; {found.fix}"


def test_it_is_beside_the_output(project):
    assert spec(project).path == str(project / "out" / ".x.txt.memo")
    assert spec(project, {"ttl": "2d", "size": "1GiB"})[5:7] == (172800, 2**30)


def test_it_is_where_the_config_says(project):
    assert spec(project, "../kept").path == str(project.folder.parent / "kept")
    assert spec(project, {"path": "kept"}).path == str(project / "kept")
    assert spec(project, "kept", sink=None).path == str(project / "kept")
    assert spec(project, False) is None


def test_without_an_output_file_it_is_beside_the_config(project):
    assert spec(project, sink=None).path == str(project / ".chain.memo")
    assert project.load({"use": "ask", "memo": True}).plan.stages[0].work.memo.path == str(project / ".chain.memo")


def test_without_any_file_it_has_no_place(project):
    with pytest.raises(ConfigError, match="no file that the memo of 'text-strip' could be kept beside"):
        load("version: 1\nstages: [{use: text.strip, memo: true}]\n")
    assert load("version: 1\nstages: [{use: text.strip, memo: kept}]\n").plan.stages[0].work.memo.path == str(
        Path.cwd() / "kept"
    )


def test_a_stage_may_ask_for_one_by_itself(project):
    def planned(**settings):
        return project.plan({"use": "dear", **settings}, source="in.txt", sink="out/x.txt").stages[0].work.memo

    assert planned().path == str(project / "out" / ".x.txt.memo")
    assert planned(memo=False) is None
    assert planned(memo="kept").path == str(project / "kept")


def test_nobody_is_bothered_if_it_has_no_place_or_state(project):
    project.plugin(PARTS)
    text = f"version: 1\nplugins: [{project / 'parts.py'}]\nstages: [dear, sum]\n"
    assert [stage.work.memo for stage in load(text).plan.stages] == [None, None]
    assert project.plan("sum", source="in.txt", sink="out.txt").stages[0].work.memo is None


def test_check_says_where_results_are_kept(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    plan = project.plan({"use": "ask", "memo": True}, source="in.txt", sink="out/x.txt")
    assert plan.notes[-1] == "the results of 'ask' are kept in out/.x.txt.memo"


@pytest.mark.parametrize(
    ("memo", "keys", "said"),
    [
        (True, {"use": "total"}, "stages[0].memo: 'total' has state"),
        ("in.txt", {}, "stages[0].memo: the memo of 'ask' would be in"),
        ("out/x.txt", {}, "stages[0].memo: the memo of 'ask' would be in"),
        ("chain.yaml", {}, "stages[0].memo: the memo of 'ask' would be in"),
        ("parts.py", {}, "stages[0].memo: the memo of 'ask' would be in"),
        ("~nobody-of-this-name/x", {}, "stages[0].memo: the memo of 'ask' can't be kept"),
        ({"ttl": "0s"}, {}, "stages[0].memo.ttl: ttl must be more than 0"),
        ({"size": "0"}, {}, "stages[0].memo.size: size must be more than 0"),
        ({"where": "x"}, {}, "stages[0].memo.where: unknown key 'where'"),
        (["x"], {}, "stages[0].memo: memo must be true, a path, or a mapping"),
    ],
)
def test_what_can_not_be_kept_is_a_mistake_at_the_memo(project, memo, keys, said):
    assert mistake(project, memo, **keys).startswith(said)


def test_what_only_this_process_can_import_can_not_be_kept(project):
    config = {"version": 1, "stages": [{"use": lambda record: record, "memo": "kept"}]}
    with pytest.raises(ConfigError, match="can't be kept: it is a lambda"):
        load(config, engine="inline")


# The version


def version(project, **keys):
    return spec(project, **keys).version


CHANGES = {
    "an option": lambda project: {"stage": {"with": {"times": 2}}},
    "the environment": lambda project: {"stage": {"env": {"A": "1"}}},
    "max_growth": lambda project: {"run": {"max_growth": "1MiB"}},
    "its code": lambda project: project.plugin(PARTS + "# more") and {},
    "Python": lambda project: {},
}


@pytest.mark.parametrize("what", CHANGES)
def test_all_that_may_change_a_result_changes_the_version(project, what, monkeypatch):
    before = version(project)
    assert version(project) == before
    keys = CHANGES[what](project)
    if what == "Python":
        monkeypatch.setattr(sys, "version", "4.0")
    assert version(project, **keys) != before


@pytest.mark.parametrize(
    "keys",
    [
        {"stage": {"workers": 3, "timeout": "5s", "retry": 3, "name": "other", "rate": "5/s"}},
        {"stage": {"on_error": "skip"}, "run": {"frame": 3, "window": "1MiB"}, "sink": "out/y.txt"},
    ],
)
def test_what_changes_no_result_changes_no_version(project, keys):
    assert version(project, **keys) == version(project)


def test_the_content_of_a_file_that_an_option_names_counts(project):
    (project / "words").write_text("one")
    named = {"stage": {"with": {"words": "words"}}}
    before = version(project, **named)
    assert version(project, **named) == before
    (project / "words").write_text("two")
    assert version(project, **named) != before
    assert str(project / "words") in spec(project, **named).files


def test_a_secret_counts_and_is_not_in_the_plan(project, monkeypatch):
    named = {"stage": {"with": {"words": "${secret:MEMO_TEST_KEY}"}}}
    monkeypatch.setenv("MEMO_TEST_KEY", "one")
    before = version(project, **named)
    monkeypatch.setenv("MEMO_TEST_KEY", "two")
    assert version(project, **named) != before


def test_helpers_elsewhere_on_the_path_count(project, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    helper = tmp_path / "lib" / "elsewhere_of_memo_tests.py"
    helper.write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    project.plugin(PARTS + "\ndef late():\n    import elsewhere_of_memo_tests\n")
    before = version(project)
    helper.write_text("X = 2\n")
    assert version(project) != before


def test_installed_packages_count_with_all_that_they_require(project, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    for name, requires in (("one_memo", "two-memo>=1"), ("two_memo", "")):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text("")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        required = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
        (info / "RECORD").write_text(f"{name}/__init__.py,sha256=abc,0\n")
    monkeypatch.syspath_prepend(str(site))
    project.plugin(PARTS + "\nimport one_memo\n")
    before = spec(project)
    assert before.packages >= {"one_memo"}
    (site / "two_memo-1.0.dist-info" / "RECORD").write_text("two_memo/__init__.py,sha256=xyz,0\n")
    assert version(project) != before.version
    for name in ("one_memo", "two_memo"):
        sys.modules.pop(name, None)


def test_bytecode_of_before_an_edit_is_deleted(project, monkeypatch):
    """Python compares seconds and length: a worker would run what was there before."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # else the import writes it again
    monkeypatch.syspath_prepend(str(project.folder))
    helper = project / "stale_of_memo_tests.py"
    helper.write_text("X = 1\n")
    project.plugin(PARTS + "\nimport stale_of_memo_tests\n")
    compiled = Path(py_compile.compile(str(helper)))
    spec(project)
    assert compiled.exists()
    helper.write_text("X = 2\n")
    before = helper.stat().st_mtime_ns - 1
    os.utime(compiled, ns=(before, before))
    spec(project)
    assert not compiled.exists()
