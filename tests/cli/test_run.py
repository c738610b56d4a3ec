from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stagerunner.api import prepare
from stagerunner.cli.run import print_plan
from stagerunner.views.console import Console

PICKY = "{use: './parts.py:picky', on_error: dead_letter}"


def last_object(text: str) -> dict:
    return json.loads(text.splitlines()[-1])


def test_data_goes_to_stdout_and_everything_else_to_stderr(call, chain):
    ended = call("run", chain("./parts.py:chatty"))
    assert ended.returncode == 0
    assert ended.stdout == "0\n1\n2\n3\n4\n"
    assert "[chatty] seen 3\n" in ended.stderr
    assert "5 in · 5 out" in ended.stderr


def test_as_a_filter_it_reads_stdin_and_writes_stdout(call, write):
    write("upper.yaml", "version: 1\nstages: [text.upper]\n")
    assert call("run", "upper.yaml", "-q", input="a\nb\n").stdout == "A\nB\n"


def test_source_sink_and_limit_of_the_call_win(call, chain, write, folder):
    write("a.txt", "x\ny\nz\n")
    ended = call("run", chain("text.upper"), "-i", "a.txt", "-o", "b.txt", "-n", "2", "-q")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (folder / "b.txt").read_text() == "X\nY\n"


def test_only_runs_a_piece_of_the_chain(call, chain, write):
    write("a.txt", "x \n")
    file = chain("text.strip", "text.upper", source="a.txt")
    assert call("run", file, "--only", "text-upper", "-q").stdout == "X \n"


def test_set_and_var_change_the_chain(call, write):
    write("c.yaml", "version: 1\nvars: {n: 9}\nsource: {use: range, with: {stop: '${vars.n}'}}\nstages: []\n")
    assert call("run", "c.yaml", "--var", "n=2", "-q").stdout == "0\n1\n"
    assert call("run", "c.yaml", "--set", "source.with.stop=1", "-q").stdout == "0\n"


def test_dead_letters_are_exit_3_unless_allowed(call, chain, write):
    write("a.txt", "good\n" + "bad\n" * 5)
    file = chain(PICKY, source="a.txt", dead_letter="dead.jsonl")
    ended = call("run", file)
    assert (ended.returncode, ended.stdout) == (3, "good\n")
    assert ended.stderr.count("picky: dead letter: ValueError: that is bad (") == 3
    assert "picky: … and 2 more in the dead letters\n" in ended.stderr
    assert " dead letters in dead.jsonl\n" in ended.stderr
    assert ended.stderr.endswith(
        f"exit code 3: `stagerunner replay dead.jsonl -c {file} --append` runs the dead letters again\n"
    )
    assert call("run", file, "--allow-dead-letters").returncode == 0


def test_a_debugger_stops_where_a_stage_raises(call, chain, write):
    write("a.txt", "good\nbad\n")
    ended = call("run", chain("./parts.py:picky", source="a.txt"), "--pdb", input="c\n")
    assert ended.returncode == 1
    assert "parts.py(10)picky()" in ended.stdout + ended.stderr
    refused = call("run", chain("text.strip"), "-i", "-", "--pdb")
    assert refused.stderr.startswith("error[usage]: the debugger needs standard input")


def test_a_failed_stage_is_reported_once_without_our_frames(call, chain, write):
    write("a.txt", "good\nbad\n")
    ended = call("run", chain("./parts.py:picky", source="a.txt"))
    assert ended.returncode == 1
    assert ended.stderr.count("that is bad") == 1
    assert "error[stage-failed]: picky failed: ValueError" in ended.stderr
    assert "parts.py:10 in picky" in ended.stderr
    assert ended.stderr.endswith("\n`on_error: skip` or `dead_letter` at picky leaves such records out\n")
    assert "Traceback" not in ended.stderr


def test_a_failed_run_that_can_be_resumed_says_how(call, chain, write):
    write("a.txt", "good\nbad\n")
    file = chain("./parts.py:picky", source="a.txt", sink="out.txt")
    assert "\n--resume goes on there, --force-resume after a change of the chain; " in call("run", file).stderr
    skipping = call("run", file, "--force-resume", "--set", "stages.picky.on_error=skip")
    assert (skipping.returncode, Path("out.txt").read_text()) == (0, "good\n")


