"""The stage `http`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlencode

from stagerunner import Reject, stage
from stagerunner_parts.json_values import json_value
from stagerunner_parts.needed import need
from stagerunner_parts.template import Filling, Template, as_text
from stagerunner_parts.values import must_be_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagerunner_parts.web.client import Answer, Client, Request

need("http", "aiohttp")

MOST = 16 * 2**20
"""Bytes of the largest answer, unless `max_body` says otherwise."""

WEB = ("http://", "https://")

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]{1,20}")
_NOT_IN_URLS = re.compile(r"""[\0-\x20"<>\\^`{|}\x7f]""")
_NOT_IN_HEADERS = re.compile(r"[\r\n\0]")
_HALF = re.compile("[\ud800-\udfff]")


class Body:
    """What is sent: a text, or a list or mapping, which is sent as JSON."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self._fill = Filling.of(data)

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Raises ValueError for a text in it that is no template."""
        return cls(data)

    def __reduce__(self) -> tuple[type[Self], tuple[Any]]:
        return type(self), (self.data,)

    def __repr__(self) -> str:
        return f"Body({self.data!r})"

    def __call__(self, record: Any) -> tuple[bytes, str]:
        """The bytes for a record, and their content type."""
        filled = self._fill(record)
        if isinstance(filled, str):
            return filled.encode(), "text/plain; charset=utf-8"
        if isinstance(filled, bytes):
            return filled, "application/octet-stream"
        try:
            return json.dumps(filled, ensure_ascii=False, allow_nan=False).encode(), "application/json"
        except (TypeError, ValueError, RecursionError) as error:
            raise Reject(f"the body can't be written as JSON: {error}") from None


@stage("http", state=False, pure=True)
class Http:
    """Ask a service over HTTP about each record.

    In url, method, headers, params and body, `{field}` stands for a field of the record, `{user.name}` for a field in a
    field, `{record}` for the whole record, and `{{` for a brace. The settings `concurrency`, `rate`, `timeout` and
    `retry` hold. 429, and 5xx with `Retry-After`, make all workers of the stage pause; a broken connection and any
    other 5xx are failures that are tried again; other statuses are final failures. Redirects to another host or port
    are followed only without headers and body. Proxies of the environment are not used.

    url: the URL; a field in it is percent-encoded, except one at its very beginning.
    method: the method; by default POST if there is a body, else GET.
    headers: headers of the request.
    params: parameters to add to the URL; one that is null is left out, a list gives one for each item.
    body: the body: a text is sent as it is, a list or mapping as JSON, where a text that is one field keeps its type.
    into: the field for the answer; without it, the answer becomes the record.
    parse: how the answer's body is read.
    answer: body is its body alone, whole is a mapping with status, headers and body.
    max_body: bytes of the largest answer, decompressed; a larger one is a failure.
    proxy: the URL of a proxy.
    """

    def __init__(
        self,
        *,
        url: Template,
        method: Template | None = None,
        headers: dict[str, Template] | None = None,
        params: dict[str, Template] | None = None,
        body: Body | None = None,
        into: str | None = None,
        parse: Literal["json", "text", "bytes"] = "json",
        answer: Literal["body", "whole"] = "body",
        max_body: int = MOST,
        proxy: str | None = None,
    ) -> None:
        self._url = url
        self._method = method
        self._headers = headers or {}
        self._params = params or {}
        self._body = body
        self._into = into
        self._parse = parse
        self._whole = answer == "whole"
        self._most = max_body
        self._proxy = proxy
        self._client: Client

    def check(self, environment: Mapping[str, str]) -> None:
        """What is wrong with the options, whatever a record holds. Raises ValueError."""
        first = self._url.pieces[0].text if self._url.pieces and not self._url.pieces[0].is_field else None
        check_web("url", first, whole=self._url.is_plain)
        check_web("proxy", self._proxy)
        check_headers({name: text(None) for name, text in self._headers.items() if text.is_plain})
        check_headers(dict.fromkeys(self._headers, ""))
        check_most(self._most)
        if self._method is not None and self._method.is_plain:
            refused_in_plan(self._verb, None, None)

    async def setup(self) -> None:
        from stagerunner_parts.web.client import Client  # late: only workers import aiohttp, which takes 0.1 s

        self._client = Client(most=self._most, proxy=self._proxy)
        await self._client.open()

    async def process(self, record: Any) -> Any:
        if self._into is not None:
            must_be_mapping(record)
        answer = await self._client.ask(self._request(record))
        found: Any = self._parsed(answer)
        if self._whole:
            found = {"status": answer.status, "headers": answer.headers, "body": found}
        if self._into is not None:
            return {**record, self._into: found}
        if found is None:
            raise Reject("the answer is null, which isn't a record; `into` puts it in a field")
        return found

    async def close(self) -> None:
        await self._client.close()

    def _request(self, record: Any) -> Request:
        from stagerunner_parts.web.client import Request

        body, kind = (None, "") if self._body is None else self._body(record)
        headers = {name: header(template(record)) for name, template in self._headers.items()}
        if kind and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = kind
        return Request(self._verb(record, body), self._address(record), headers, body)

    def _verb(self, record: Any, body: bytes | None) -> str:
        if self._method is None:
            return "GET" if body is None else "POST"
        method = self._method(record).upper()
        if not _METHOD.fullmatch(method):
            raise Reject(f"{method[:40]!r} isn't a method")
        return method

    def _address(self, record: Any) -> str:
        url = _NOT_IN_URLS.sub(lambda found: f"%{ord(found[0]):02X}", self._url.url(record))
        if not url.lower().startswith(WEB):
            raise Reject("the URL begins neither with http:// nor with https://")
        given = {name: template.value(record) for name, template in self._params.items()}
        wanted = {name: _parameter(value) for name, value in given.items() if value is not None}
        if not wanted:
            return url
        address, mark, fragment = url.partition("#")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(wanted, doseq=True)}{mark}{fragment}"

    def _parsed(self, answer: Answer) -> Any:
        if self._parse == "bytes":
            return answer.body
        return json_of(answer) if self._parse == "json" else answer.text


