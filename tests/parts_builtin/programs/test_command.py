"""What a command is, and where its program is looked for."""

from __future__ import annotations

import pytest

from stagerunner_parts.programs.command import Command, command_of, find


def test_a_text_is_split_without_a_shell():
    assert command_of("grep -e 'a b' \"c\"", shell=False) == Command(("grep", "-e", "a b", "c"), "grep")
    assert command_of(["grep", "a b", "|"], shell=False).words == ("grep", "a b", "|")


def test_a_shell_reads_the_text_itself():
    assert command_of("sort | uniq", shell=True).words == ("/bin/sh", "-c", "sort | uniq")


@pytest.mark.parametrize(
    ("command", "shell", "why"),
    [
        ("", False, "is empty"),
        ([], False, "is empty"),
        (["", "x"], False, "is empty"),
        (" ", True, "is empty"),
        ("cat 'a", False, "can't be split into words: No closing quotation"),
        ("cat a | sort", False, "'|' in it, which only a shell understands; add `shell: true`"),
        ("cat >out", False, "'>out' in it, which only a shell understands"),
        (["cat", "a"], True, "one text"),
        (["cat", "a\0"], False, "NUL"),
    ],
)
def test_what_is_no_command(command, shell, why):
    with pytest.raises(ValueError) as refused:
        command_of(command, shell=shell)
    assert why in str(refused.value)


def test_a_program_is_found_where_a_shell_would_find_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    elsewhere = {"PATH": "/nowhere:/neither"}

    with pytest.raises(ValueError, match=r"no program 'tool' in /nowhere:/neither; .* write ./tool"):
        find("tool", elsewhere)
    with pytest.raises(ValueError, match=r"'./tool' may not be executed.*chmod"):
        find("./tool", elsewhere)
    with pytest.raises(ValueError, match=f"no program './other', looked for in {tmp_path}"):
        find("./other", elsewhere)
    with pytest.raises(ValueError, match="it is a folder"):
        find(str(tmp_path), elsewhere)

    tool.chmod(0o755)
    assert find("./tool", elsewhere) == "./tool"
    assert find("tool", {"PATH": str(tmp_path)}) == str(tool)
