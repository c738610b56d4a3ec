"""A stage with a memo, record by record: what is kept, what isn't, and what it depends on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stagerunner import count
from stagerunner.evaluate.memos import memo as module
from stagerunner.evaluate.work import MemoSpec
from stagerunner.memo.files import checksum
from stagerunner.memo.store import Store
from stagerunner.records import HITS, RECALLED


@pytest.fixture
def spec(tmp_path):
    return MemoSpec(str(tmp_path / "kept"), b"version")


@pytest.fixture
def calls():
    return []


@pytest.fixture
def plain(calls):
    def plain(record):
        calls.append(record)
        count("seen")
        if record == "bad":
            raise ValueError("never")
        return {"of": record}

    return plain


def test_what_was_computed_is_known(stage_of, batch_of, spec, plain, calls):
    for hits in ({}, {HITS: 2, RECALLED + "seen": 2}):
        result = stage_of(plain, memo=spec).apply(batch_of("a", "b"))
        assert result.records == [{"of": "a"}, {"of": "b"}]
        assert result.counts[-1].extra == {"seen": 2, **hits}
    assert calls == ["a", "b"]


@pytest.mark.parametrize("changed", [{"version": b"other"}, {"path": "elsewhere"}])
def test_another_version_or_file_knows_nothing(stage_of, batch_of, spec, plain, calls, changed, tmp_path):
    changed = {name: str(tmp_path / value) if name == "path" else value for name, value in changed.items()}
    stage_of(plain, memo=spec).apply(batch_of("a"))
    stage_of(plain, memo=spec._replace(**changed)).apply(batch_of("a"))
    assert calls == ["a", "a"]


def test_a_record_is_known_as_it_came_even_if_its_call_changes_it(stage_of, batch_of, spec, calls):
    def changing(record):
        calls.append(1)
        record.append("more")
        return record

    for _ in range(2):
        assert stage_of(changing, memo=spec).apply(batch_of(["a"])).records == [["a", "more"]]
    assert calls == [1]


def test_a_result_that_changes_later_is_kept_as_it_was(stage_of, batch_of, spec):
    kept = []

    def changing(record):
        kept.append(record)
        return kept

    assert stage_of(changing, memo=spec).apply(batch_of("a", "b")).records == [["a"], ["a", "b"]]
    assert stage_of(changing, memo=spec).apply(batch_of("a", "b")).records == [["a"], ["a", "b"]]


def test_nones_are_kept_only_where_they_drop(stage_of, batch_of, spec, calls):
    def drops(record) -> str | None:
        calls.append(record)

    def forgets(record):
        calls.append(record)

    for found, expected in ((drops, ["a"]), (forgets, ["a", "b", "b"])):
        for _ in range(2):
            stage_of(found, memo=spec, on_error="skip").apply(batch_of("a" if found is drops else "b"))
        assert calls == expected


def test_failures_are_not_kept(stage_of, batch_of, spec, plain, calls):
    for _ in range(2):
        assert stage_of(plain, memo=spec, on_error="skip", attempts=2).apply(batch_of("bad")).records == []
    assert calls == ["bad"] * 4


def test_results_that_are_too_large_are_not_kept_and_it_is_said_once(
    stage_of, batch_of, spec, plain, calls, monkeypatch, capsys
):
    monkeypatch.setattr(module, "MOST", 10)
    evaluator = stage_of(plain, memo=spec)
    for _ in range(2):
        evaluator.apply(batch_of("a", "b"))
    assert calls == ["a", "b"] * 2
    assert capsys.readouterr().err == "memo: results of more than 10 bytes are not kept\n"


def test_what_can_not_be_sent_is_not_kept(stage_of, batch_of, spec, calls):
    def odd(record):
        calls.append(record)
        return lambda: record

    for _ in range(2):
        stage_of(odd, memo=spec).apply(batch_of("a"))
    assert calls == ["a", "a"]


def test_a_value_that_can_not_be_read_is_computed(stage_of, batch_of, spec, plain, calls, capsys):
    stage_of(plain, memo=spec).apply(batch_of("a"))
    store = Store(spec.path)
    with store._asked() as db:
        (key,) = db.execute("SELECT key FROM results").fetchone()
    store.put(key, "tested", b"version", b"no pickle")
    store.close()
    assert stage_of(plain, memo=spec).apply(batch_of("a")).records == [{"of": "a"}]
    assert calls == ["a", "a"]
    assert "can't be read (UnpicklingError" in capsys.readouterr().err


def test_if_a_file_behind_it_has_changed_it_is_not_used(stage_of, batch_of, spec, plain, calls, tmp_path, capsys):
    code = tmp_path / "code.py"
    code.write_text("one")
    checked = spec._replace(files={str(code): checksum(str(code))})
    stage_of(plain, memo=checked).apply(batch_of("a"))
    code.write_text("two")
    stage_of(plain, memo=checked).apply(batch_of("a", "b"))
    code.write_text("one")
    stage_of(plain, memo=checked).apply(batch_of("a", "b"))
    assert calls == ["a", "a", "b", "b"]
    assert (
        capsys.readouterr().err == f"memo: going on without {spec.path}: {code} was changed since the run was planned\n"
    )


def test_if_code_is_imported_that_is_not_behind_it_nothing_is_kept(
    stage_of, batch_of, spec, calls, tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "hidden_of_memo.py").write_text("X = 1\n")

    def hidden(record):
        calls.append(record)
        return __import__("hidden_of_memo").X

    for code in (frozenset(), frozenset({str(tmp_path / "hidden_of_memo.py")})):
        for _ in range(2):
            sys.modules.pop("hidden_of_memo", None)
            stage_of(hidden, memo=spec._replace(code=code)).apply(batch_of("a"))
    sys.modules.pop("hidden_of_memo", None)
    assert calls == ["a", "a", "a"]
    assert capsys.readouterr().err.count("hidden_of_memo in a way that its source doesn't show") == 2


def test_code_that_was_changed_before_it_is_imported_late_is_not_taken_for_that_in_the_key(
    stage_of, batch_of, spec, calls, tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # else what it was a moment ago might be imported
    late = tmp_path / "late_of_memo.py"
    late.write_text("X = 1\n")
    known = spec._replace(code=frozenset({str(late)}), files={str(late): checksum(str(late))})

    def lazy(record):
        calls.append(record)
        import late_of_memo

        return late_of_memo.X

    evaluator = stage_of(lazy, memo=known)
    late.write_text("X = 2\n")
    assert evaluator.apply(batch_of("a")).records == [2]
    sys.modules.pop("late_of_memo")
    late.write_text("X = 1\n")
    assert stage_of(lazy, memo=known).apply(batch_of("a")).records == [1]
    sys.modules.pop("late_of_memo")
    assert calls == ["a", "a"]
    assert "late_of_memo.py was changed since the run was planned" in capsys.readouterr().err


def test_classes_of_its_own_code_have_keys(stage_of, batch_of, spec, plain, calls):
    from dataclasses import make_dataclass

    order = make_dataclass("Order", ["id"])
    order.__module__ = __name__
    for code, number in ((frozenset(), 2), (frozenset({str(Path(__file__))}), 3)):
        for _ in range(2):
            stage_of(counting(calls), memo=spec._replace(code=code)).apply(batch_of(order(1)))
        assert len(calls) == number


def counting(calls):
    def counted(record):
        calls.append(record)
        return "same"

    return counted
