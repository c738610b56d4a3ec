"""The stage `set`."""

from __future__ import annotations

from typing import Any

from stagerunner import Expression, Reject, stage
from stagerunner_parts.values import must_be_mapping, unshared, with_field, without_field


@stage("set", pure=True)
def set_fields(
    record: dict[str, Any], *, fields: dict[str, Expression], drop: list[str] | None = None
) -> dict[str, Any]:
    """Set fields to values computed from others.

    The fields are set one after the other, so an expression sees the values set before it. An existing field keeps its
    place, a new one comes last. `a.b` is field b of field a, which is made if it is missing. Expressions are
    those of `filter`. If one can't be evaluated, the record is refused, with the field and the expression.

    fields: for each field an expression, such as `price * quantity`, `str(id)`, or `"new"` in quotes for a text.
    drop: fields to leave out at the end; those that a record lacks are ignored.
    """
    must_be_mapping(record)
    made = dict(record)
    for name, expression in fields.items():
        made = with_field(made, name, computed(made, name, expression))
    for name in drop or ():
        made = dict(without_field(made, name))
    return made


def computed(record: Any, name: str, expression: Expression) -> Any:
    """What the expression comes to. Raises Reject, naming the field that it is for, if it comes to nothing."""
    try:
        return unshared(expression(record))
    except Exception as error:
        why = str(error) if isinstance(error, Reject) else f"{type(error).__name__}: {error}"
        raise Reject(f"field {name!r} can't be computed as {expression.text:.100}: {why}") from error
