"""Files that come with packages the tests need anyway, read as Python's own readers read them."""

import csv
import json
from importlib.metadata import PackageNotFoundError, files
from io import StringIO
from pathlib import Path

import pytest

from stagerunner_parts.sources.csv import Csv
from stagerunner_parts.sources.json import Json


def shipped(package, suffix):
    """The files of an installed package that have this suffix."""
    try:
        return sorted(Path(file.locate()) for file in files(package) or () if file.name.endswith(suffix))
    except PackageNotFoundError:
        return []


TABLES = shipped("numpy", ".csv")
DOCUMENTS = [path for package in ("ruff", "hypothesis", "import-linter", "mypy") for path in shipped(package, ".json")]


@pytest.mark.skipif(not TABLES, reason="this numpy comes without tables")
@pytest.mark.parametrize("size", [5000, 10**6])
def test_tables_with_remarks_in_them(items, size):
    for path in TABLES:
        text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#"))
        rows = list(csv.DictReader(StringIO(text)))
        assert rows
        assert items(Csv(path=path, delimiter="sniff", quote="sniff", comment="#"), size) == rows


@pytest.mark.skipif(not DOCUMENTS, reason="no package that is installed comes with JSON documents")
@pytest.mark.parametrize("size", [100, 10**6])
def test_documents_and_the_arrays_in_them(items, size):
    for path in DOCUMENTS:
        document = json.loads(path.read_text())
        assert items(Json(path=path), size) == (document if isinstance(document, list) else [document])
        for key, value in document.items() if isinstance(document, dict) else ():
            if isinstance(value, list):
                assert items(Json(path=path, at=[key]), size) == value
