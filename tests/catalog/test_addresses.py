from __future__ import annotations

import pytest

from stagerunner.catalog import Unresolved
from stagerunner.catalog.addresses import at_address, is_address
from stagerunner.parts.forming import form_of

STAGES = """
    from stagerunner import stage, source

    def plain(text): "Leave it. Really."; return text

    @stage.batch(name="loud")
    def shout(texts): return texts

    @source
    def numbers(): yield 1

    class Kept:
        def process(self, record): return record

    nameless = lambda text: text
    limit = 3
"""


@pytest.fixture
def stages(write, tmp_path):
    write("parts/my.py", STAGES)
    return tmp_path


@pytest.mark.parametrize("text", ["./a.py:f", "/abs/a b.py:f", "../x.py:C.method", "pkg.module:name", "json:loads"])
def test_addresses(text):
    assert is_address(text)


@pytest.mark.parametrize("text", ["shout", "./a.py", "a.py:", "s3://b/x.csv", "logs/a:b", "a.py:1x", "12:30"])
def test_no_addresses(text):
    assert not is_address(text)


def test_an_undecorated_function_becomes_a_part(stages):
    resolved = at_address("stage", "./parts/my.py:plain", stages)
    assert resolved.part.name == "plain"
    assert resolved.part.target == f"{resolved.found.__module__}:plain"
    assert resolved.found("a") == "a"


def test_an_absolute_path_needs_no_base(stages, tmp_path):
    assert at_address("stage", f"{stages}/parts/my.py:Kept", tmp_path / "other").part.name == "kept"


def test_a_decorated_function_keeps_its_name_and_form(stages):
    resolved = at_address("stage", "parts/my.py:shout", stages)
    assert resolved.part.name == "loud"
    assert form_of(resolved.found).batch


def test_a_lambda_that_has_a_name_in_its_module_can_be_imported(stages):
    resolved = at_address("stage", "parts/my.py:nameless", stages)
    assert resolved.part.target.endswith(":nameless")


def test_any_importable_function_will_do(tmp_path):
    assert at_address("stage", "json:loads", tmp_path).found('"a"') == "a"


@pytest.mark.parametrize(
    ("address", "code", "message", "fix"),
    [
        ("parts/my.py:plan", "no-attribute", "has no 'plan'", "did you mean 'plain'?"),
        ("parts/me.py:plain", "no-file", "there is no file", "did you mean 'my.py'?"),
        ("parts/my.py:limit", "not-callable", "'limit' is neither a function nor a class, but of type int", ""),
        ("parts/my.py:numbers", "kind", "'numbers' is a source, not a stage", ""),
        ("no_such_module:f", "no-module", "there is no module 'no_such_module'", ""),
        ("json.no_such:f", "no-module", "there is no module 'json.no_such'", ""),
        ("parts/my.py:", "address", "'parts/my.py:' isn't an address", "write ./file.py:name or pkg.module:name"),
        ("__main__:f", "not-importable", "a worker can't import __main__", "move it to a file of its own"),
    ],
)
def test_what_is_wrong_with_an_address(stages, address, code, message, fix):
    with pytest.raises(Unresolved, match=r".") as caught:
        at_address("stage", address, stages)
    assert (caught.value.code, caught.value.fix) == (code, fix)
    assert message in str(caught.value)
