from __future__ import annotations

from stagerunner.catalog import Unresolved


def test_what_is_unresolved_says_why_and_what_to_do():
    why = Unresolved("no-file", "there is no file a.py", "did you mean 'b.py'?")
    assert (why.code, str(why), why.fix) == ("no-file", "there is no file a.py", "did you mean 'b.py'?")
