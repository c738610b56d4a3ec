from __future__ import annotations

import pytest

from stagerunner.config.nodes import plain, unexpanded
from stagerunner.config.variables import PIECE, Reference, as_written, fill, for_worker, measured, reference, typed


@pytest.fixture
def filled(root):
    """`x:` of a text, filled in."""
    return lambda text, **environment: fill(root(text), environment).root.get("x")


@pytest.fixture
def wrong(root):
    def wrong(text, **environment):
        return [
            f"{m.mark.line}:{m.mark.column} {m.path}: {m.message}" + (f" | {m.fix}" if m.fix else "")
            for m in fill(root(text), environment).mistakes
        ]

    return wrong


def test_variables_are_filled_into_texts(filled):
    assert plain(filled("vars: {day: mon}\nx: logs/${vars.day}-*.gz")) == "logs/mon-*.gz"
    assert plain(filled("x: ['${env:A}/${env:B:-b}', $$5, $, '$${x}']", A="a")) == ["a/b", "$5", "$", "${x}"]


def test_a_variable_alone_takes_the_type_of_its_value(filled):
    for written in ("${vars.n}", "'${vars.n}'", '"${vars.n}"'):
        found = filled(f"vars: {{n: 4}}\nx: {written}")
        assert (found.value, found.text, found.quoted, found.written) == (4, "4", False, "${vars.n}")


def test_quotes_around_the_value_of_a_variable_do_not_matter(filled):
    assert filled("vars: {n: '010'}\nx: ${vars.n}").value == 10
    assert filled("vars: {n: '010'}\nx: ${vars.n}").text == "010"


def test_what_comes_from_the_environment_takes_its_type_but_is_never_null(filled):
    assert filled("x: ${env:N}", N="4").value == 4
    assert filled("x: ${env:N}", N="null").value == "null"
    assert filled("x: ${env:N}", N="").value == ""


def test_within_a_text_all_is_text(filled):
    assert filled("vars: {n: 010}\nx: '${vars.n} times'").text == "010 times"


def test_a_list_or_mapping_takes_the_place_of_the_variable(filled):
    found = filled("vars: {all: [1, {a: 2}]}\nx: ${vars.all}")
    assert plain(found) == [1, {"a": 2}]
    assert (found.mark.line, found.items[0].mark.line) == (2, 1)


def test_keys_are_left_alone(filled):
    assert plain(filled("x: {'${env:A}': 1}", A="a")) == {"${env:A}": 1}


def test_variables_refer_to_variables(filled):
    assert plain(filled("vars: {a: '${vars.b}!', b: '${vars.c}', c: 1}\nx: ${vars.a}")) == "1!"


def test_a_default_is_for_what_is_unset_or_empty(filled):
    text = "vars: {e: '', n: }\nx: ['${vars.e:-1}', '${vars.n:-2}', '${env:E:-3}', '${vars.no:-}']"
    assert plain(filled(text, E="")) == [1, 2, 3, ""]


def test_secrets_are_kept_apart(root):
    text = "vars: {v: '${secret:S}'}\na: ${secret:S}\nb: x-${env:E}\nc: ${vars.v}\nd: ${secret:D:-public}"
    found = fill(root(text), {"S": "hunter2", "E": "east"})
    assert found.secrets == ("hunter2",)
    assert set(found.masked) == {"hunter2", "east"}
    flags = {key: (node.secret, node.masked) for key, node in found.root if key != "vars"}
    assert flags == {"a": (True, True), "b": (False, True), "c": (True, True), "d": (True, True)}


def test_what_was_written_is_kept(root):
    found = fill(root("vars: {n: 1}\na: x${vars.n}\nb: ${env:E}\nc: plain"), {"E": "e"}).root
    assert unexpanded(found) == {"vars": {"n": 1}, "a": "x${vars.n}", "b": "${env:E}", "c": "plain"}


def test_unset_variables_are_reported_at_their_place(wrong):
    assert wrong("vars: {day: 1}\nx: ${vars.dya}") == ["2:4 x: there is no variable 'dya' | did you mean 'day'?"]
    assert wrong("vars: {day: }\nx: [a, 'b${vars.day}']") == [
        "2:8 x[1]: vars.day has no value | give it one: --var day=VALUE"
    ]
    assert wrong("x: {y: '${secret:S}'}") == [
        "1:8 x.y: the environment variable S is not set | set it, or write ${secret:S:-default}"
    ]


