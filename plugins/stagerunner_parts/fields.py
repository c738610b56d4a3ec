"""Stages that choose and name fields."""

from __future__ import annotations

from typing import Any

from stagerunner import Reject, stage
from stagerunner_parts.values import missing, must_be_mapping


@stage(pure=True)
def select(record: dict[str, Any], *, fields: list[str]) -> dict[str, Any]:
    """Keep only these fields, in this order.

    A record that lacks one of them is refused.

    fields: their names.
    """
    try:
        return {name: record[name] for name in fields}
    except KeyError as error:
        raise missing(record, error.args[0]) from None
    except TypeError:
        must_be_mapping(record)
        raise


@stage(pure=True)
def drop(record: dict[str, Any], *, fields: list[str]) -> dict[str, Any]:
    """Leave out these fields.

    fields: their names; one that a record lacks is passed over.
    """
    try:
        return {name: value for name, value in record.items() if name not in fields}
    except AttributeError:
        must_be_mapping(record)
        raise


@stage(pure=True)
def rename(record: dict[str, Any], *, fields: dict[str, str]) -> dict[str, Any]:
    """Give fields other names.

    A record that lacks one of them, or would have two fields of one name, is refused.

    fields: old name to new name.
    """
    must_be_mapping(record)
    for name in fields:
        if name not in record:
            raise missing(record, name)
    renamed = {fields.get(name, name): value for name, value in record.items()}
    if len(renamed) != len(record):
        raise Reject("renaming would give the record two fields of one name")
    return renamed