def test_secrets_are_masked_in_what_is_said(call, chain):
    file = chain("{use: './parts.py:leaky', with: {key: '${secret:KEY}'}}")
    ended = call("run", file, env={"KEY": "hunter2hunter2"})
    assert ended.returncode == 1
    assert "the key is ***" in ended.stderr
    assert "hunter2" not in ended.stderr


def test_a_reader_that_has_left_is_141_in_silence(folder, chain):
    file = chain(source="{use: range, with: {stop: 1000000}}")
    command = [sys.executable, "-m", "stagerunner", "run", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_dry_run_says_what_would_run_and_runs_nothing(call, chain, folder):
    ended = call("run", chain("./parts.py:chatty"), "-o", "out.txt", "--dry-run")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "nothing is started" in ended.stderr
    assert "./parts.py:chatty" in ended.stderr
    assert not (folder / "out.txt").exists()


@pytest.mark.parametrize("more", [[], ["--log-format", "json"]])
def test_quiet_says_nothing_of_a_good_run(call, chain, more):
    ended = call("run", chain("./parts.py:same"), "-q")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_progress_the_summary_still_comes(call, chain):
    said = call("run", chain("./parts.py:same"), "--progress", "none").stderr
    assert said.startswith("done in ")


def test_an_unknown_view_is_a_usage_error(call, chain):
    ended = call("run", chain("./parts.py:same"), "--progress", "jsn")
    assert ended.returncode == 2
    assert "did you mean 'json'?" in ended.stderr


def test_log_lines_as_json_are_all_json(call, chain, write):
    write("a.txt", "good\nbad\n")
    ended = call("run", chain("./parts.py:picky", source="a.txt"), "--log-format", "json", "--progress", "json")
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [one["event"] for one in told[-2:]] == ["summary", "error"]
    assert (told[-1]["code"], told[-1]["exit"]) == ("stage-failed", 1)


def test_the_summary_is_written_for_programs(call, chain, folder):
    assert call("run", chain("./parts.py:same"), "--summary", "s.json").returncode == 0
    written = json.loads((folder / "s.json").read_text())
    assert (written["ok"], written["records"]["out"], written["stages"][0]["name"]) == (True, 5, "same")


def test_the_summary_of_a_failed_run_is_written_too(call, chain, folder, write):
    write("a.txt", "bad\n")
    assert call("run", chain("./parts.py:picky", source="a.txt"), "--summary", "s.json").returncode == 1
    assert json.loads((folder / "s.json").read_text())["exit"] == 1


def test_the_summary_may_have_standard_output(call, chain):
    assert last_object(call("run", chain("./parts.py:same"), "-o", "null", "--summary", "-").stdout)["ok"] is True


def test_standard_output_is_not_shared(call, chain):
    ended = call("run", chain("./parts.py:same"), "--summary", "-")
    assert (ended.returncode, ended.stdout) == (2, "")


def test_colour_can_be_asked_for(call, chain):
    file = chain("./parts.py:same")
    assert "\x1b[32mdone in" in call("run", file, "--color", "always").stderr
    assert "\x1b" not in call("run", file, env={"NO_COLOR": "1"}).stderr


def test_a_stderr_without_a_reader_does_not_end_the_run(folder, chain):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "stagerunner", "run", chain("./parts.py:chatty")],
        stdout=subprocess.PIPE,
        stderr=writer,
        timeout=60,
    )
    os.close(writer)
    assert (ended.returncode, ended.stdout) == (0, b"0\n1\n2\n3\n4\n")


def test_what_an_observer_prints_goes_to_stderr_too(call, chain, write):
    write(
        "watch.py",
        """
        from stagerunner import hookimpl

        @hookimpl
        def stagerunner_run_finished(event):
            print("seen", event.records["out"], "of hunter2", end="")
    """,
    )
    file = chain("./parts.py:same", plugins=["./watch.py"], vars={"key": "${secret:KEY}"})
    ended = call("run", file, "-q", env={"KEY": "hunter2"})
    assert (ended.stdout, ended.stderr) == ("0\n1\n2\n3\n4\n", "seen 5 of ***\n")


