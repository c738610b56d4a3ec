"""Parts of files over HTTP: what is asked for, and what an answer says."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from stagerunner_parts.remote import web


class Answer:
    def __init__(self, status, content=b"", headers=None):
        self.status, self.content, self.headers = status, content, headers or {}

    def raise_for_status(self):
        if self.status >= 400:
            raise OSError(f"status {self.status}")

    async def read(self):
        return self.content


class System:
    """fsspec's file system for HTTP, as far as it is used. asked: the headers of each call."""

    def __init__(self, answer):
        self.answer, self.asked, self.kwargs = answer, [], {"headers": {"X-Key": "1"}}

    def encode_url(self, url):
        return url

    async def set_session(self):
        return self

    @asynccontextmanager
    async def get(self, url, *, headers):
        self.asked.append(headers)
        yield self.answer


def part(system, start=10, stop=20):
    return asyncio.run(web._part(system, "http://a/b", start, stop))


def test_the_range_is_asked_for_with_the_users_headers():
    system = System(Answer(206, b"x" * 10, {"ETag": "e"}))
    assert part(system) == (b"x" * 10, {"ETag": "e"})
    assert system.asked == [{"X-Key": "1", "Range": "bytes=10-19"}]


def test_a_server_that_gives_the_whole_file_is_noticed_before_it_is_read():
    with pytest.raises(web.NoRangesError, match="200 in answer to a Range"):
        part(System(Answer(200)))


def test_a_refusal_is_an_error():
    with pytest.raises(OSError, match="status 503"):
        part(System(Answer(503)))


@pytest.mark.parametrize(
    ("said", "size"),
    [("bytes 0-9/1234", 1234), ("bytes 0-9/*", None), ("bytes */1234", None), ("", None)],
)
def test_the_size_of_the_whole_file(said, size):
    assert web.whole_size({"Content-Range": said} if said else {}) == size
