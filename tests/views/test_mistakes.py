from __future__ import annotations

from stagerunner.errors import Mark, Mistake
from stagerunner.views.mistakes import as_github, as_json

MISTAKE = Mistake("unknown-key", "50% wrong:\nall", Mark("a,b.yaml", 7, 5, "wrkers: 4"), "stages[1].wrkers", "fix it")


def test_json_has_place_path_and_fix():
    assert as_json(MISTAKE) == {
        "code": "unknown-key",
        "message": "50% wrong:\nall",
        "file": "a,b.yaml",
        "line": 7,
        "column": 5,
        "path": "stages[1].wrkers",
        "fix": "fix it",
    }


def test_githubs_line_is_escaped():
    assert as_github(MISTAKE) == ("::error file=a%2Cb.yaml,line=7,col=5,title=unknown-key::50%25 wrong:%0Aall; fix it")
