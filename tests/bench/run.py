"""All jobs, one after the other, each in an interpreter of its own; the tables on stdout.

usage: python run.py [--quick] [--only a,b,…] [--docs FILE]      (--quick: about six minutes on a quiet machine)

--docs: put what was measured between the marks in this page; with --only, in the place of the tables of these jobs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from measure import HERE, machine, put_between, put_tables, say

JOBS = "abcdefghijklt"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the benches and print their tables.")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer rounds")
    parser.add_argument("--only", default=",".join(JOBS), help="jobs, as a,b,c")
    parser.add_argument("--docs", type=Path, help="a page with marks between which the figures are put")
    chosen = parser.parse_args()
    began = time.monotonic()
    parts = [machine() + (" Quick: smaller and fewer rounds." if chosen.quick else "")]
    print(parts[0] + "\n", flush=True)
    for job in chosen.only.split(","):
        parts.append(tables(job, quick=chosen.quick))
        say(f"job {job.upper()} done after {time.monotonic() - began:.0f} s")
        print(parts[-1], flush=True)
    say(f"{time.monotonic() - began:.0f} s")
    if chosen.docs is None:
        return
    if chosen.only == parser.get_default("only"):
        put_between(chosen.docs, "\n\n".join(part.strip() for part in parts))
    else:
        put_tables(chosen.docs, parts[1:], parts[0])


def tables(job: str, *, quick: bool) -> str:
    """The output of a job. If it fails, that is said instead, and the others continue."""
    command = [sys.executable, str(HERE / f"job_{job}.py"), *["--quick"] * quick]
    say(f"job {job.upper()}")
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    failed = f"\nJob {job.upper()} failed: exit {ended.returncode}.\n" if ended.returncode else ""
    return ended.stdout + failed


if __name__ == "__main__":
    main()
