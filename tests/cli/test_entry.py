from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import stagerunner.catalog
from stagerunner.catalog import load_catalog
from stagerunner.cli import VERBS, entry, load_command
from stagerunner.cli.streams import Streams
from stagerunner.errors import UsageError

HEAVY = ("yaml", "msgspec", "rich", "pluggy", "importlib.metadata", "asyncio", "multiprocessing")


@pytest.fixture(autouse=True)
def borrowed(monkeypatch):
    """The process of the tests is not the command's."""
    monkeypatch.setattr(Streams, "own", lambda self: None)
    monkeypatch.setattr(entry, "restore_signals", lambda: None)


PROBE = f"""
import sys
from stagerunner.__main__ import main
code = main(sys.argv[1:])
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""

RUNS = (
    *("sqlite3", "multiprocessing", "subprocess", "socket", "rich", "asyncio", "importlib.metadata"),
    *("stagerunner.api", "stagerunner.engines", "stagerunner.chain", "stagerunner.journal", "stagerunner.delivery"),
    *("hashlib", "difflib", "json", "traceback", "gzip", "lzma"),
)
"""What finding no mistake in a chain needs nothing of."""

RARE = ("hashlib", "_hashlib", "ctypes", "difflib", "rich", "asyncio", "dataclasses", "importlib.metadata")
"""What a run of small records does without, and what takes long to load."""


PROGRAM = """
import sys
from stagerunner.__main__ import main
code = main(sys.argv[1:])
print([name for name in {} if name in sys.modules])
sys.exit(code)
"""


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_front_page_loads_nothing_heavy(flag):
    shown = subprocess.run([sys.executable, "-c", PROBE, flag], text=True, capture_output=True, timeout=60)
    assert (shown.returncode, shown.stderr) == (0, "[]\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        pytest.param(["check"], RUNS, id="a check: what runs a chain"),
        pytest.param(["run", "--quiet"], RARE, id="a run: what few runs need"),
    ],
)
def test_a_command_loads_nothing_that_it_does_without(tmp_path, arguments, names):
    config = tmp_path / "chain.yaml"
    config.write_text("version: 1\nsource: in.txt\nstages: [text.strip]\nsink: out.txt\n")
    (tmp_path / "in.txt").write_text("hello\n")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(names), *arguments, str(config)],
        text=True,
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, "[]\n")


@pytest.mark.parametrize("arguments", [["run", "--nonsense", "x"], ["run"], ["run", "x", "-n", "-3"], ["nonsense"]])
def test_a_call_that_makes_no_sense_is_exit_2_without_traceback(call, arguments):
    ended = call(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error[usage]: ")
    assert "Traceback" not in ended.stderr


def test_without_a_command_the_front_page_is_shown(call):
    ended = call()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Run a chain of worker processes")


def test_a_file_that_is_not_there_is_exit_2(call):
    ended = call("run", "nowhere.yaml")
    assert ended.returncode == 2
    assert "there is no file nowhere.yaml" in ended.stderr


def test_a_fault_of_ours_is_70_and_asks_for_a_report(monkeypatch, capsys):
    monkeypatch.setattr(entry, "_invoke", lambda arguments, streams: 1 // 0)
    assert entry.main([]) == 70
    told = capsys.readouterr().err
    assert "error[internal]: ZeroDivisionError" in told
    assert "please report it" in told
    assert "Traceback" not in told


def test_the_traceback_is_shown_when_asked_for(monkeypatch, capsys):
    def fail(arguments, streams):
        streams.verbose = True
        raise KeyError("x")

    monkeypatch.setattr(entry, "_invoke", fail)
    assert entry.main([]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted: stopped by SIGINT"),
        (BrokenPipeError(), 141, ""),
        (SystemExit(4), 1, "error[run-failed]: a plugin ended the program: SystemExit: 4"),
        (SystemExit(), 1, "error[run-failed]: a plugin ended the program: SystemExit"),
        (GeneratorExit(), 1, "error[run-failed]: a plugin ended the program: GeneratorExit"),
        (OSError(28, "No space left on device"), 75, "error[stopped]: the system refused: No space left on device"),
        (OSError(13, "Permission denied"), 1, "error[run-failed]: the system refused: Permission denied"),
        (MemoryError(), 75, "error[stopped]: the system refused: out of memory"),
    ],
)
def test_every_other_end_has_its_exit_code_and_only_for_a_reader_that_has_left_there_is_no_message(
    monkeypatch, capsys, error, code, said
):
    def fail(arguments, streams):
        raise error

    monkeypatch.setattr(entry, "_invoke", fail)
    assert entry.main([]) == code
    assert capsys.readouterr().err.partition(" (")[0].strip() == said


@pytest.mark.parametrize("arguments", [["stages"], ["--help"], ["plugins", "--json"]])
def test_a_reader_that_has_left_is_141_in_silence(folder, arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "stagerunner", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_only_a_process_of_its_own_is_settled(monkeypatch):
    frozen = []
    monkeypatch.setattr(entry.gc, "freeze", lambda: frozen.append(True))
    monkeypatch.setattr(sys, "argv", ["stagerunner", "--version"])

    entry.main(["--version"])
    assert frozen == []
    entry.main()
    assert frozen == [True]


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ImportError("broken"), 70)])
def test_a_command_that_can_not_be_loaded_ends_as_any_other(monkeypatch, capsys, error, code):
    def fail(verb):
        raise error

    monkeypatch.setattr(entry, "load_command", fail)
    monkeypatch.setattr(sys, "argv", ["stagerunner", "check"])

    assert entry.main() == code
    assert ("broken" in capsys.readouterr().err) == (code == 70)


WITNESS = """
log = open("log.txt", "w")

