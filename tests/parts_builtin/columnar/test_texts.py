"""CSV that is read as batches gives what is read record by record, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import Malformed, Want
from stagerunner_parts.sources.csv import Csv

TEXT = st.text(st.sampled_from('ab",;\r\n \t0é\0'), max_size=40)


def splits_of(path, records=1000, **options):
    source = Csv(path=path, **options)
    source.check()
    return source, list(source.splits(None, Want(size=64, records=records)))


def same(path, **options):
    """For each split whether it was read as a batch. Then it has the same records."""
    source, splits = splits_of(path, **options)
    found = []
    for split in splits:
        rows, records = source.rows(split), list(source.read(split))
        found.append(rows is not None)
        assert rows is None or rows.to_list() == records
        assert rows is not None or not records or any(type(record) is Malformed for record in records)
    return found


@settings(max_examples=150, derandomize=True, deadline=None)
@given(body=TEXT, quote=st.sampled_from(['"', None]), lenient=st.booleans())
def test_any_file_gives_the_same(body, quote, lenient, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"x,y\n" + body.encode())
    same(path, quote=quote, **({"extras": "ignore", "missing": "fill"} if lenient else {}))


@pytest.mark.parametrize(
    "body",
    [
        b"1,2\n3,4\n",
        b"1,2\r\n3,4\r\n",
        b'"a,b","c""d"\n"two\nlines",x',
        b"\n\n1,2\n\n3,4",
        "é,ü\n".encode(),
        b",\n NULL,NA\n",
    ],
)
def test_well_formed_files_are_read_as_batches(body, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbfx,y\n" + body)
    assert all(same(tmp_path / "in.csv"))


FIELD = st.sampled_from(["", "a", '"a"', '""', '"a,b"', '"a""b"', '"a\nb"', 'a"b', '"a"b', '"', '""a', "é"])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(rows=st.lists(st.tuples(FIELD, FIELD), max_size=5), end=st.sampled_from(["", "\n"]))
def test_quotes_mean_the_same(rows, end, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "quoted.csv"
    path.write_text("x,y\n" + "\n".join(map(",".join, rows)) + end)
    same(path)


@pytest.mark.parametrize("body", [b"1\n", b"1,2,3\n", b'"a"b,c\n', b"\xff,1\n", b'"open,1\n', b"a\rb,c\n"])
def test_a_malformed_row_is_left_to_the_row_reader(body, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"x,y\n1,2\n" + body)
    assert not all(same(tmp_path / "in.csv"))
