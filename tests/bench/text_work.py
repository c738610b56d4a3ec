"""The work of job T: JSON lines → three filters of datatrove, unmodified → JSON lines, in each library.

Each contender reads pages.jsonl, or the files in parts/, and leaves what passes in out.jsonl. All but one have two
workers; each imports what it needs by itself.

usage: python job_t.py run NAME FOLDER      (its Outcome as JSON)
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cluster
from measure import CORES, HERE
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
SPLITTING = r'''
import re
from datatrove.utils.word_tokenizers import WordTokenizer

class Splitter(WordTokenizer):
    """Quick, and nobody has to install spaCy for it. Any two are equal, as two names of a language are: filters in
    one process then split a text once, for datatrove keeps the last few."""
    def __eq__(self, other): return isinstance(other, Splitter)
    def __hash__(self): return 1
    def word_tokenize(self, text): return re.findall(r"\w+|[^\w\s]", text)
    def sent_tokenize(self, text): return re.split(r"(?<=[.!?])\s+", text)
    def span_tokenize(self, text): raise NotImplementedError
'''


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
    """The documents in one file, and in as many as there are cores: some libraries read a file in one process."""
    lines = [json.dumps(document) + "\n" for document in documents(number)]
    (place / "parts").mkdir(parents=True)
    (place / "pages.jsonl").write_text("".join(lines))
    each = -(-len(lines) // CORES)
    for part in range(CORES):
        (place / "parts" / f"{part}.jsonl").write_text("".join(lines[part * each : (part + 1) * each]))
    (place / "job_t_words.py").write_text(SPLITTING)


# One document


def filters() -> list[Any]:
    import datatrove.pipeline.filters as known
    from job_t_words import Splitter

    return [getattr(known, name)(**options, language=Splitter("en")) for name, options in OPTIONS.items()]


_steps: list[Any] = []


def steps() -> list[Any]:
    """The filters of this process."""
    if not _steps:
        _steps[:] = filters()  # not `extend`: polars calls from several threads
    return _steps


def passing(record: dict[str, Any]) -> dict[str, Any] | None:
    """The record with its text as the filters leave it; None if one drops it."""
    from datatrove.data import Document

    document = Document(record["text"], record["id"], metadata={"url": record["url"]})
    for step in steps():
        outcome = step.filter(document)
        if not (outcome[0] if isinstance(outcome, tuple) else outcome):
            return None
    return {**record, "text": document.text}


def encoded(lines: Iterable[bytes | str]) -> bytes:
    kept = (passing(json.loads(line)) for line in lines)
    return b"".join(json.dumps(record).encode() + b"\n" for record in kept if record is not None)


# The contenders


def chain(place: Path, workers: int, fuse: str) -> None:
    import stagerunner

    sys.path.append(str(PLUGIN))
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


def loop(place: Path) -> None:
    with (place / "pages.jsonl").open("rb") as lines, (place / "out.jsonl").open("wb") as out:
        for line in lines:
            out.write(encoded([line]))


def pool(place: Path) -> None:
    with (
        (place / "pages.jsonl").open("rb") as lines,
        (place / "out.jsonl").open("wb") as out,
        FORK.Pool(CORES, steps) as workers,
    ):
        out.writelines(workers.imap(encoded, iter(lambda: list(islice(lines, LINES)), [])))


def datatrove(place: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    writer = JsonlWriter(str(place / "written"), compression=None, expand_metadata=True)
    reader = JsonlReader(str(place / "parts"))
    LocalPipelineExecutor(
        [reader, *filters(), writer], tasks=CORES, workers=CORES, logging_dir=str(place / "logs"), skip_completed=False
    ).run()
    _join(place, "*.jsonl")


def polars(place: Path) -> None:
    import polars as library

    def text(record: dict[str, Any]) -> str | None:
        found = passing(record)
        return None if found is None else found["text"]

    read = library.read_ndjson(place / "pages.jsonl")
    found = read.with_columns(text=library.struct(read.columns).map_elements(text, return_dtype=library.String))
    found.filter(library.col("text").is_not_null()).write_ndjson(place / "out.jsonl")


def daft(place: Path) -> None:
    """A class with a process for each instance, as its pages say for Python that holds the lock."""
    import daft as library

    @library.cls(use_process=True, max_concurrency=CORES)
    class Filters:
        def __call__(self, text: str, id: str, url: str) -> str:
            found = passing({"text": text, "id": id, "url": url})
            return None if found is None else found["text"]  # type: ignore[return-value]

    read, column, work = library.read_json(str(place / "parts" / "*.jsonl")), library.col, Filters()
    found = read.with_column("text", work(column("text"), column("id"), column("url")))
    found.where(column("text").not_null()).write_json(str(place / "written"))
    _join(place, "**/*.json*")


def ray_data(place: Path) -> None:
    """Plain tasks: reading, filters and writing of a file are then one task each, as its optimizer wants it."""

    def kept(row: dict[str, Any]) -> list[dict[str, Any]]:
        found = passing(row)
        return [] if found is None else [found]

    with cluster.ray_data(place) as data:
        read = data.read_json(str(place / "parts"), lines=True, override_num_blocks=CORES)
        read.flat_map(kept).write_json(str(place / "written"))
    _join(place, "*.json*")


def bytewax(place: Path) -> None:
    """Two processes, each with the lines of a file and a file of its own to write to."""
    (place / "written").mkdir()
    addresses = [f"127.0.0.1:{port}" for port in cluster.free_ports(CORES)]
    processes = [FORK.Process(target=_bytewax, args=(place, addresses, number)) for number in range(CORES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert not process.exitcode, process.exitcode
    _join(place, "*.jsonl")


def _bytewax(place: Path, addresses: list[str], number: int) -> None:
    import bytewax.operators as op
    from bytewax.connectors.files import DirSource
    from bytewax.dataflow import Dataflow
    from bytewax.outputs import DynamicSink, StatelessSinkPartition
    from bytewax.testing import cluster_main

    class Part(StatelessSinkPartition):  # type: ignore[misc]
        def __init__(self, path: Path) -> None:
            self._file = path.open("w")

        def write_batch(self, items: list[str]) -> None:
            self._file.writelines(items)

        def close(self) -> None:
            self._file.close()

    class Sink(DynamicSink):  # type: ignore[misc]
        def build(self, step_id: str, worker_index: int, worker_count: int) -> Part:
            return Part(place / "written" / f"{worker_index}.jsonl")

    def kept(line: str) -> str | None:
        found = passing(json.loads(line))
        return None if found is None else json.dumps(found) + "\n"

    flow = Dataflow("text")
    lines = op.input("lines", flow, DirSource(place / "parts", batch_size=LINES))
    op.output("out", op.filter_map("filters", lines, kept), Sink())
    cluster_main(flow, addresses, number)


def _join(place: Path, pattern: str) -> None:
    """What was written to several files, in one."""
    parts = sorted(path for path in (place / "written").glob(pattern) if path.is_file())
    (place / "out.jsonl").write_bytes(b"".join(part.read_bytes() for part in parts))


ONE, TWO, FUSED = "a process each", "two workers each", "two workers, fuse: auto"
OURS = (ONE, TWO, FUSED)
LOOP, POOL, OWN, POLARS = "plain loop", f"Pool({CORES}).imap over lines", "datatrove's executor", "polars, map_elements"
DAFT, RAY, BYTEWAX = "Daft, cls in processes", "Ray Data, flat_map", "Bytewax, two processes"
UNORDERED = (DAFT, RAY, BYTEWAX)
UNCOUNTED = (OWN, DAFT, RAY)
"""Nobody waits for their processes, so their CPU time is not told."""
OTHERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    LOOP: ("json", loop),
    POOL: ("json", pool),
    OWN: ("datatrove", datatrove),
    POLARS: ("polars", polars),
    DAFT: ("daft", daft),
    RAY: ("ray.data", ray_data),
    BYTEWAX: ("bytewax", bytewax),
}
WAYS: dict[str, Callable[[Path], None]] = {
    ONE: partial(chain, workers=1, fuse="off"),
    TWO: partial(chain, workers=2, fuse="off"),
    FUSED: partial(chain, workers=2, fuse="auto"),
    **{name: way for name, (module, way) in OTHERS.items() if installed(module.partition(".")[0])},
}


def run(name: str, place: Path) -> None:
    """One contender; what passed is left in out.jsonl. Processes that it starts find the same modules."""
    sys.path[:0] = [str(place)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(place), str(HERE), os.environ.get("PYTHONPATH", "")])
    WAYS[name](place)


def kept(place: Path, name: str) -> list[tuple[str, str]]:
    """Who passed, with which text, in the order of the documents. datatrove leaves an empty text out."""
    records = (json.loads(line) for line in (place / "out.jsonl").read_text().splitlines())
    found = [(record["id"], record.get("text", "")) for record in records]
    return sorted(found, key=lambda each: int(each[0].partition("-")[2])) if name in UNORDERED else found
