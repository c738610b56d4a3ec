import pickle

import pytest

from stagerunner import Expression, Reject

RECORD = {"status": 503, "path": "/api/x", "user": {"name": "amy"}, "size": None, "tags": ["a", "b"], "a-b": 1}


@pytest.mark.parametrize(
    "text",
    [
        "status >= 500",
        "400 <= status < 600",
        'startswith(path, "/api") and not endswith(path, ".js")',
        "status in [500, 503]",
        "status not in (200, status + 1)",
        "size is None and status is not None",
        'user["name"] == "amy"',
        'tags[0] == "a" and tags[-1] == "b"',
        'record["a-b"] == 1',
        'contains(tags, "b") or nothing_there',
        r'matches(path, "^/\w+/x$")',
        "len(path) == 6",
        'int("5") + float("1.5") * 2 == 8 and str(status) == "503"',
        'upper(lower("Ab")) == "AB"',
        'strip(" a ") == "a" and round(2.675 * 10, 1) == 26.8',
        "7 // 2 == 3 and 7 % 4 == 3 and 7 / 2 == 3.5 and 3 - 1 == 2",
        "not (status == 200)",
        '(len(size) if size is not None else "none") == "none"',
        "(status if status else nothing_there) == 503",
        '"tags" in record',
        "True",
    ],
)
def test_what_is_true(text):
    assert Expression.parse(text)(RECORD)


@pytest.mark.parametrize("text", ["status < 500", "200 <= status < 500", "size is not None", "0", "None", "not status"])
def test_what_is_false(text):
    assert not Expression.parse(text)(RECORD)


@pytest.mark.parametrize(("text", "name"), [("stat > 1", "stat"), ('user["age"] > 1', "age"), ("tags[5] == 1", "5")])
def test_a_missing_field_refuses_the_record(text, name):
    with pytest.raises(Reject, match=name):
        Expression(text)(RECORD)


def test_a_record_without_fields():
    assert Expression('record == "x" and len(record) == 1')("x")
    with pytest.raises(Reject, match="no field 'a': it is of type str, not a mapping"):
        Expression("a")("x")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it can't be read"),
        ("a = 1", "write `==` for ="),
        ("hello big world", 'a text needs quotes of its own: "hello big world"'),
        ("a && b", "write `and` for &&"),
        ("import os", "it can't be read"),
        ("a.b", r"for a field inside a field write a\['b'\]"),
        ("__import__('os')", r"there is no __import__\(\); there are len"),
        ("a.strip()", r"there is no a.strip\(\); write strip\(…\)"),
        ("a.title()", r"there is no a.title\(\); there are len"),
        ("len(a, b)", r"len\(\) takes 1 value$"),
        ("contains(a)", r"contains\(\) takes 2 values"),
        ("contains(*a, 1)", "is not allowed"),
        ("len(obj=1)", "takes 1 value"),
        ("a ** 2", "is not allowed"),
        ("a is 5", "`is` can only compare with None"),
        ("lambda: 1", "is not allowed"),
        ("[x for x in a]", "is not allowed"),
        ("a if b", "it can't be read"),
        ("true", r"write True for true; a field of that name is record\['true'\]"),
        ("size is null", "`is` can only compare with None"),
        ("a[::2]", "has a step, and only a start and an end are allowed"),
        ("a => 2", "write `>=` for =>"),
        ('f"{a}"', "is not allowed"),
        ("b'x'", "is not allowed"),
        ("(a := 1)", "is not allowed"),
        ("+a", "is not allowed"),
        ("{}", "is not allowed"),
        ('matches(a, "(")', "not a regular expression"),
        ("not " * 100_000 + "a", "it can't be read|nested too deeply"),
        ("(" * 1000 + "a" + ")" * 1000, "it can't be read|nested too deeply"),
        ("a\0", "a null character"),
    ],
)
def test_what_is_no_expression(text, why):
    with pytest.raises(ValueError, match=why):
        Expression.parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("at[:10]", "2026-11-09"), ("at[11:]", "07:30"), ("at[-len(key):]", ":30"), ("items[1:3]", [2, 3])],
)
def test_a_piece_of_a_text_or_list(text, value):
    record = {"at": "2026-11-09 07:30", "key": "abc", "items": [1, 2, 3, 4]}
    assert Expression(text)(record) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("price * vat", "`*` takes no such values: price is 2.5 and vat is '19'; write float(vat)"),
        ("price + note", "`+` takes no such values: price is 2.5 and note is None"),
        ("vat > 5", "`>` takes no such values: vat is '19'; write float(vat)"),
        ("price not in note", "`not in` takes no such values: price is 2.5 and note is None"),
        ("1 < vat", "`<` takes no such values: vat is '19'; write float(vat)"),
        ("price[:2]", "only a text or list has pieces, and price is 2.5"),
    ],
)
def test_values_that_an_operation_does_not_take_are_shown(text, why):
    with pytest.raises(TypeError) as raised:
        Expression(text)({"price": 2.5, "vat": "19", "note": None})
    assert str(raised.value) == why


def test_an_expression_can_travel():
    assert pickle.loads(pickle.dumps(Expression("status == 503")))(RECORD)
