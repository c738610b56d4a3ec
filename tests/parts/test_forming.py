from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import pytest

from stagerunner.parts.forming import form_of
from stagerunner.parts.stage import Form, stage


def plain(record: int) -> int:
    return record


def many(record):
    yield record


def iterates(record) -> Iterator[int]:
    return iter([record])


def may_drop(record) -> int | None:
    return record


def may_drop_of_old(record) -> Optional[int]:  # noqa: UP045
    return record


def drops_all(record) -> None:
    pass


def anything(record) -> Any:
    return record


def hinted_at_nothing(record) -> NoSuchName | None:  # noqa: F821
    return record


async def awaited(record):
    return record


@stage.batch
def lists(records):
    return records


@stage.batch
def lists_with_gaps(records) -> list[int | None]:
    return records


@stage.batch(many=True)
def lists_of_lists(records) -> list[list[int]]:
    return [records]


@stage.batch
def yields_in_turn(records):
    yield from records


@stage(state=True)
def remembers(record):
    return record


class ByRecord:
    def process(self, record):
        return record


class ByBatch:
    def process_batch(self, records):
        return records


@stage.batch(many=True)
class ManyByBatch(ByBatch): ...


class Flushing(ByRecord):
    def flush(self):
        return []


class Saving(ByRecord):
    def snapshot(self):
        return 1

    def restore(self, data):
        pass


class Awaiting:
    async def process(self, record):
        return record


FORMS = [
    (plain, Form()),
    (many, Form(many=True)),
    (iterates, Form(many=True)),
    (may_drop, Form(drops=True)),
    (may_drop_of_old, Form(drops=True)),
    (drops_all, Form(drops=True)),
    (anything, Form()),
    (hinted_at_nothing, Form(drops=True)),
    (awaited, Form(awaited=True)),
    (lists, Form(batch=True)),
    (lists_with_gaps, Form(batch=True, drops=True)),
    (lists_of_lists, Form(batch=True, many=True)),
    (yields_in_turn, Form(batch=True)),
    (remembers, Form(state=True)),
    (ByRecord, Form(built=True)),
    (ByBatch, Form(built=True, batch=True)),
    (ManyByBatch, Form(built=True, batch=True, many=True)),
    (Flushing, Form(built=True, state=True, flushes=True)),
    (Saving, Form(built=True, state=True, snapshots=True)),
    (Awaiting, Form(built=True, awaited=True)),
    (len, Form()),
]


@pytest.mark.parametrize(("found", "form"), FORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_form_is_read_off_the_transform(found, form):
    assert form_of(found) == form


def test_what_is_neither_function_nor_class_is_no_stage():
    with pytest.raises(TypeError, match="neither a function nor a class"):
        form_of("text")


@pytest.mark.parametrize("methods", [{}, {"process": plain, "process_batch": plain}])
def test_a_class_has_exactly_one_way_to_process(methods):
    with pytest.raises(TypeError, match="one of the methods process and process_batch"):
        form_of(type("Odd", (), methods))


@pytest.mark.parametrize("method", ["snapshot", "restore"])
def test_a_snapshot_is_no_use_without_its_restore(method):
    with pytest.raises(TypeError, match="only one of the methods"):
        form_of(type("Odd", (), {"process": plain, method: plain}))


def two(record, other):
    return record


def none():
    return 1


def by_default(record, times=2, *more, other=3):
    return record


class Two:
    def process(self, record, other):
        return record


class Static:
    @staticmethod
    def process(record):
        return record


@pytest.mark.parametrize(("found", "why"), [(two, "needs record and other"), (none, "no record"), (Two, "and other")])
def test_what_can_not_be_called_with_a_record_alone_is_no_stage(found, why):
    with pytest.raises(TypeError, match=why):
        form_of(found)


@pytest.mark.parametrize("found", [by_default, Static, print, str.upper, lambda *records: records])
def test_what_can_be_called_with_a_record_is_a_stage(found):
    form_of(found)
