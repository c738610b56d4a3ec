from __future__ import annotations

import json
import random

import pytest

WORDS = "the be to of and that have with a in house tree river seven under light stone again never".split()


def sentence(draw: random.Random) -> str:
    words = [draw.choice(WORDS) for _ in range(draw.randint(4, 14))]
    return " ".join(words).capitalize() + draw.choice([".", ".", ".", "!", "", "..."])


def text(draw: random.Random) -> str:
    if draw.random() < 0.15:
        return "\n".join([sentence(draw)] * 6)
    lines = [sentence(draw) for _ in range(draw.randint(3, 20))]
    if draw.random() < 0.2:
        lines[draw.randrange(len(lines))] = draw.choice(
            ["Lorem ipsum is here.", "Use of javascript it is.", "write amy@example.com now."]
        )
    return "\n".join(lines)


@pytest.fixture(scope="session")
def pages() -> list[dict]:
    """Documents of which each filter drops some."""
    draw = random.Random(7)
    return [
        {"id": f"page-{number}", "text": text(draw), "url": f"http://example.org/{number}"} for number in range(400)
    ]


@pytest.fixture
def folder(tmp_path, pages):
    """A folder with the documents in `pages.jsonl`."""
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    return tmp_path
