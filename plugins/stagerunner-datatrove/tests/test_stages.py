"""datatrove's own filters and formatters, unmodified, in chains."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter, RegexFilter
from datatrove.pipeline.formatters import PIIFormatter

import stagerunner
from stagerunner import ConfigError

SPLITTING = """
import re
from datatrove.utils.word_tokenizers import WordTokenizer, simple_span_tokenize

class Splitting(WordTokenizer):
    "Takes the place of spaCy, which takes long to install."
    def word_tokenize(self, text): return re.findall(r"\\\\w+|[^\\\\w\\\\s]", text)
    def sent_tokenize(self, text): return re.split(r"(?<=[.!?])\\\\s+", text)
    def span_tokenize(self, text): return list(simple_span_tokenize(text, self.sent_tokenize(text)))
""".replace("\\\\", "\\")

SPLITTER = {"object": "splitting:Splitting", "with": {"language": "en"}}
QUALITY = {"min_doc_words": 20, "language": SPLITTER}
STEPS = {
    "repetition": ("GopherRepetitionFilter", {"language": SPLITTER, "top_n_grams": [[2, 0.2], [3, 0.18]]}),
    "quality": ("datatrove.pipeline.filters:GopherQualityFilter", QUALITY),
    "c4": ("C4QualityFilter", {"min_num_sentences": 3, "language": SPLITTER}),
    "regex": ("RegexFilter", {"regex_exp": "seven river"}),
    "pii": ("PIIFormatter", {"email_replacement": "someone@example.org"}),
}


@pytest.fixture(autouse=True)
def splitting(tmp_path, monkeypatch):
    (tmp_path / "splitting.py").write_text(SPLITTING)
    monkeypatch.syspath_prepend(str(tmp_path))


def stage(name: str, **settings) -> dict:
    step, options = STEPS[name]
    return {"use": "datatrove", "name": name, "with": {"step": step, "options": options}, **settings}


def config(folder: Path, stages: list, **keys) -> Path:
    path = folder / "chain.json"
    whole = {
        "version": 1,
        "source": "pages.jsonl",
        "sink": "clean.jsonl",
        "dropped": "dropped.jsonl",
        "run": {"fuse": "auto"},
        **keys,
    }
    path.write_text(json.dumps({**whole, "stages": stages}))
    return path


def results(*stages: dict, records: list, **keys) -> list:
    with stagerunner.load({"version": 1, "stages": list(stages), **keys}, engine="inline").run(records) as given:
        return list(given)


def lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_datatrove(pages: list, folder: Path) -> list:
    """What datatrove's own executor makes of the pages."""
    from splitting import Splitting

    kept: list = []
    splitter = Splitting("en")
    LocalPipelineExecutor(
        pipeline=[
            [Document(page["text"], page["id"], metadata={"url": page["url"]}) for page in pages],
            GopherRepetitionFilter(language=splitter, top_n_grams=((2, 0.2), (3, 0.18))),
            GopherQualityFilter(min_doc_words=20, language=splitter),
            C4QualityFilter(min_num_sentences=3, language=splitter),
            RegexFilter("seven river"),
            PIIFormatter(email_replacement="someone@example.org"),
            lambda data, rank, world_size: (kept.append(document) or document for document in data),
        ],
        logging_dir=str(folder / "logs"),
    ).run()
    return [{"id": document.id, "text": document.text, **document.metadata} for document in kept]


