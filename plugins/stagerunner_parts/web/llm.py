"""The stage `llm`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Literal

from stagerunner import Reject, count, stage
from stagerunner_parts.json_values import json_value
from stagerunner_parts.template import Template
from stagerunner_parts.values import must_be_mapping
from stagerunner_parts.web.http import MOST, check_headers, check_most, check_web, json_of
from stagerunner_parts.web.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagerunner_parts.web.client import Client, Request

SPENT = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
"""Codes of a 429 that no waiting changes: there is no money left."""

MOST_TOKENS = 10**12
"""Tokens of one answer beyond which the number is a fault of the service."""

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
"""JSON between the fences in which some models put it."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of the conversation."""

    content: Template
    role: Literal["user", "system", "assistant", "developer"] = "user"


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a million tokens cost."""

    input: float
    output: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.input, self.output))

    def of(self, tokens_in: int, tokens_out: int) -> float:
        return (self.input * tokens_in + self.output * tokens_out) / 1e6


@stage("llm", state=False, pure=True, memo=True)
class Llm:
    """Ask a language model about each record.

    Any service with OpenAI's interface will do: `POST BASE_URL/chat/completions`. In prompt, system and messages,
    `{field}` stands for a field of the record, as in `http`, whose rules for errors and pauses hold here too. The stage
    counts tokens_in and tokens_out, and usd if there is a price, also for answers that fail afterwards.

    model: the model's name.
    prompt: what the user says, after messages if there are any.
    system: what the system says first.
    messages: a conversation, each message with role and content.
    base_url: where the service is; what follows a `?` in it is kept.
    api_key: the key, sent as a bearer token; write `${secret:NAME}`.
    schema: a JSON Schema; the answer must be JSON that fits it. Other answers are failures that `retry` may try again.
    into: the field for the answer: a text, or with a schema its value.
    temperature: how freely the model chooses.
    max_tokens: tokens of the longest answer; one that is cut off there is a failure with a schema, else it is counted.
    extra: more parameters of the request, as the service names them.
    headers: more headers.
    price: what a million tokens cost, as {input, output} in dollars.
    max_body: bytes of the largest answer.
    proxy: the URL of a proxy.
    """

    def __init__(
        self,
        *,
        model: str,
        prompt: Template | None = None,
        system: Template | None = None,
        messages: list[Message] | None = None,
        base_url: str = "https://api.openai.com/v1",
        api_key: str = "",
        schema: Schema | None = None,
        into: str = "answer",
        temperature: float | None = None,
        max_tokens: int | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        price: Price | None = None,
        max_body: int = MOST,
        proxy: str | None = None,
    ) -> None:
        before = [Message(role="system", content=system)] if system else []
        after = [Message(content=prompt)] if prompt else []
        self._messages = [*before, *(messages or []), *after]
        if not (messages or prompt):
            raise ValueError("nothing is asked: `prompt` and `messages` are missing")
        base, mark, query = base_url.partition("?")
        self._url = f"{base.rstrip('/')}/chat/completions{mark}{query}"
        bearer = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers = {"Content-Type": "application/json", **bearer, **(headers or {})}
        self._into = into
        self._schema = schema
        self._check: Callable[[Any], None] | None = schema.check() if schema else None
        parameters = {"temperature": temperature, "max_tokens": max_tokens}
        self._parameters = {name: value for name, value in parameters.items() if value is not None} | (extra or {})
        self._model = model
        self._price = price
        self._base, self._proxy = base, proxy
        self._most, self._most_tokens = max_body, max_tokens
        self._client: Client

    def check(self, environment: Mapping[str, str]) -> None:
        """What is wrong with the options, whatever a record holds. Raises ValueError."""
        check_web("base_url", self._base)
        check_web("proxy", self._proxy)
        check_headers(self._headers)
        check_most(self._most)
        if self._most_tokens is not None and self._most_tokens < 1:
            raise ValueError(f"`max_tokens` is {self._most_tokens}, but it is a number from 1 on")
        if self._price is not None and not all(0 <= usd < inf for usd in self._price):
            raise ValueError("a `price` is a number of dollars from 0 on")

    async def setup(self) -> None:
        from stagerunner_parts.web.client import Client  # late: only workers import aiohttp

        self._client = Client(most=self._most, proxy=self._proxy, for_good=SPENT)
        await self._client.open()

    async def process(self, record: Any) -> Any:
        must_be_mapping(record)
        answer = json_of(await self._client.ask(self._request(record)))
        self._count(answer)
        text, cut = said(answer)
        if cut and self._check is None:
            count("cut off")
        return {**record, self._into: text if self._check is None else self._structured(text, cut=cut)}

    async def close(self) -> None:
        await self._client.close()

    def _request(self, record: Any) -> Request:
        from stagerunner_parts.web.client import Request

        messages = [{"role": message.role, "content": message.content(record)} for message in self._messages]
        asked = {"model": self._model, "messages": messages, **dict(self._format()), **self._parameters}
        return Request("POST", self._url, self._headers, json.dumps(asked, ensure_ascii=False).encode())

    def _format(self) -> Iterator[tuple[str, Any]]:
        if self._schema is not None:
            described = {"name": "answer", "schema": self._schema.data}
            yield "response_format", {"type": "json_schema", "json_schema": described}

    def _count(self, answer: Any) -> None:
        """Count what the answer cost. A service that doesn't say it is believed to be free.

        What is no number of tokens isn't counted, so that a budget that is never reached is reported.
        """
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if not isinstance(usage, dict):
            return
        tokens_in, tokens_out = (_number(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        for name, tokens in (("tokens_in", tokens_in), ("tokens_out", tokens_out)):
            if tokens is not None:
                count(name, tokens)
        if self._price is not None and not tokens_in is tokens_out is None:
            usd: Any = self._price.of(tokens_in or 0, tokens_out or 0)
            count("usd", usd)

    def _structured(self, text: str, *, cut: bool) -> Any:
        """The value in the answer. Raises ServiceError if it doesn't fit the schema: the model may do better."""
        from stagerunner_parts.web.client import ServiceError

        assert self._check is not None
        fenced = _FENCED.fullmatch(text)
        wrong, ends = "isn't JSON", ", cut off at max_tokens" if cut else ""
        try:
            value = json_value(fenced[1] if fenced else text)
            wrong = "doesn't fit the schema"
            self._check(value)
        except ValueError as error:
            raise ServiceError(f"the answer {wrong}{ends}: {error}: {text[:200]!r}") from None
        return value


def said(answer: Any) -> tuple[str, bool]:
    """What the model said, and whether it was cut off.

    Raises Reject if it refused, ServiceError if this isn't the answer of a model.
    """
    from stagerunner_parts.web.client import ServiceError

    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (LookupError, TypeError, AttributeError):
        raise ServiceError(f"the service's answer isn't that of a model: {json.dumps(answer)[:200]}") from None
    if refusal and not content:
        raise Reject(f"the model refused: {str(refusal)[:200]}")
    if not isinstance(content, str):
        raise ServiceError(f"the model said nothing (finish_reason: {choice.get('finish_reason')})")
    return content, choice.get("finish_reason") == "length"


def _number(value: Any) -> int | None:
    """The number of tokens, rounded up; None if it is none: a text, below 0, or beyond what any model takes."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return ceil(value)