@pytest.mark.parametrize(("closed", "named"), [("<&-", "standard input"), (">&-", "standard output")])
def test_a_stream_that_is_closed_is_named(folder, write, closed, named):
    write("copy.yaml", "version: 1\nstages: []\n")
    command = f"echo a | {sys.executable} -m stagerunner run copy.yaml -q {closed}"
    ended = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"{named} is closed" in ended.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_can_be_resumed(folder, chain):
    command = f"{sys.executable} -m stagerunner run {chain('./parts.py:same')} -q > /dev/full"
    ended = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 75
    assert "standard output can't be written: No space left" in ended.stderr


def test_the_summary_does_not_overwrite_what_the_run_reads_or_writes(call, chain, folder, write):
    write("a.txt", "a\n")
    file = chain("./parts.py:same", source="a.txt", sink="b.txt", dead_letter="c.jsonl")
    for taken in ("a.txt", "b.txt", "c.jsonl"):
        ended = call("run", file, "-q", "--summary", taken)
        assert ended.returncode == 2
        assert "name another file" in ended.stderr
    assert (folder / "a.txt").read_text() == "a\n"


WRITES = (
    (["-o", "chain.yaml"], "the sink would overwrite chain.yaml, this chain's config"),
    (["-o", "parts.py"], "the sink would overwrite parts.py, which is part of this chain"),
    (["--set", "sink=parts.py"], "the sink would overwrite parts.py"),
    (["--set", "sink=watch.py"], "the sink would overwrite watch.py"),
    (["--set", "sink=beside.py"], "the sink would overwrite beside.py"),
    (["--set", "sink.use=jsonl", "--set", "sink.with.path=link.yaml"], "the sink would overwrite chain.yaml"),
    (["--set", "dead_letter=chain.yaml"], "the dead letters would overwrite chain.yaml"),
    (["--set", "dead_letter=parts.py"], "the dead letters would overwrite parts.py"),
    (["--summary", "chain.yaml"], "the summary would overwrite chain.yaml"),
    (["--summary", "beside.py"], "the summary would overwrite beside.py"),
    (["--journal", "chain.yaml"], "the journal would overwrite"),
    (["--journal", "beside.py"], "the journal would overwrite"),
    (["--set", "run.journal=parts.py"], "the journal would overwrite"),
    (["--journal", "a.txt"], "the journal would overwrite"),
)


@pytest.mark.parametrize(("arguments", "message"), WRITES)
def test_a_run_writes_over_nothing_that_its_chain_is_made_of(call, chain, folder, write, arguments, message):
    write("a.txt", "a\n")
    write("beside.py", "")
    write("watch.py", "import beside\n")
    file = chain("./parts.py:same", source="a.txt", sink="b.txt", plugins=["./watch.py"])
    (folder / "link.yaml").symlink_to(folder / "chain.yaml")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert file == "chain.yaml"

    ended = call("run", file, "-q", *arguments, env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"})

    assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before


def test_a_stage_that_remembers_without_saying_so_is_warned_of(call, chain, write):
    write("forgets.py", "seen = set()\n\ndef once(record):\n    seen.add(record)\n    return record\n")
    name = chain("./forgets.py:once", sink="o.jsonl")

    assert "warning: 'once' changes seen (forgets.py:4)" in call("run", name).stderr
    assert call("run", name, "-q").stderr == ""


def test_the_plan_lists_source_stages_and_sink(chain):
    text = io.StringIO()
    file = chain("text.strip", "{use: './parts.py:same', workers: 3}", dead_letter="dead.jsonl")
    print_plan(prepare(Path(file)).plan, Console(text))
    lines = text.getvalue().splitlines()
    assert lines[0] == "chain: 4 workers, engine process; nothing is started"
    assert [line.split()[0] for line in lines[2:6]] == ["source", "stage", "stage", "sink"]
    assert "3  fail" in lines[4]
    assert any(line.startswith("dead letters: ") for line in lines)
