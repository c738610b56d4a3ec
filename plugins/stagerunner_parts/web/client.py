"""The HTTP client of `http` and `llm`: one request, and what its status means.

    2xx                       the answer
    3xx                       followed; to another host or port only without headers and body, which were for this one
    429                       RetryLater: what `Retry-After` says; else or if that is 0: 1 s, 2 s … to a minute
    AGAIN, any from 500 on    RetryLater if there is a `Retry-After`, else a failure that `retry` may try again
    no connection, a broken   a failure that `retry` may try again
    one, or no answer
    anything else             a failure for good

No message quotes what was sent, and no variable of the environment chooses a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from yarl import URL

from stagerunner import Reject, RetryLater, __version__
from stagerunner_parts.json_values import json_value

CONNECT = 30.0
"""Seconds that a connection may take."""

SILENCE = 300.0
"""Seconds without a byte after which a call fails, if the stage's `timeout` has not ended it before."""

IDLE = 4.0
"""Seconds after which an idle connection is closed. Many servers do so after 5 s, and a call must not meet them at it.
With a host for each record, idle connections would also be too many."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds of the pauses for a 429 that doesn't say how long to wait."""

AGAIN = frozenset((408, 425, 500, 502, 503, 504))
"""Statuses, besides 429, after which the same request may succeed; so may any other from 500 on."""

REDIRECTS = frozenset((301, 302, 303, 307, 308))
MOST_REDIRECTS = 5

PORTS = {"http": 80, "https": 443}

SHOWN = 300
"""Characters of an answer that a message quotes."""

READ_OF_ERRORS = 65_536
"""Bytes of an answer that are read if its status is an error."""


class Request(NamedTuple):
    """What is sent. url: percent-encoded."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None


class Answer(NamedTuple):
    """What came back. charset: as the answer says, or utf-8."""

    status: int
    headers: dict[str, str]
    body: bytes
    charset: str = "utf-8"

    @property
    def text(self) -> str:
        """Raises ServiceError if the body is no text."""
        try:
            return self.body.decode(self.charset)
        except (ValueError, LookupError) as error:
            raise ServiceError(f"the answer isn't text: {error}") from None

    @property
    def beginning(self) -> str:
        """The body's first characters on one line, for messages."""
        return one_line(self.body[: 4 * SHOWN].decode(errors="replace"))


class ServiceError(Exception):
    """The service failed; another attempt may succeed."""


class ServiceRefused(Reject):
    """The service refuses this request, whenever it is sent."""


