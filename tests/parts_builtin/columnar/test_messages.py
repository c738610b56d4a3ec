"""Rows are counted by the metadata of an Arrow file alone."""

import random

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner_parts.columnar.messages import numbers_of_rows

NUMBERS = [3, 0, 70_000, 1, 1, 500]
KINDS = pa.array(["a", "b"])
BATCHES = [
    pa.record_batch(
        [
            pa.array([f"text {n}" for n in range(number)], pa.string()),
            pa.DictionaryArray.from_arrays(pa.array([0] * number, pa.int8()), KINDS),
        ],
        names=["text", "kind"],
    )
    for number in NUMBERS
]


def file_of(batches, **options):
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, BATCHES[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return out.getvalue().to_pybytes()


def counted(data):
    """The numbers of rows, and the ranges that were read for them."""
    seen = []

    def parts(ranges):
        for start, stop in ranges:
            seen.append((start, stop))
            yield data[start:stop]

    return numbers_of_rows(len(data), parts), seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd"},
        {"metadata_version": pa.ipc.MetadataVersion.V4, "use_legacy_format": True},
    ],
)
def test_each_batch_is_counted(options):
    assert counted(file_of(BATCHES, **options))[0] == NUMBERS
    assert counted(file_of([], **options))[0] == []


def test_only_metadata_is_read_and_what_is_near_at_once():
    data = file_of(BATCHES)
    seen = counted(data)[1]
    assert sum(stop - start for start, stop in seen) < 10_000 < len(data)
    assert len(seen) == 2 + 2  # the footer and its length; behind the large batch reading begins again


def test_damaged_metadata_is_told_or_gives_numbers():
    data = file_of(BATCHES)
    footer = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    told = 0
    for seed in range(300):
        pick = random.Random(seed)
        at = pick.choice([pick.randrange(400, 900), pick.randrange(footer, len(data) - 10)])
        try:
            found = counted(data[:at] + pick.randbytes(4) + data[at + 4 :])[0]
        except pa.ArrowInvalid:
            told += 1
        else:
            assert all(type(number) is int for number in found)
    assert told > 30
