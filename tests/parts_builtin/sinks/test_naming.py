"""Names of files made of a record's fields."""

import random

import pytest

from stagerunner_parts.sinks.naming import LONGEST, check_name, has_field, name_for, pattern_of, plain


def test_fields_take_the_values_of_the_record():
    assert name_for("by {c}/{{{id}}}.txt", {"c": "SE", "id": 1.5}) == "by SE/{1.5}.txt"
    assert has_field("a/{c}.txt")
    assert not has_field("{{c}}")
    assert plain("{c}/{{x}}.txt") == "x/xxx.txt"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("in/{c}/x-{d}.csv.gz", "in/*/*.gz"),
        ("{{a}}[1]/{a.b}/{a}.{b}", "{a}[[]1]/*/*"),
        ("{a}.a-suffix-that-may-be-cut", "*"),
    ],
)
def test_a_pattern_of_all_names(name, pattern):
    assert pattern_of(name) == pattern


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("..", "_.."),
        (".", "_."),
        ("", "_"),
        (".written", "_.written"),
        ("/a\\b\n\0", "_a_b__"),
        ("Göteborg, 1 %", "Göteborg, 1 %"),
        (True, "true"),
    ],
)
def test_a_value_leads_nowhere(value, name):
    assert name_for("{v}/{v}", {"v": value}) == f"{name}/{name}"


def test_long_values_are_cut_and_stay_different():
    names = {name_for("{v}.json", {"v": "ä" * 300 + end}) for end in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= LONGEST and name.endswith(".json") for name in names)


@pytest.mark.parametrize("seed", range(30))
def test_no_value_whatever_leads_out_of_the_folder(seed):
    chance = random.Random(seed)
    for _ in range(20):
        value = "".join(chance.choices("./\\a\0\n~ {}ä", k=chance.randint(0, 9)))
        parts = name_for("{v}/{v}1", {"v": value}).split("/")
        assert len(parts) == 2
        assert not any(part.startswith(".") or "\0" in part or "\\" in part or not part for part in parts)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("all.txt", "the name needs a field"),
        ("{{id}}", "the name needs a field"),
        ("{id", "a brace is alone"),
        ("{a/b}", "a brace is alone"),
        ("../{id}", "is not a name below the folder"),
        ("/tmp/{id}", "is not a name below the folder"),
        ("a//{id}", "is not a name below the folder"),
        (".{id}", "is not a name below the folder"),
    ],
)
def test_a_name_that_cannot_be(name, why):
    with pytest.raises(ValueError, match=why):
        check_name(name)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("text", "needs a mapping"),
        ({"text": "x"}, "has no field 'id'"),
        ({"id": None}, "is null, so the file has no name"),
    ],
)
def test_a_record_without_a_name_is_refused(record, why):
    with pytest.raises(ValueError, match=why):
        name_for("{id}", record)