def _parameter(value: Any) -> str | list[str]:
    return [as_text(item) for item in value] if isinstance(value, list | tuple) else as_text(value)


def check_web(name: str, text: str | None, *, whole: bool = True) -> None:
    """Raises ValueError if the text isn't a URL with http or https. whole: it is all of it, not its beginning."""
    if text is None:
        return
    begins = any(text.lower().startswith(web) or (not whole and web.startswith(text.lower())) for web in WEB)
    if not begins or (whole and text.lower() in WEB):
        raise ValueError(f"`{name}` begins neither with http:// nor with https://, or names no host")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for a name that no header can have, and for a text that none can hold."""
    for name, text in headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} can't be the name of a header: letters, digits and dashes can stand in one")
        refused_in_plan(header, text)


def refused_in_plan(call: Callable[..., Any], *arguments: Any) -> None:
    """Raises ValueError where the call would refuse every record."""
    try:
        call(*arguments)
    except Reject as why:
        raise ValueError(str(why)) from None


def check_most(most: int) -> None:
    """Raises ValueError if no answer would be small enough."""
    if most < 1:
        raise ValueError(f"`max_body` is {most}, but it is a number of bytes from 1 on")


def header(text: str) -> str:
    """The text of a header. Raises Reject if it would end the header, or can't be sent."""
    if _NOT_IN_HEADERS.search(text):
        raise Reject("a header can't hold a line break")
    if _HALF.search(text):
        raise Reject("a header can't hold half of a character (a lone surrogate)")
    return text


def json_of(answer: Answer) -> Any:
    """The JSON in an answer; None if it is empty. Raises ServiceError for anything else, since a service that answers
    nonsense may have failed for a moment."""
    from stagerunner_parts.web.client import ServiceError

    if not answer.body.strip():
        return None
    try:
        return json_value(answer.body)
    except ValueError as error:
        raise ServiceError(f"the answer isn't JSON: {error}: {answer.beginning}") from None
