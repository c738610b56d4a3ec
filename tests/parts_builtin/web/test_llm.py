"""What the stage `llm` asks a model, and what it makes of the answer."""

from __future__ import annotations

import asyncio

import pytest
from support.web import Reply, Web

from stagerunner import Reject, RetryLater
from stagerunner.evaluate.stage_api import CallListener, current
from stagerunner_parts.template import Template
from stagerunner_parts.web.client import ServiceError, ServiceRefused
from stagerunner_parts.web.llm import Llm, Message, Price
from stagerunner_parts.web.schema import Schema

LABEL = Schema({"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]})


def says(content, *, usage=(10, 5), **more):
    usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1]} if usage else None
    return Reply(200, {"choices": [{"message": {"content": content}, "finish_reason": "stop", **more}], "usage": usage})


def asked(record, reply=None, **options):
    """What the stage makes of a record, the request that the service got, and the counters."""
    counted = CallListener()

    async def ask(web):
        stage = Llm(**{"model": "m-1", "base_url": f"{web.url}/v1/", "prompt": Template("Say {text}."), **options})
        await stage.setup()
        current.set(counted)
        try:
            return await stage.process(record)
        finally:
            await stage.close()

    with Web(lambda request: reply or says("done")) as web:
        try:
            found = asyncio.run(ask(web))
        except Exception as error:
            found = error
    return found, web.requests[0] if web.requests else None, counted.extra


def test_it_asks_as_openai_is_asked():
    found, request, _ = asked(
        {"text": 'a "b"'},
        api_key="k-1",
        system=Template("Be brief."),
        messages=[Message(content=Template("{text}?")), Message(role="assistant", content=Template("Yes."))],
        temperature=0.0,
        max_tokens=9,
        extra={"seed": 1, "max_tokens": 8},
        headers={"X-Org": "o"},
    )
    assert found == {"text": 'a "b"', "answer": "done"}
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert (request.headers["authorization"], request.headers["x-org"]) == ("Bearer k-1", "o")
    assert request.json == {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": 'a "b"?'},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": 'Say a "b".'},
        ],
        "temperature": 0.0,
        "max_tokens": 8,
        "seed": 1,
    }


def test_parameters_of_the_base_url_are_kept():
    with Web(lambda request: says("done")) as web:

        async def ask():
            stage = Llm(
                model="m", prompt=Template("a"), base_url=f"{web.url}/v1?api-version=2", headers={"api-key": "k"}
            )
            await stage.setup()
            await stage.process({})
            await stage.close()

        asyncio.run(ask())
    assert (web.requests[0].target, web.requests[0].headers["api-key"]) == ("/v1/chat/completions?api-version=2", "k")


def test_without_a_key_none_is_sent():
    assert "authorization" not in asked({"text": "a"})[1].headers


@pytest.mark.parametrize("said", ['{"label": "good"}', '```json\n{"label": "good"}\n```', ' {"label":"good"} \n'])
def test_a_structured_answer_is_checked(said):
    found, request, _ = asked({"text": "a"}, says(said), schema=LABEL, into="verdict")
    assert found["verdict"] == {"label": "good"}
    assert request.json["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": LABEL.data},
    }


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (says('{"label": "so-so"}'), "doesn't fit the schema: data.label must be one of"),
        (says("It is good."), "isn't JSON: Expecting value"),
        (says('{"label": "go', finish_reason="length"), "isn't JSON, cut off at max_tokens"),
        (says(None), "said nothing"),
        (Reply(200, {"choices": []}), "isn't that of a model"),
        (Reply(200, {"error": "x"}), "isn't that of a model"),
        (Reply(200, [1]), "isn't that of a model"),
        (Reply(200, "<html>"), "isn't JSON"),
        (Reply(500, "oh"), "answered 500"),
    ],
)
def test_what_another_attempt_may_mend(reply, why):
    found, *_ = asked({"text": "a"}, reply, schema=LABEL)
    assert type(found) is ServiceError
    assert why in str(found)


def test_what_no_other_attempt_mends():
    refused, *_ = asked({"text": "a"}, Reply(200, {"choices": [{"message": {"content": None, "refusal": "No."}}]}))
    assert (type(refused), str(refused)) == (Reject, "the model refused: No.")
    quota, *_ = asked({"text": "a"}, Reply(429, {"error": {"code": "insufficient_quota"}}, {"Retry-After": "1"}))
    assert type(quota) is ServiceRefused
    unknown, *_ = asked({"text": "a"}, Reply(404, {"error": {"message": "no such model"}}))
    assert "404 Not Found" in str(unknown)
    assert type(asked("just text")[0]) is Reject


def test_a_busy_service_is_asked_later():
    assert asked({"text": "a"}, Reply(429, headers={"Retry-After": "3"}))[0].seconds == 3
    assert type(asked({"text": "a"}, Reply(503, headers={"Retry-After": "3"}))[0]) is RetryLater


def test_tokens_and_money_are_counted_for_answers_that_fail_too():
    price = Price(input=1.5, output=6.0)
    for reply in (says("good"), says("It is good.")):
        _, _, counted = asked({"text": "a"}, reply, price=price, schema=None if reply == says("good") else LABEL)
        assert counted == {"tokens_in": 10, "tokens_out": 5, "usd": pytest.approx(45e-6)}
    assert asked({"text": "a"}, says("x", usage=None), price=price)[2] == {}
    for nonsense in (("many", True), (-5, -0.5), (10**400, 1e30), (None, [])):
        assert asked({"text": "a"}, says("x", usage=nonsense), price=price)[2] == {}
    assert asked({"text": "a"}, says("x", usage=(2.0, 1.5)))[2] == {"tokens_in": 2, "tokens_out": 2}


def test_an_answer_that_is_cut_off_is_counted():
    found, _, counted = asked({"text": "a"}, says("It is", finish_reason="length"))
    assert (found["answer"], counted["cut off"]) == ("It is", 1)


def test_something_must_be_asked():
    with pytest.raises(ValueError, match="`prompt` and `messages` are missing"):
        Llm(model="m")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"base_url": "h/v1"}, "`base_url` begins neither with http://"),
        ({"api_key": "a\nb"}, "can't hold a line break"),
        ({"headers": {"a b": "x"}}, "can't be the name of a header"),
        ({"max_tokens": 0}, "`max_tokens` is 0"),
        ({"max_body": 0}, "`max_body` is 0"),
        ({"price": Price(input=-1, output=1)}, "a `price` is a number of dollars"),
    ],
)
def test_what_no_record_can_put_right_is_a_mistake_in_the_plan(options, why):
    with pytest.raises(ValueError, match=why):
        Llm(model="m", prompt=Template("p"), **options).check({})
