"""Stages that choose and name fields."""

from __future__ import annotations

from typing import Any

from stagerunner import Reject, missing_field, stage
from stagerunner_parts.values import must_be_mapping


@stage(pure=True)
def select(record: dict[str, Any], *, fields: list[str]) -> dict[str, Any]:
    """Keep only these fields, in this order.

    A record that lacks one of them is refused.

    fields: the names of the fields.
    """
    try:
        return {name: record[name] for name in fields}
    except KeyError as error:
        raise missing_field(record, error.args[0]) from None
    except TypeError:
        must_be_mapping(record)
        raise


@stage(pure=True)
def drop(record: dict[str, Any], *, fields: list[str]) -> dict[str, Any]:
    """Leave out these fields.

    fields: the names of the fields; those that a record lacks are ignored.
    """
    try:
        return {name: value for name, value in record.items() if name not in fields}
    except AttributeError:
        must_be_mapping(record)
        raise


@stage(pure=True)
def rename(record: dict[str, Any], *, fields: dict[str, str]) -> dict[str, Any]:
    """Give fields other names.

    A record is refused if it lacks one of the fields, or if two fields would have the same name.

    fields: the new name for each old one.
    """
    must_be_mapping(record)
    for name in fields:
        if name not in record:
            raise missing_field(record, name)
    renamed = {fields.get(name, name): value for name, value in record.items()}
    if len(renamed) != len(record):
        raise Reject("renaming would give two fields the same name")
    return renamed
