"""The stage `expect`: rules that records have to keep, each of them or a share of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from stagerunner import Expression, Reject, TextOption, count, stage


class Share(TextOption):
    """A percentage: `99 %`, `99.5%`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", text)
        if found is None:
            raise ValueError(f"{text!r:.60} is not a percentage, such as 99 %")
        self.value = Fraction(found[1]) / 100
        if self.value > 1:
            raise ValueError(f"{text!r:.60} is more than 100 %")

    def __str__(self) -> str:
        return f"{100 * float(self.value):.15g} %"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a record has to keep; with `at_least`, so many of all."""

    rule: Expression
    at_least: Share | None = None
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.name or self.rule.text:.100}"

    def broken_by(self, record: Any) -> str | None:
        """How the record breaks the rule; None if it keeps it. What can't be evaluated is broken."""
        try:
            return None if self.rule(record) else f"it is expected that {self}"
        except Exception as error:
            why = str(error) if isinstance(error, Reject) else f"{type(error).__name__}: {error}"
            return f"it is expected that {self}: {why}"


@stage("expect", pure=True)
class Expect:
    """Check that rules hold, for each record or for a share of them.

    A record that breaks a rule without `at_least` is refused, with all such rules in one message. A rule with
    `at_least` lets all records pass, and counts those that break it. If too few records have kept it by the end of the
    source, the stage fails; with `0 %` it only counts. A rule that can't be evaluated counts as broken. Refused records
    don't count towards a share.

    rules: a list of mappings of `rule` (an expression as in `filter`), at_least (such as 99 %), and name.
    """

    def __init__(self, *, rules: list[Rule]) -> None:
        self.rules = rules
        self._strict = [rule for rule in rules if rule.at_least is None]
        self._shares = [rule for rule in rules if rule.at_least is not None]
        self._passed = 0
        self._broken = [0] * len(self._shares)

    def process(self, record: Any) -> Any:
        broken = [why for rule in self._strict if (why := rule.broken_by(record)) is not None]
        if broken:
            raise Reject("; ".join(broken))
        for index, rule in enumerate(self._shares):
            if rule.broken_by(record) is not None:
                self._broken[index] += 1
                count(f"not: {rule}")
        self._passed += 1
        return record

    def flush(self) -> tuple[()]:
        missed = list(self._missed())
        if missed:
            raise Reject("; ".join(missed))
        return ()

    def _missed(self) -> Iterator[str]:
        for rule, broken in zip(self._shares, self._broken, strict=True):
            assert rule.at_least is not None
            kept = self._passed - broken
            if kept < rule.at_least.value * self._passed:
                least = f"at least {rule.at_least} of {self._passed:,} records"
                yield f"it is expected of {least} that {rule}: {kept:,} do"

    def snapshot(self) -> list[Any]:
        return [self._passed, self._broken]

    def restore(self, data: list[Any]) -> None:
        self._passed, self._broken = data[0], list(data[1])
