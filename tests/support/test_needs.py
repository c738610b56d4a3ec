import pytest
from support import needs


def test_what_is_there_is_given() -> None:
    assert needs.module("json", "nothing").dumps([1]) == "[1]"
    assert needs.program("sh", "dash").name == "sh"


def test_what_is_missing_skips_the_test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTHING_MISSING", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"pip install 'stagerunner\[no\]'"):
        needs.module("no_such_module", "stagerunner[no]")
    with pytest.raises(pytest.skip.Exception, match="apt-get install none"):
        needs.program("no-such-program", "none")


def test_it_fails_where_nothing_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTHING_MISSING", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        needs.program("no-such-program", "none")
