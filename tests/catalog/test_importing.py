from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.catalog import Unresolved
from stagerunner.catalog.importing import (
    attribute,
    existing_file,
    import_file,
    import_named,
    import_target,
    one_line,
    shown,
)
from stagerunner.parts import files


def failure(path: Path) -> str:
    with pytest.raises(Unresolved) as caught:
        import_file(path)
    return str(caught.value)


def test_a_file_has_the_module_name_that_workers_will_use(write):
    path = write("tools.py", "answer = 42")
    module = import_file(path)
    assert module.__name__ == files.module_name(path.resolve())
    assert files.registered()[module.__name__] == str(path.resolve())
    assert import_target(f"{module.__name__}:answer") == 42


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1\nimport nothing_such", "ModuleNotFoundError: …"),
        ("x = 1\nraise SystemExit('gone')", "SystemExit: gone"),
        ("x = 1\nimport json; json.loads('')", "JSONDecodeError: …"),
        ("x = 1\ndef f(:", "SyntaxError: …"),
        ("x = 1\nraise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_an_error_is_one_line_that_names_the_users_own_line(write, monkeypatch, tmp_path, text, error):
    """The words of Python's own errors, an ellipsis here, are Python's."""
    path = write("broken.py", text)
    monkeypatch.chdir(tmp_path)
    before, _, after = f"broken.py could not be imported: {error} (broken.py:2)".partition("…")
    assert "\n" not in failure(path)
    assert (failure(path)[: len(before)], failure(path)[-len(after) :] if after else "") == (before, after)


def test_a_module_that_lacks_another_is_not_missing_itself(write, monkeypatch, tmp_path):
    write("lacking_module.py", "import nothing_such")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unresolved, match="module 'lacking_module' could not be imported: ModuleNotFoundError"):
        import_named("lacking_module")


def test_an_attribute_is_reached_through_dots():
    assert attribute(import_named("pathlib"), "Path.cwd")() == Path.cwd()


def test_an_error_that_cannot_say_what_it_is_still_has_a_line():
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert one_line(Mute()) == "Mute: <unprintable>"


def test_paths_are_shown_as_a_person_would_write_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.py") == "a/b.py"
    assert shown("/elsewhere/b.py") == "/elsewhere/b.py"


@pytest.mark.parametrize(("name", "why"), [("x" * 300 + ".py", "File name too long"), ("a\0.py", ".*embedded null .*")])
def test_a_name_that_no_file_can_have_is_reported_as_a_missing_file(tmp_path, name, why):
    with pytest.raises(Unresolved, match=f"^there is no such file: {why}$"):
        existing_file(tmp_path, name)
