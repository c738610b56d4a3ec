"""The scoreboard: every library in every case, each cell in a process of its own, and the table of what was seen.

usage: python scoreboard.py [--case CASE] [--library LIBRARY] [--limit S] [--docs FILE] [--from FILE] [--to FILE]

--docs: put the table between the marks in this page. --to: keep what was seen as JSON; --from: begin with that, and
run only the cases and libraries that are named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cell
import contender
import peers
from measure import machine, put_between, say

LIBRARIES = [
    "stagerunner",
    "stagerunner, on_error: skip",
    "Pool(1).imap × 3",
    *(name for name in peers.DEFAULTS if name in peers.LIBRARIES),
]
LASTING = ("10 GB, slow consumer", "Ctrl-C", "parent killed", "break after ten", "setup fails")
"""Cases in which no certain number of results is expected."""

HEAD = (
    "| library | returned | s | results | doubled | names stage | names record | left over | what it said |\n"
    "|---|---|---|---|---|---|---|---|---|"
)

Seen = dict[str, dict[str, cell.Outcome]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=contender.CASES, action="append")
    parser.add_argument("--library", choices=LIBRARIES, action="append")
    parser.add_argument("--limit", type=float, default=cell.LIMIT, help="seconds from the fault")
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--from", type=Path, dest="source")
    parser.add_argument("--to", type=Path)
    chosen = parser.parse_args()
    seen = loaded(chosen.source) if chosen.source is not None else {}
    if not seen or chosen.case or chosen.library:
        run(seen, chosen.case or list(contender.CASES), chosen.library or LIBRARIES, chosen.limit, chosen.to)
    table = "\n".join(lines(seen))
    print(table)
    print("\n".join(short(seen)))
    if chosen.docs is not None:
        put_between(chosen.docs, f"{machine()}\n\n{table}")


def run(seen: Seen, cases: list[str], libraries: list[str], limit: float, kept: Path | None) -> None:
    """Run these cells, and put what comes of them into `seen`."""
    for case in cases:
        for library in libraries:
            outcome = seen.setdefault(case, {})[library] = cell.run(library, case, limit)
            say(f"{case}: {line(case, library, outcome)}")
            if kept is not None:
                kept.write_text(json.dumps({c: {k: asdict(o) for k, o in row.items()} for c, row in seen.items()}))


def loaded(file: Path) -> Seen:
    told = json.loads(file.read_text())
    return {case: {name: cell.Outcome(**outcome) for name, outcome in row.items()} for case, row in told.items()}


# The whole table


def lines(seen: Seen) -> Iterator[str]:
    for case, row in seen.items():
        yield f"### {case}\n\n{HEAD}"
        for library, outcome in row.items():
            yield line(case, library, outcome)
        yield ""


def line(case: str, library: str, outcome: cell.Outcome) -> str:
    cells = [
        library,
        returned(case, outcome),
        f"{outcome.seconds:.1f}" if outcome.seconds and returned(case, outcome) == "yes" else "",
        results(case, outcome),
        str(outcome.doubled or ""),
        yes(outcome.stage_named) if told(case, outcome) or case == "setup fails" else "",
        yes(outcome.record_named) if told(case, outcome) else "",
        left(outcome),
        "" if case == "parent killed" else said(outcome),
    ]
    return f"| {' | '.join(cells)} |"


def told(case: str, outcome: cell.Outcome) -> bool:
    """Whether there was anything to name: the case has a culprit, and results are missing."""
    return case not in LASTING and outcome.seen < contender.RECORDS


def returned(case: str, outcome: cell.Outcome) -> str:
    if case in ("10 GB, slow consumer", "parent killed"):
        return ""
    return "yes" if outcome.returned else "**no**"


def results(case: str, outcome: cell.Outcome) -> str:
    if case == "10 GB, slow consumer":
        return f"peak {outcome.peak / 2**20:,.0f} MiB"
    if case in LASTING:
        return f"{outcome.seen:,}" if case == "break after ten" else ""
    order = "" if outcome.ordered else ", out of order"
    return f"{outcome.seen:,} of {contender.RECORDS:,}{order}"


def left(outcome: cell.Outcome) -> str:
    parts = [f"{outcome.orphans} processes"] * bool(outcome.orphans) + [f"{outcome.shared} in /dev/shm"] * bool(
        outcome.shared
    )
    return ", ".join(parts)


def said(outcome: cell.Outcome) -> str:
    text = outcome.note or outcome.error or ("nothing" if outcome.returned else "")
    if outcome.status is not None and not outcome.error:
        text += f" (exit {outcome.status})"
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 90 else text[:89] + "…"


def yes(value: bool) -> str:
    return "yes" if value else "no"


# The short one


SHORT = {
    "worker killed": "a busy worker is killed",
    "item 5,000 raises": "item 5,000 raises",
    "unpicklable result": "a result can't be pickled",
    "os._exit(0)": "a stage calls `os._exit(0)`",
    "parent killed": "the parent is killed",
    "10 GB, slow consumer": "10 GB, slow consumer",
}


def short(seen: Seen) -> Iterator[str]:
    """A line for each library, a column for each case that tells most."""
    cases = [case for case in SHORT if case in seen]
    libraries = list(next(iter(seen.values())))
    yield f"| | {' | '.join(SHORT[case] for case in cases)} |"
    yield "|---" * (len(cases) + 1) + "|"
    for library in libraries:
        yield f"| {library} | {' | '.join(in_a_word(case, seen[case].get(library)) for case in cases)} |"


def in_a_word(case: str, outcome: cell.Outcome | None) -> str:
    if outcome is None:
        return ""
    if case == "parent killed":
        return f"leaves {left(outcome)}" if left(outcome) else "nothing left"
    if case == "10 GB, slow consumer":
        return f"{outcome.peak / 2**20:,.0f} MiB" + (", growing" if "stopped" in outcome.note else "")
    if not outcome.returned:
        return f"does not return ({outcome.seen:,})"
    lost = contender.RECORDS - outcome.seen + outcome.doubled
    what = "all there" if not lost and not outcome.error else f"{outcome.seen:,} of {contender.RECORDS:,}"
    how = "error" if outcome.error else "" if not lost else "no error"
    return f"{what}{', ' + how if how else ''}"


if __name__ == "__main__":
    main()