class Client:
    """Connections to services, kept between calls. `open` and `close` run in the event loop that makes the calls.

    most: bytes of the largest answer. proxy: its URL; None for none. for_good: codes in the JSON of an error
    (`error.code`) that no waiting changes.
    """

    def __init__(self, *, most: int, proxy: str | None = None, for_good: Collection[str] = ()) -> None:
        self._most = most
        self._proxy = proxy
        self._for_good = for_good
        self._pause, self._paused_until = 0.0, 0.0
        self._session: aiohttp.ClientSession

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE),  # `concurrency` is the limit
            cookie_jar=aiohttp.DummyCookieJar(),  # one record's answer must not change the next one's request
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE),
            headers={"User-Agent": f"stagerunner/{__version__}"},
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Answer:
        """The answer of a request that succeeded. Raises RetryLater, ServiceError, ServiceRefused, and what aiohttp
        raises for connections. No message quotes the URL, which may hold what is in the record."""
        for _ in range(MOST_REDIRECTS + 1):
            answer, location = await self._heard(request)
            if location is None:
                break
            request = redirected(request, answer.status, location)
        else:
            raise ServiceRefused(f"the service redirected more than {MOST_REDIRECTS} times")
        if 200 <= answer.status < 300:
            self._pause = 0.0
            return answer
        raise self._failure(answer)

    async def _heard(self, request: Request) -> tuple[Answer, str | None]:
        """What `_sent` gives; what aiohttp says of URLs and answers is said in our words, and without the URL."""
        try:
            return await self._sent(request)
        except aiohttp.ClientConnectorCertificateError as error:  # a ValueError too
            why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            advice = "`SSL_CERT_FILE` names other certificates to trust"
            raise ServiceError(f"the service's certificate isn't trusted: {one_line(why)}; {advice}") from None
        except ValueError:  # of yarl, aiohttp or the codec of host names: InvalidURL is one, too
            whose = "the URL" if self._proxy is None else "the URL, or that of `proxy`,"
            raise ServiceRefused(f"{whose} is not valid: look at its host and port") from None
        except aiohttp.ClientResponseError as error:
            raise ServiceError(f"the answer isn't HTTP: {one_line(error.message)}") from None
        except aiohttp.ClientPayloadError as error:
            why = getattr(error.__cause__, "message", None) or str(error)
            raise ServiceError(f"the answer can't be read to its end: {one_line(why)}") from None

    async def _sent(self, request: Request) -> tuple[Answer, str | None]:
        """The answer, and where it redirects to."""
        method, url, headers, body = request
        options = {"headers": headers, "data": body, "proxy": self._proxy, "allow_redirects": False}
        async with self._session.request(method, URL(url, encoded=url.isascii()), **options) as response:  # type: ignore[arg-type]
            most = self._most if response.status < 300 else READ_OF_ERRORS
            content = await self._body(response, most)
            answer = Answer(response.status, dict(response.headers), content, response.charset or "utf-8")
            return answer, response.headers.get("Location") if response.status in REDIRECTS else None

    async def _body(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """The body, decompressed. Raises ServiceRefused beyond `most` bytes; of an error, as many as that."""
        pieces, size = [], 0
        async for piece in response.content.iter_chunked(65_536):
            pieces.append(piece)
            size += len(piece)
            if size > most and response.status < 300:
                raise ServiceRefused(f"the answer is larger than {most:,} bytes (`max_body`)")
            if size > most:
                response.close()
                break
        return b"".join(pieces)

    def _failure(self, answer: Answer) -> Exception:
        why = explained(answer)
        after = retry_after(answer.headers.get("Retry-After", "")) or None  # 0 for ever would be a storm of requests
        if self._for_good and error_code(answer) in self._for_good:
            return ServiceRefused(why)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return RetryLater(self._next_pause() if after is None else after, why)
        if answer.status in AGAIN or answer.status >= 500:
            return ServiceError(why) if after is None else RetryLater(after, why)
        return ServiceRefused(why)

    def _next_pause(self) -> float:
        """Seconds to wait after a 429 without a time: longer with each that comes after the last pause has ended."""
        now = monotonic()
        if now >= self._paused_until:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
            self._paused_until = now + self._pause
        return self._paused_until - now


def explained(answer: Answer) -> str:
    """ "the service answered 404 Not Found: …"."""
    known = answer.status in HTTPStatus._value2member_map_
    name = f" {HTTPStatus(answer.status).phrase}" if known else ""
    return f"the service answered {answer.status}{name}" + (f": {answer.beginning}" if answer.beginning else "")


def one_line(text: str) -> str:
    """Its first characters, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def error_code(answer: Answer) -> str:
    """What the JSON of an error calls itself; "" if it doesn't."""
    try:
        error = json_value(answer.body)["error"]
        return str(error.get("code") or error.get("type") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def retry_after(text: str) -> float | None:
    """Seconds that a `Retry-After` says, as a number or as a date; None if it says nothing."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for.

    Raises ServiceRefused if it leads elsewhere with headers or a body, which were meant for this host.
    """
    try:
        url = urljoin(request.url, location)
        here, there = urlsplit(request.url), urlsplit(url)
        same = _same_service(here, there)
    except ValueError:
        raise ServiceRefused(f"the service redirects to something that isn't a URL: {location[:SHOWN]!r}") from None
    bare = not request.headers and request.body is None and there.scheme in ("http", "https")
    if not (same or bare):
        host = there.netloc.rpartition("@")[2]
        name = f"{there.scheme}://{host}" if host else location[:SHOWN]
        raise ServiceRefused(f"the service redirects to another host or port, {name}; name that in `url`")
    if status == HTTPStatus.SEE_OTHER or (status in (301, 302) and request.method == "POST"):
        kept = {name: text for name, text in request.headers.items() if not name.lower().startswith("content-")}
        return Request("GET", url, kept)
    return request._replace(url=url)


def _same_service(here: SplitResult, there: SplitResult) -> bool:
    """Whether the host is the same, and the port too, unless it changes from that of http to that of https.

    Behind another port may be a service of someone else. Raises ValueError for what is no port.
    """
    if here.hostname != there.hostname or there.scheme not in PORTS:
        return False
    ports = tuple(url.port or PORTS.get(url.scheme) for url in (here, there))
    if here.scheme == there.scheme:
        return ports[0] == ports[1]
    return ports == (PORTS["http"], PORTS["https"])
