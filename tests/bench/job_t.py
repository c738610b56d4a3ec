"""Job T: JSON lines → three filters of datatrove, unmodified → JSON lines, file to file.

Beside the plain loop, `Pool.imap`, datatrove's own executor, and polars with the filters as a Python function. Each
runs in an interpreter of its own, with its imports in its time. What passes is the same for all, and is compared.

usage: python job_t.py [--quick]                 python job_t.py run NAME FOLDER      one contender, its Outcome as JSON
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from files import folder
from measure import CORES, HERE, Outcome, Row, elsewhere, in_turns, present, rates, ratios, say, spread, tell
from peers import FORK, installed

LINES = 100
WORDS = "the be to of and that have with a in house tree river seven under light stone again never it by".split()
PLUGIN = HERE.parents[1] / "plugins" / "stagerunner-datatrove" / "src"
OPTIONS: dict[str, dict[str, Any]] = {
    "GopherRepetitionFilter": {},
    "GopherQualityFilter": {"min_doc_words": 20},
    "C4QualityFilter": {"min_num_sentences": -1},
}
SPLITTER = {"object": "job_t_words:Splitter", "with": {"language": "en"}}
SPLITTING = """
import re
from datatrove.utils.word_tokenizers import WordTokenizer

class Splitter(WordTokenizer):
    "Quick, and nobody has to install spaCy for it."
    def word_tokenize(self, text): return re.findall(r"\\w+|[^\\w\\s]", text)
    def sent_tokenize(self, text): return re.split(r"(?<=[.!?])\\s+", text)
    def span_tokenize(self, text): raise NotImplementedError
