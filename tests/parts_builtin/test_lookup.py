import gzip
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from support import needs

from stagerunner import Drop, Reject, RunFailed, UsageError, load, run
from stagerunner.api import Request, prepare
from stagerunner_parts.convert import Type
from stagerunner_parts.lookup import Lookup

VAT = "country,percent,name\nDE,19,Germany\nFR,20,France\n"
ORDER = {"id": 7, "country": "FR"}


@pytest.fixture
def table(write):
    """A lookup in a table with this text, set up."""

    def made(text=VAT, name="vat.csv", **options):
        content = text if isinstance(text, bytes) else text.encode()
        stage = Lookup(**{"path": write(name, content), "key": "country", **options})
        stage.setup()
        return stage

    return made


def test_the_columns_of_the_row_are_added(table):
    assert table().process(ORDER) == {"id": 7, "country": "FR", "percent": "20", "name": "France"}
    assert table(fields=["name"], prefix="land_").process(ORDER) == {**ORDER, "land_name": "France"}
    assert table(on="to.land", fields=["percent"]).process({"to": {"land": "DE"}}) == {
        "to": {"land": "DE"},
        "percent": "19",
    }


@pytest.mark.parametrize("name", ["vat.csv.gz", "vat.CSV", "vat.csv.xz"])
def test_a_table_may_be_compressed(name, table):
    assert table(name=name).process(ORDER)["percent"] == "20"


def test_a_byte_order_mark_quotes_and_empty_lines(table):
    text = '\ufeff\n"country","percent"\r\n\r\n"D\nE","1,9"\r\n'
    assert table(text).process({"country": "D\nE"})["percent"] == "1,9"
    assert table("country\tpercent\nDE\t1,9\n", "vat.tsv").process({"country": "DE"})["percent"] == "1,9"


def test_a_table_of_json_lines(table):
    text = '{"country": "DE", "percent": 19}\n\n{"percent": null, "country": "FR", "euro": [1999, true]}\n'
    stage = table(text, "vat.jsonl")
    assert stage.process(ORDER) == {**ORDER, "percent": None, "euro": [1999, True]}
    assert stage.process({"country": "DE"}) == {"country": "DE", "percent": 19, "euro": None}


def test_types_convert_columns_the_key_too(table):
    stage = table("id,price\n7,1.50\n8,\n", key="id", types={"id": Type("int"), "price": Type("decimal")})
    assert stage.process(ORDER)["price"] == Decimal("1.50")
    assert stage.process({"id": 8})["price"] is None


MISSES = [{"country": "XX"}, {"country": None}]


@pytest.mark.parametrize("record", MISSES)
def test_a_key_that_is_not_there(record, table):
    with pytest.raises(Reject, match=r"vat\.csv has no row in which 'country' is ('XX'|None)"):
        table().process(record)
    with pytest.raises(Drop, match="has no row in which"):
        table(missing="drop").process(record)
    assert table(missing="null", fields=["percent"]).process(record) == {**record, "percent": None}


def test_what_was_not_found_is_counted(tmp_path):
    (tmp_path / "vat.csv").write_text(VAT)
    options = f"path: {tmp_path}/vat.csv, key: country, missing: null"
    results = load(f"version: 1\nstages: [{{use: lookup, with: {{{options}}}}}]\n", engine="inline").run(MISSES)
    assert len(list(results)) == 2
    assert results.summary.stages[0].counters == {"not found": 2}


@pytest.mark.parametrize("missing", ["fail", "null", "drop"])
def test_a_record_that_can_never_be_found_is_refused_whatever_is_missing(missing, table):
    stage = table("id,x\n7,a\n", key="id", missing=missing)
    with pytest.raises(Reject, match=r"'id' is of type int, but the keys are of type str; see the option `types`"):
        stage.process({"id": 7})
    with pytest.raises(Reject, match="the record has no field 'id'"):
        stage.process({"ID": "7"})
    with pytest.raises(Reject, match=r"put `parse` or `json\.parse`"):
        stage.process("text")


def test_keys_are_equal_by_type_and_content(table):
    text = '{"k": 1, "v": "int"}\n{"k": 1.0, "v": "float"}\n{"k": true, "v": "bool"}\n{"k": "1", "v": "text"}\n'
    stage = table(text + '{"k": [1], "v": "list"}\n', "t.jsonl", key="k")
    found = [stage.process({"k": key})["v"] for key in (1, 1.0, True, "1", [1])]
    assert found == ["int", "float", "bool", "text", "list"]


def test_a_field_is_never_overwritten(table):
    with pytest.raises(Reject, match="has a field 'name' already"):
        table().process({"name": "x", **ORDER})


TWICE = VAT + "DE,7,Deutschland\n"


def test_rows_with_the_same_key(table):
    with pytest.raises(ValueError, match=r"vat\.csv, line 4: 'country' is 'DE', as in line 2; `duplicates: first`"):
        table(TWICE)
    assert table(TWICE, duplicates="first").process({"country": "DE"})["percent"] == "19"
    assert table(TWICE, duplicates="last").process({"country": "DE"})["percent"] == "7"