def noted(record):
    log.write(record)

noted("imported")
"""
"""A plugin that leaves a file open: its buffer is written when the interpreter collects it."""


@pytest.mark.parametrize("verb", ["check", "run", "show"])
def test_what_a_plugin_has_left_open_is_written(tmp_path, verb):
    (tmp_path / "witness.py").write_text(WITNESS)
    (tmp_path / "in.txt").write_text("")
    (tmp_path / "chain.yaml").write_text(
        "version: 1\nplugins: [./witness.py]\nsource: in.txt\nstages: ['witness:noted']\nsink: out.txt\n"
    )

    ended = subprocess.run(
        [sys.executable, "-m", "stagerunner", verb, "chain.yaml"], capture_output=True, cwd=tmp_path, timeout=60
    )

    assert (ended.returncode, ended.stderr[:6] == b"error[") == (0, False)
    assert (tmp_path / "log.txt").read_text() == "imported"


def test_completion_is_answered(call):
    ended = call(env={"_STAGERUNNER_COMPLETE": "bash_source"})
    assert (ended.returncode, "complete" in ended.stdout) == (0, True)


SLOW = """
import os, signal, sys, time
import stagerunner.__main__ as program

class Slow:


    def find_spec(self, name, path, target=None):
        if name == "stagerunner.cli.entry":
            print("here", flush=True)
            time.sleep(30)

sys.meta_path.insert(0, Slow())
sys.argv = ["stagerunner", "check", "none.yaml"]
program.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_while_the_program_is_imported_is_reported(number):
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as begun:
        assert begun.stdout.readline() == b"here\n"
        begun.send_signal(number)
        said = begun.communicate(timeout=20)[1]

    assert (begun.returncode, said.decode()) == (128 + number, f"interrupted: stopped by {number.name}\n")


DEAF = """
import time
print('here', flush=True)
try:
    time.sleep(30)
except BaseException:  # a native import doesn't survive one either
    time.sleep(30)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", [["run", "-q"], ["check"], ["show"], ["replay", "none.jsonl", "-o", "-", "-c"]])
def test_a_stop_while_a_plugin_is_imported_is_reported(tmp_path, verb, number):
    (tmp_path / "slow.py").write_text(DEAF)
    (tmp_path / "chain.yaml").write_text("version: 1\nsource: a.txt\nstages: [./slow.py:same]\nplugins: [./slow.py]\n")
    (tmp_path / "a.txt").write_text("")
    command = [sys.executable, "-m", "stagerunner", *verb, "chain.yaml"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as begun:
        assert begun.stderr.readline() == b"here\n"
        begun.send_signal(number)
        said = begun.communicate(timeout=20)[1]

    assert (begun.returncode, said.decode()) == (128 + number, f"interrupted: stopped by {number.name}\n")


def test_the_front_page_has_every_verb_under_its_heading(invoke):
    page = invoke("--help").stdout
    assert [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        *dict.fromkeys(f"{verb.section}:" for verb in VERBS.values()),
        "Examples:",
        "Options:",
    ]
    assert all(verb.summary in page for verb in VERBS.values())


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_leads_to_a_command_with_a_help_page(invoke, name):
    assert load_command(name).name in (name, "command")
    assert invoke(name, "-h").stdout.startswith(f"Usage: stagerunner {name}")


def test_a_misspelt_verb_is_answered_with_the_nearest(invoke):
    error = invoke("rnu").exception
    assert isinstance(error, UsageError)
    assert str(error) == "there is no command 'rnu'; did you mean 'run'?"


def test_the_version_is_one_line(invoke):
    assert invoke("--version").stdout.startswith("stagerunner 0.")


PLUGIN = """
import click
from stagerunner import hookimpl
from stagerunner.hookspecs import CommandSpec

@click.command()
def hello():
    click.echo("hello")

@hookimpl
def stagerunner_commands():
    return [CommandSpec("hello", __name__ + ":hello"), CommandSpec("text", __name__ + ":PLAIN")]

PLAIN = "no command"
"""


@pytest.fixture
def _plugin(write, folder, monkeypatch):
    write("greeting.py", PLUGIN)
    catalog = load_catalog(plugins=[("./greeting.py", None, folder)])
    monkeypatch.setattr(stagerunner.catalog, "load_catalog", lambda: catalog)


@pytest.mark.usefixtures("_plugin")
def test_a_plugins_command_is_found_by_name(invoke):
    assert invoke("hello").stdout == "hello\n"


@pytest.mark.usefixtures("_plugin")
def test_an_object_that_is_not_a_command_is_refused():
    with pytest.raises(UsageError, match="isn't a click command"):
        entry.plugin_command("text")


def test_an_unknown_one_is_refused():
    with pytest.raises(UsageError, match="there is no command 'zzz'"):
        entry.plugin_command("zzz")
