"""The sink `null`."""

from __future__ import annotations

from typing import Any

from stagerunner import sink


@sink("null")
class Null:
    """Throw every record away."""

    pure = True

    keeps = "nothing"

    def check(self) -> None:
        """Nothing can be wrong."""

    def encode(self, records: list[Any]) -> bytes:
        return b""

    def open(self, position: Any) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def position(self) -> Any:
        return None

    def commit(self, row: Any) -> None:
        pass

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def target(self) -> None:
        return None

    def describe(self) -> str:
        return "nowhere"