@pytest.mark.parametrize(
    ("name", "text", "options", "why"),
    [
        ("t.csv", VAT, {"key": "land"}, r"line 2: there is no 'land'; there is country, name, percent"),
        ("t.csv", VAT, {"fields": ["percents"]}, r"has no column 'percents'; did you mean 'percent'"),
        ("t.csv", VAT, {"types": {"prcent": Type("int")}}, r"has no column 'prcent'; did you mean 'percent'"),
        ("t.csv", VAT, {"types": {"name": Type("int")}}, r"line 2: field 'name' is not a whole number: 'Germany'"),
        ("t.csv", VAT + '"a\nb",1\n', {}, r"line 4: 2 fields, but there are 3 columns"),
        ("t.csv", VAT + 'DE,"1"x,2\n', {}, r"line 4: this is not CSV"),
        ("t.csv", "country,x,x\n", {}, r"the header has 'x' twice"),
        ("t.csv", "", {}, r"t\.csv has no header"),
        ("t.csv", b"country\n\xff\n", {}, r"t\.csv is not UTF-8"),
        ("t.jsonl", '{"country": "DE"}\n[1]\n', {}, r"line 2: this isn't a JSON object"),
        ("t.jsonl", '{"country": "DE"}\n{"country"', {}, r"line 2: this isn't a JSON object"),
        ("t.jsonl", '{"country": null}', {}, r"line 1: 'country' is null"),
        ("t.xlsx", VAT, {}, r"isn't a table: its name ends in none of \.csv, \.tsv, \.jsonl, \.ndjson"),
    ],
)
def test_what_is_no_table(name, text, options, why, table):
    with pytest.raises(ValueError, match=why):
        table(text, name, **options)


def fill(execute):
    execute("CREATE TABLE vat (country VARCHAR, percent INTEGER)")
    execute("INSERT INTO vat VALUES ('DE', 19), ('FR', 20)")
    execute("CREATE TABLE twice AS SELECT * FROM vat UNION ALL SELECT * FROM vat")


@pytest.fixture(params=["t.db", "t.sqlite", "t.duckdb"])
def database(request, tmp_path):
    """A database file with two tables."""
    path = tmp_path / request.param
    if path.suffix == ".duckdb":
        with needs.module("duckdb", "stagerunner[duckdb]").connect(str(path)) as base:
            fill(base.execute)
    else:
        with closing(sqlite3.connect(path, isolation_level=None)) as base:
            fill(base.execute)
    return path


def test_a_table_or_query_of_a_database(database):
    for chosen in ({"table": "vat"}, {"query": "SELECT country, percent FROM vat"}):
        stage = Lookup(path=database, key="country", **chosen)
        stage.check({})
        stage.setup()
        assert stage.process(ORDER) == {**ORDER, "percent": 20}
    with pytest.raises(ValueError, match=r"line [34]: 'country' is '(DE|FR)', as in line"):
        Lookup(path=database, key="country", table="twice").setup()
    with pytest.raises(ValueError, match=r"has 2 tables: (twice, vat|vat, twice);"):
        Lookup(path=database, key="country").check({})


def test_what_is_found_before_the_run(write, tmp_path):
    with pytest.raises(ValueError, match="`table` and `query` are for database files"):
        Lookup(path=write("vat.csv", VAT.encode()), table="vat", key="country").check({})
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.csv"):
        Lookup(path=tmp_path / "none.csv", key="country").check({})
    with pytest.raises(ValueError, match="isn't a table"):
        Lookup(path=tmp_path / "none.xlsx", key="country").check({})


def test_a_run_is_not_resumed_with_another_table(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("vat.csv", VAT.encode())
    write("orders.jsonl", b'{"country": "FR"}\n{"country": "XX"}\n')
    chain = write(
        "chain.yaml",
        b"""
version: 1
source: orders.jsonl
stages: [{use: lookup, with: {path: vat.csv, key: country}}]
sink: out.jsonl
run: {engine: inline}
""",
    )
    with pytest.raises(RunFailed, match="has no row in which 'country' is 'XX'"):
        run(chain)
    write("vat.csv", b"country,percent,name\nDE,19,Germany\nFR,20,France\nXX,0,Nowhere\n")
    with pytest.raises(UsageError, match=r"stages\.lookup\.identity"):
        prepare(chain, Request(resume=True)).execute()


def test_a_damaged_or_missing_table(table, tmp_path):
    with pytest.raises(OSError, match="can't be decompressed"):
        (tmp_path / "t.csv.gz").write_bytes(gzip.compress(VAT.encode())[:-9])
        Lookup(path=tmp_path / "t.csv.gz", key="country").setup()
    with pytest.raises(FileNotFoundError):
        Lookup(path=tmp_path / "none.csv", key="country").setup()


def test_an_empty_table_has_nothing(table):
    stage = table("country,percent\n", missing="null", fields=["percent"])
    assert stage.process(ORDER) == {**ORDER, "percent": None}


def test_setup_reads_the_table_anew(table, write):
    stage = table()
    write("vat.csv", b"country,percent\nFR,21\n")
    stage.setup()
    assert stage.process(ORDER) == {**ORDER, "percent": "21"}