def test_a_malformed_variable_is_a_mistake_that_lists_the_forms(wrong):
    (mistake,) = wrong("x: a${foo}")
    assert mistake.startswith("1:4 x: '${foo}' isn't a variable | write ${vars.NAME}, ${env:NAME} or ${secret:NAME}")
    assert "'${open' isn't a variable" in wrong("x: ${open")[0]


@pytest.mark.parametrize("text", ["x: '${worker}'", "vars: {x: 'a${worker}'}", "stages: [{with: {x: '${worker}'}}]"])
def test_the_number_of_a_worker_is_known_in_env_only(wrong, text):
    (mistake,) = wrong(text)
    assert "x: ${worker} is known only in `env` of a stage | write it there" in mistake


def test_the_number_of_a_worker_is_filled_in_when_it_starts(root):
    found = fill(root("stages: [{env: {A: '${worker}', B: 'g${worker}-${env:E}', C: '$${worker}'}}]"), {"E": "e"})
    assert not found.mistakes
    env = plain(found.root)["stages"][0]["env"]
    assert [for_worker(text, 3) for text in env.values()] == ["3", "g3-e", "${worker}"]
    assert [as_written(text) for text in env.values()] == ["${worker}", "g${worker}-e", "${worker}"]


def test_a_circle_is_reported_once(wrong):
    assert wrong("vars: {a: '${vars.b}', b: '${vars.c}', c: '${vars.a}'}\nx: ${vars.a}") == [
        "1:43 vars.c: variables go in a circle: a → b → c → a | give one of them a value"
    ]


def test_a_mistake_in_a_variable_is_reported_there_only(wrong):
    assert len(wrong("vars: {a: '${env:NONE}', b: 'x${vars.a}'}\nx: ['${vars.a}', '${vars.b}']")) == 1


def test_a_list_cannot_stand_inside_a_text(wrong):
    (mistake,) = wrong("vars: {a: [1]}\nx: b${vars.a}")
    assert mistake == "2:4 x: ${vars.a} isn't a single value, so it can't stand inside a text"


def test_a_few_lines_cannot_make_an_endless_config(wrong):
    lists = "".join(f"  v{n + 1}: [{', '.join([f'${{vars.v{n}}}'.join(chr(34) * 2)] * 10)}]\n" for n in range(30))
    texts = "".join(f"  v{n + 1}: {f'${{vars.v{n}}}' * 10}\n" for n in range(30))
    assert "variables make this config too large" in wrong(f"vars:\n  v0: [1, 2, 3]\n{lists}")[0]
    assert "variables make this config too large" in wrong(f"vars:\n  v0: abcdefgh\n{texts}")[0]


def test_nor_an_endlessly_deep_one(wrong):
    deep = "".join(f"  v{n}: {'[' * 30}'${{vars.v{n + 1}}}'{']' * 30}\n" for n in range(300))
    assert all("64 levels deep" in mistake for mistake in wrong(f"vars:\n{deep}  v300: 1\n"))


# References


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${vars.day}", Reference("vars", "day", None)),
        ("${vars.day:-mon}", Reference("vars", "day", "mon")),
        ("${vars.my-day:-}", Reference("vars", "my-day", "")),
        ("${env:HOME}", Reference("env", "HOME", None)),
        ("${secret:KEY:-a:b}", Reference("secret", "KEY", "a:b")),
    ],
)
def test_the_forms_of_a_variable(text, found):
    assert reference(text) == found


@pytest.mark.parametrize(
    "text", ["${foo}", "${env:}", "${env:A B}", "${vars.}", "${vars}", "${}", "${vars.x", "$x", "a${vars.x}"]
)
def test_nothing_else_is_one(text):
    assert reference(text) is None


def test_what_wants_to_be_filled_in():
    assert PIECE.findall("a $$ ${b} $c ${d") == ["$$", "${b}", "${d"]


def test_a_text_takes_its_type_but_is_never_null():
    assert [typed(text) for text in ("4", "1.5", "true", "x", "null", "")] == [4, 1.5, True, "x", "null", ""]
    assert typed("9" * 5000) == "9" * 5000


def test_depth_and_number_of_nodes(root):
    assert measured(root("a")) == (0, 1)
    assert measured(root("{a: [1, 2], b: {}}")) == (2, 5)