"""


# The documents


def documents(number: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(1)
    for count in range(number):
        text = "\n".join(sentence(draw) for _ in range(draw.randint(3, 30)))
        yield {"id": f"page-{count}", "text": text, "url": f"http://example.org/{count}"}


def sentence(draw: random.Random) -> str:
    words = draw.choices(WORDS, k=draw.randint(4, 16))
    return " ".join(words).capitalize() + draw.choice((".", ".", ".", "!", "", "..."))


def write(place: Path, number: int) -> None:
    """The documents in one file, and in as many as there are cores: datatrove reads a file in one process."""
    lines = [json.dumps(document) + "\n" for document in documents(number)]
    (place / "pages.jsonl").write_text("".join(lines))
    (place / "parts").mkdir()
    each = -(-len(lines) // CORES)
    for part in range(CORES):
        (place / "parts" / f"{part}.jsonl").write_text("".join(lines[part * each : (part + 1) * each]))
    (place / "job_t_words.py").write_text(SPLITTING)


# The contenders: each reads pages.jsonl, or parts, and writes out.jsonl


def filters() -> list[Any]:
    import datatrove.pipeline.filters as known
    from job_t_words import Splitter

    return [getattr(known, name)(**options, language=Splitter("en")) for name, options in OPTIONS.items()]


def passing(steps: list[Any], record: dict[str, Any]) -> dict[str, Any] | None:
    from datatrove.data import Document

    document = Document(record["text"], record["id"], metadata={"url": record["url"]})
    for step in steps:
        outcome = step.filter(document)
        if not (outcome[0] if isinstance(outcome, tuple) else outcome):
            return None
    return {**record, "text": document.text}


def encoded(steps: list[Any], lines: Iterable[bytes]) -> bytes:
    kept = (passing(steps, json.loads(line)) for line in lines)
    return b"".join(json.dumps(record).encode() + b"\n" for record in kept if record is not None)


def loop(place: Path) -> None:
    steps = filters()
    with (place / "pages.jsonl").open("rb") as lines, (place / "out.jsonl").open("wb") as out:
        for line in lines:
            out.write(encoded(steps, [line]))


def pool(place: Path) -> None:
    with (
        (place / "pages.jsonl").open("rb") as lines,
        (place / "out.jsonl").open("wb") as out,
        FORK.Pool(CORES, _prepare) as workers,
    ):
        out.writelines(workers.imap(_chunk, iter(lambda: list(islice(lines, LINES)), [])))


_steps: list[Any] = []


def _prepare() -> None:
    _steps.extend(filters())


def _chunk(lines: list[bytes]) -> bytes:
    return encoded(_steps, lines)


def chain(place: Path, workers: int, fuse: str) -> None:
    import stagerunner

    stages = [
        {
            "use": "stagerunner_datatrove.stages:Datatrove",
            "name": f"s{number}",
            "with": {"step": name, "options": {**options, "language": SPLITTER}},
            "workers": workers,
        }
        for number, (name, options) in enumerate(OPTIONS.items())
    ]
    config = {"version": 1, "source": str(place / "pages.jsonl"), "stages": stages, "run": {"fuse": fuse}}
    stagerunner.run({**config, "sink": str(place / "out.jsonl")})


def datatrove(place: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    writer = JsonlWriter(str(place / "written"), compression=None, expand_metadata=True)
    reader = JsonlReader(str(place / "parts"))
    LocalPipelineExecutor(
        [reader, *filters(), writer], tasks=CORES, workers=CORES, logging_dir=str(place / "logs"), skip_completed=False
    ).run()
    parts = sorted((place / "written").glob("*.jsonl"))
    (place / "out.jsonl").write_bytes(b"".join(part.read_bytes() for part in parts))


def polars(place: Path) -> None:
    import polars as library

    steps = filters()

    def text(record: dict[str, Any]) -> str | None:
        found = passing(steps, record)
        return None if found is None else found["text"]

    read = library.read_ndjson(place / "pages.jsonl")
    found = read.with_columns(text=library.struct(read.columns).map_elements(text, return_dtype=library.String))
    found.filter(library.col("text").is_not_null()).write_ndjson(place / "out.jsonl")


ONE, TWO, FUSED = "a process each", "two workers each", "two workers, fuse: auto"
LOOP, POOL, OWN, POLARS = "plain loop", f"Pool({CORES}).imap over lines", "datatrove's executor", "polars, map_elements"
WAYS: dict[str, Callable[[Path], None]] = {
    ONE: partial(chain, workers=1, fuse="off"),
    TWO: partial(chain, workers=2, fuse="off"),
    FUSED: partial(chain, workers=2, fuse="auto"),
    LOOP: loop,
    POOL: pool,
    OWN: datatrove,
    **({POLARS: polars} if installed("polars") else {}),
}


def run(name: str, place: Path) -> None:
    """One contender; what passed is left in out.jsonl."""
    sys.path[:0] = [str(place), str(PLUGIN)]
    began = time.perf_counter()
    WAYS[name](place)
    tell(Outcome(sum(1 for _ in (place / "pages.jsonl").open("rb")), time.perf_counter() - began))


def kept(place: Path) -> list[tuple[str, str]]:
    """Who passed, with which text. datatrove leaves an empty one out."""
    records = (json.loads(line) for line in (place / "out.jsonl").read_text().splitlines())
    return [(record["id"], record.get("text", "")) for record in records]


def rows(quick: bool, number: int = 0) -> Iterator[Row]:
    if not installed("datatrove") or not installed("regex"):
        say("datatrove isn't installed: pip install '.[bench]'")
        return
    number, rounds = (number or 4_000, 1) if quick else (40_000, 3)
    with folder() as place:
        write(place, number)
        first: list[Any] = []

        def outcome(name: str) -> Outcome:
            ended = elsewhere("job_t.py", "run", name, str(place), limit=900)
            if ended is None:
                raise AssertionError(f"{name} failed")
            first[:] = first or [kept(place)]
            if kept(place) != first[0]:
                raise AssertionError(f"{name} let others pass")
            return ended

        found = in_turns({name: partial(outcome, name) for name in WAYS}, rounds)
        say(f"{len(first[0]):,} of {number:,} documents pass")
    ours = (ONE, TWO, FUSED)
    for mine in ours:
        for theirs in [name for name in WAYS if name not in ours]:
            yield _row(f"{number:,} documents, three filters, {mine}", found[mine], theirs, found[theirs])
    for mine in ours:
        yield _cpu(f"CPU per document, {mine}", found[mine], found[LOOP])


def _row(what: str, mine: list[Outcome], theirs: str, other: list[Outcome]) -> Row:
    texts = [f"{rates(one).text('{:,.0f}')} docs/s" for one in (mine, other)]
    return Row(what, texts[0], f"{theirs}: {texts[1]}", ratios(mine, other).text() + " ×", "1 ×")


def _cpu(what: str, mine: list[Outcome], other: list[Outcome]) -> Row:
    """With all imports: a second in each process."""
    costs = [spread([1e3 * one.cpu / one.amount for one in outcomes]) for outcomes in (mine, other)]
    ratio = spread([one.cpu / two.cpu for one, two in zip(mine, other, strict=True)])
    texts = [cost.text() + " ms" for cost in costs]
    return Row(what, texts[0], f"{LOOP}: {texts[1]}", ratio.text() + " ×", "–")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2], Path(sys.argv[3]))
    else:
        present("T. Text work: three of datatrove's filters", rows)
