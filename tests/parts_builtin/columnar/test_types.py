import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner_parts.columnar.types import ColumnType


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int64", pa.int64()),
        (" float32 ", pa.float32()),
        ("timestamp[us]", pa.timestamp("us")),
        ("timestamp[ms, UTC]", pa.timestamp("ms", "UTC")),
        ("timestamp[s, tz=Europe/Oslo]", pa.timestamp("s", "Europe/Oslo")),
        ("decimal(10, 2)", pa.decimal128(10, 2)),
        ("decimal256(50,2)", pa.decimal256(50, 2)),
        ("list<list<string>>", pa.list_(pa.list_(pa.string()))),
        ("dictionary<string>", pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_a_type_as_text(text, kind):
    assert ColumnType(text).type == kind


@pytest.mark.parametrize("text", ["int63", "decimal(1)", "list<x>", "timestamp[h, UTC]", "decimal(99, 2)", ""])
def test_what_is_no_type(text):
    with pytest.raises(ValueError, match="isn't a type"):
        ColumnType(text)
