import sys

import pytest

from stagerunner_parts.needed import need


def test_what_is_there_is_not_imported():
    sys.modules.pop("this", None)
    need("any", "json", "this")
    assert "this" not in sys.modules


def test_what_is_missing_is_named_with_the_command_that_installs_it():
    with pytest.raises(ImportError) as caught:
        need("arrow", "json", "no_such_module", "nor_this")
    assert str(caught.value) == "there is no no_such_module and no nor_this; run: pip install 'stagerunner[arrow]'"
