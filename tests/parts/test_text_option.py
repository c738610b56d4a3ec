import pickle

import pytest

from stagerunner import Expression, TextOption
from stagerunner_parts.convert import Type
from stagerunner_parts.parse import Pattern


@pytest.mark.parametrize("option", [TextOption("x"), Type("int"), Pattern("(?P<a>.)"), Expression("a > 1")])
def test_an_option_is_pickled_and_shown_as_its_text(option):
    copy = pickle.loads(pickle.dumps(option))

    assert (type(copy), copy.text) == (type(option), option.text)
    assert repr(option) == f"{type(option).__name__}({option.text!r})"
    assert type(option).parse(option.text).text == option.text
