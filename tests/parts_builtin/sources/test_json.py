import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from stagerunner import Malformed, Want
from stagerunner_parts.sources.json import Json

MALFORMED = "JSONDecodeError"


def test_an_element_a_record(write, items):
    content = b'[\n  {"a": 1},\n  [2, "x"],\n  "\xc3\xa4,]",\n  4.5, true\n]\n'
    assert items(Json(path=write("a.json", content))) == [{"a": 1}, [2, "x"], "ä,]", 4.5, True]


@pytest.mark.parametrize("content", [b'{"a": [1, 2]}', b" 12", b'"x, y"\n', b"\xef\xbb\xbf true"])
def test_any_other_document_is_one_record(write, items, content):
    assert items(Json(path=write("a.json", content)), 1) == [json.loads(content.decode("utf-8-sig"))]


@pytest.mark.parametrize("content", [b"[]", b" [ \n ] "])
def test_an_array_without_elements_has_no_records(write, items, content):
    assert items(Json(path=write("a.json", content))) == []


def test_the_array_may_be_within_the_document(write, items, fed):
    content = b'{"meta": {"items": 3}, "data": {"items": [1, 2], "next": null, "pages": [[7], [8, 9]]}}'
    path = write("a.json", content)
    assert items(Json(path=path, at="data.items")) == [1, 2]
    assert items(Json(path=path, at="data.pages.1")) == [8, 9]
    assert items(Json(path=path, at=["meta"])) == [{"items": 3}]
    assert fed(Json(path=Path("-"), at="data.items"), content, 3) == [1, 2]


def test_elements_that_are_malformed_cost_themselves_only(write, items):
    content = b'[1, {"a": ], nul, null, "\xff", {"a" 2}, , "ok", 2 3,]'
    found = items(Json(path=write("a.json", content)))
    assert [item for item in found if not isinstance(item, Malformed)] == [1, "ok"]
    wrong = [item for item in found if isinstance(item, Malformed)]
    assert [item.type for item in wrong] == [
        *(MALFORMED, MALFORMED, MALFORMED, "UnicodeDecodeError", MALFORMED, MALFORMED, MALFORMED, MALFORMED)
    ]
    assert [item.record for item in wrong][:3] == ['{"a": ]', "nul", "null"]
    assert wrong[0].message.startswith("the element is not JSON: ")
    assert wrong[2].message == "null can't be a record"
    assert wrong[-1].message == "an element is missing before the comma or bracket"


def test_a_document_that_is_malformed_inside_is_one_failure(write, items):
    (found,) = items(Json(path=write("a.json", b'{"a": nul}')))
    assert found.message.startswith("the value is not JSON: ")


def test_an_element_is_located_behind_the_white_space_before_it(write):
    source = Json(path=write("a.json", b'[\n  {"a": 1},\n\n  2,\n  ]\n'))
    (split,) = source.splits(None, Want())
    assert len(list(source.read(split))) == 3
    assert [(where.offset, where.line) for where in (source.locate(split, number) for number in range(3))] == [
        *((4, 2), (17, 4), (22, 5))
    ]


def test_a_file_that_ends_too_early_is_an_error_and_what_was_there_comes_first(write):
    source = Json(path=write("a.json", b"[1, 2, 3"))
    source.check()
    splits = source.splits(None, Want())
    assert list(source.read(next(splits))) == [1, 2]
    with pytest.raises(ValueError, match=r"a\.json ends in the middle of its JSON, at byte 8"):
        list(splits)


@pytest.mark.parametrize(
    ("content", "at", "why"),
    [
        (b"", "", "a.json is empty"),
        (b'{"b": 1}', "a", "a.json has no 'a': it has b"),
        (b'{"a": 1}\n{"a": 2}\n', "", "byte 9: here something follows the document; for a JSON value on each line"),
        (b"a,b\n1,2\n", "", "byte 1: here something follows the document"),
    ],
)
def test_what_is_wrong_at_the_beginning_is_noticed_before_the_run(write, content, at, why):
    with pytest.raises(ValueError, match=why):
        Json(path=write("a.json", content), at=at).check()


def test_several_files_have_the_same_way_to_their_records(write, items):
    paths = [write("a.json", b'{"r": [1]}'), write("b.json.gz", b'{"x": 0, "r": [2, 3]}')]
    assert items(Json(path=paths, at="r"), 1) == [1, 2, 3]


def random_value(chance, depth=0):
    kind = chance.randint(1, 8 if depth < 4 else 5)
    if kind > 6:
        return {chance.choice('a"\\[,é'): random_value(chance, depth + 1) for _ in range(chance.randint(0, 4))}
    if kind == 6:
        return [random_value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    text = "".join(chance.choices('ab"\\[]{},:\n\té\u2028😀', k=chance.randint(0, 20)))
    return [None, False, chance.random(), chance.randint(-(10**18), 10**18), text, "x" * chance.randint(0, 300)][kind]


@pytest.mark.parametrize("seed", range(25))
def test_random_documents_are_read_as_pythons_own_reader_reads_them(write, items, fed, seed):
    chance = random.Random(seed)
    keys = chance.choices(["a", 'q"', "é", "[", "7"], k=chance.randint(0, 3))
    records = [random_value(chance) for _ in range(chance.randint(0, 40))]
    document = records
    for key in reversed(keys):
        document = {"before": random_value(chance), key: document, "after": [random_value(chance)]}
    text = json.dumps(document, indent=chance.choice([None, 2]), ensure_ascii=chance.random() < 0.5)
    content = text.encode()
    path = write("a.json", content)
    source = Json(path=path, at=keys)
    source.check()
    for size in (1, chance.randint(2, 500), 10**6):
        assert items(source, size) == records
        assert fed(Json(path=Path("-"), at=keys), content, size) == records
    splits, read = [split for split in source.splits(None, Want(40)) if split.most], 0
    for split in chance.sample(splits, min(3, len(splits))):
        read = sum(len(list(source.read(one))) for one in splits[: splits.index(split) + 1])
        assert items(source, 33, json.loads(json.dumps(split.position))) == records[read:]


LARGE = """
import resource, sys
from pathlib import Path
from stagerunner import Malformed, Want
from stagerunner_parts.sources.json import Json
source = Json(path=Path(sys.argv[1]), at="items")
source.max_record = 2**20
source.check()
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
records = longest = empty = 0
for split in source.splits(None, Want()):
    empty += not split.most
    for item in source.read(split) if split.most else ():
        records += 1
        longest += isinstance(item, Malformed) and item.type == "TooLarge"
assert (records, longest) == (300_001, 1), (records, longest)
assert empty > 40, empty
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss is in other units")
def test_neither_a_large_array_nor_what_stands_before_it_nor_a_long_element_is_held(tmp_path):
    """150 MB before the array are passed over, and control goes back to the parent's loop in between."""
    path = tmp_path / "a.json"
    with open(path, "wb") as file:
        file.write(b'{"before": ["' + b"x" * 50 * 2**20 + b'"], "items": [')
        for _ in range(300):
            file.write(b'{"id": 1, "tags": ["a", "b"], "text": "some, text"},\n' * 1000)
        file.write(b'"' + b"y" * 30 * 2**20 + b'"]}')
    done = subprocess.run([sys.executable, "-c", LARGE, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16
