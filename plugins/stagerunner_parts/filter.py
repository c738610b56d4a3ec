"""The stage `filter`."""

from __future__ import annotations

from typing import Any

from stagerunner import Expression, stage


@stage("filter", pure=True)
def keep(record: Any, *, where: Expression) -> Any | None:
    """Keep the records for which an expression is true.

    An expression may have comparisons, and or not, in, is None, x if y else z, + - * / // %, value[key] and the
    functions len lower upper int float str startswith endswith contains matches. A name is a field, and `record` is the
    whole record. A record that lacks a field which is evaluated is refused.

    where: an expression over the record's fields, such as `status >= 500 and not startswith(path, "/api")`.
    """
    return record if where(record) else None
