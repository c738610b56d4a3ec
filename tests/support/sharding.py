"""A chain that is run in shards, and what is written then."""

from __future__ import annotations

import gzip

COUNT = 3000
TEXT = "".join(f"{number}\n" for number in range(COUNT))
OUTPUTS = ("out.jsonl", "failed.jsonl", "dropped.jsonl")

PARTS = """
@stage
def picked(text: str) -> dict | None:
    number = int(text)
    if number % 97 == 5:
        raise ValueError(f"{number} will not do")
    return {"number": number} if number % 3 else None

@stage
def fatal(record):
    "Kills the parent at these records, and lets through in the next life."
    if record["number"] in (100, 1000, 1999, 2500) and once(f"met {record['number']}"):
        parent = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(") ")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
    return record
"""


def chain(project, *more, source="numbers.txt", sink="out.jsonl", **keys):
    project.plugin(PARTS)
    (project / "numbers.txt").write_text(TEXT)
    (project / "numbers.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    stages = ({"use": "picked", "workers": 2, "on_error": "dead_letter"}, *more)
    files = {"dead_letter": "failed.jsonl", "dropped": "dropped.jsonl"}
    ends = {"source": source} | ({} if sink is None else {"sink": sink})
    project.config(*stages, **ends, **files | keys)


def run(project, *flags, code=3):
    done = project.cli("run", "chain.yaml", "-q", *flags)
    assert done.returncode == code, done.stderr
    return done


def written(project, *names):
    return [(project / name).read_bytes() for name in names]


def in_shards(project, of):
    """Run each shard, resumed as long as the parent is killed; returns how often that was."""
    kills = 0
    for number in range(1, of + 1):
        flags = ("run", "chain.yaml", "-q", "--shard", f"{number}/{of}")
        while (done := project.cli(*flags)).returncode < 0:
            flags, kills = (*flags, "--resume"), kills + 1
        assert done.returncode in (0, 3), done.stderr
    return kills


def merged(project, of, code=3):
    done = project.cli("merge", "chain.yaml", "--shards", str(of), "-q")
    assert done.returncode == code, done.stderr
    return done