def test_a_chain_gives_what_datatrove_gives_though_a_worker_is_killed(folder, pages, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "deadly.py").write_text(
        "import os, signal\n"
        "from stagerunner import stage\n"
        "@stage\n"
        "def deadly(record):\n"
        "    if record['id'] == 'page-200':\n"
        "        try: os.close(os.open('died', os.O_CREAT | os.O_EXCL))\n"
        "        except FileExistsError: return record\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return record\n"
    )
    stages = [stage(name) for name in STEPS]
    summary = stagerunner.run(config(folder, [{"use": "./deadly.py:deadly"}, *stages]))

    expected = by_datatrove(pages, folder)
    assert 50 < len(expected) < 350
    assert lines(folder / "clean.jsonl") == expected
    assert summary.restarts == 1
    assert summary.balanced
    reasons = {(letter["stage"], letter["reason"]) for letter in lines(folder / "dropped.jsonl")}
    assert {
        ("repetition", "dup_line_frac"),
        ("quality", "gopher_short_doc"),
        ("c4", "lorem_ipsum"),
        ("regex", "RegexFilter"),
    } <= reasons
    (counted,) = [one.counters for one in summary.stages if one.name == "c4"]
    assert counted["line-total"] > counted["line-filter-javascript"] > 0


def test_a_batch_gives_what_single_documents_give(pages):
    one = stage("regex")
    batch = {**one, "use": "datatrove.batch", "batch": 16}
    assert results(batch, records=pages) == results(one, records=pages)


def test_filters_of_one_process_split_a_text_once(pages, monkeypatch):
    import splitting

    class Counting(splitting.Splitting):
        split: ClassVar[list] = []

        def word_tokenize(self, text):
            self.split.append(text)
            return super().word_tokenize(text)

        __eq__, __hash__ = lambda self, other: type(self) is type(other), lambda self: 1

    monkeypatch.setattr(splitting, "Counting", Counting, raising=False)
    options = {"language": {"object": "splitting:Counting", "with": {"language": "en"}}}
    filters = [
        {"use": "datatrove", "name": step.lower(), "with": {"step": step, "options": options}}
        for step in ("GopherRepetitionFilter", "GopherQualityFilter")
    ]

    results(*filters, records=pages, run={"frame": 50})

    assert len(Counting.split) == len(set(Counting.split))


def test_a_failure_is_that_of_its_document(pages):
    short = stage("quality", on_error="skip")
    short["with"] = {"step": "GopherQualityFilter", "options": {"min_doc_words": 0, "language": SPLITTER}}
    records = [{"text": "!"}, {"text": 5}, pages[0]]
    with stagerunner.load({"version": 1, "stages": [short]}, engine="inline").run(records) as given:
        assert list(given) == [pages[0]]
    assert given.summary.stages[0].skipped == 2


@pytest.mark.parametrize(
    ("step", "options", "why"),
    [
        ("GopherFilter", {}, "datatrove has no step 'GopherFilter'; there is C4BadWordsFilter"),
        ("datatrove.pipeline.filters:Nothing", {}, "has no 'Nothing'"),
        ("no_such_module:Nothing", {}, "can't be imported: No module named 'no_such_module'"),
        ("datatrove.data:Document", {}, "neither a filter, a formatter nor an extractor"),
        ("RegexFilter", {}, "RegexFilter: missing a required argument: 'regex_exp'; it takes regex_exp"),
        ("RegexFilter", {"regex_exp": "a", "flags": 1}, "unexpected keyword argument 'flags'"),
        ("RegexFilter", {"regex_exp": "a", "exclusion_writer": 1}, "`dropped: FILE`"),
        ("LambdaFilter", {"filter_function": {"object": "operator:nothing"}}, "module 'operator' has no 'nothing'"),
    ],
)
def test_mistakes_are_found_before_anything_starts(step, options, why):
    with pytest.raises(ConfigError) as wrong:
        stagerunner.load({"version": 1, "stages": [{"use": "datatrove", "with": {"step": step, "options": options}}]})
    assert why in str(wrong.value)


def test_only_filters_take_lists():
    with pytest.raises(ConfigError, match="only filters take lists"):
        stagerunner.load({"version": 1, "stages": [{"use": "datatrove.batch", "with": {"step": "PIIFormatter"}}]})


README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
def test_an_example_of_the_readme_is_right(text, folder):
    chain = folder / "chain.yaml"
    chain.write_text(text)
    (folder / "out").mkdir()
    (folder / "envs").mkdir()
    (folder / "envs" / "datatrove").symlink_to(sys.prefix)
    assert stagerunner.load(chain).plan.stages
