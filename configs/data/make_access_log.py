"""Writes a web server's log in the combined format, the same one every time.

usage: python make_access_log.py [LINES] > access.log      about one line in a hundred is malformed
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

SEED = 20260512
START = datetime(2026, 5, 12, 6, 0, 0, tzinfo=UTC)
USERS = ["-"] * 12 + ["amy", "bob", "cem", "dana", "eve"]
PATHS = ["/", "/index.html", "/about", "/news", "/login", "/logout", "/cart", "/favicon.ico", "/robots.txt"]
REFERERS = ["-", "-", "https://example.org/", "https://search.example/?q=shoes", "https://example.org/news"]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "curl/8.7.1",
    "ExampleBot/2.1 (+https://bot.example/)",
]
STATUSES = [200] * 70 + [304] * 10 + [301] * 5 + [404] * 9 + [403, 401] + [500] * 2 + [502, 503]


def line(draw: random.Random, at: datetime) -> str:
    """One request."""
    ip = f"{draw.choice(['192.0.2', '198.51.100', '203.0.113'])}.{min(draw.randint(1, 254), draw.randint(1, 254))}"
    status = draw.choice(STATUSES)
    size = "-" if status == 304 else str(int(draw.lognormvariate(8, 1.2)))
    request = f"{draw.choice(['GET'] * 9 + ['POST'])} {path(draw)} HTTP/1.1"
    return (
        f"{ip} - {draw.choice(USERS)} [{at:%d/%b/%Y:%H:%M:%S %z}] "
        f'"{request}" {status} {size} "{draw.choice(REFERERS)}" "{draw.choice(AGENTS)}"'
    )


def path(draw: random.Random) -> str:
    """A page, an article or a product, the first ones more often."""
    kind = draw.random()
    if kind < 0.5:
        return PATHS[min(draw.randrange(len(PATHS)), draw.randrange(len(PATHS)))]
    number = min(draw.randint(1, 60), draw.randint(1, 60))
    return f"/articles/{number}" if kind < 0.75 else f"/api/products/{number}?lang={draw.choice(['de', 'en', 'tr'])}"


def spoilt(draw: random.Random, good: str) -> str:
    """What a full disk, a scanner or a crash makes of a line."""
    ways = [
        good[: draw.randint(5, 60)],
        good.replace('"', "", 1),
        '\\x16\\x03\\x01\\x02" 400 0',
        "",
        good.replace("[", "", 1),
    ]
    return draw.choice(ways)


def lines(number: int) -> Iterator[str]:
    draw, at = random.Random(SEED), START
    for _ in range(number):
        at += timedelta(seconds=draw.choice([0, 0, 0, 1, 1, 2, 5]))
        good = line(draw, at)
        yield spoilt(draw, good) if draw.random() < 0.01 else good


if __name__ == "__main__":
    for text in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 3000):
        print(text)
