from pathlib import Path

import pytest
from support.compressed import compressed

from stagerunner import Want


@pytest.fixture
def write(tmp_path):
    """Writes a file below the test's folder, compressed as its name says, and gives its path."""

    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compressed(path.suffix, content))
        return path

    return written


@pytest.fixture
def items():
    """All that a source reads after a position, with splits of this size; each item exactly once, in order."""

    def read(source, size: int = 262144, after=None) -> list:
        return [item for split in source.splits(after, Want(size, size)) for item in source.read(split)]

    return read


@pytest.fixture
def fed():
    """All that a source reads of standard input that comes in bits of this many bytes."""

    def read(source, content: bytes, size: int) -> list:
        bits = [content[at : at + size] for at in range(0, len(content), size)]
        splits = [split for bit in bits for split in source.feed(bit)] + source.feed_end()
        return [item for split in splits for item in source.read(split)]

    return read
