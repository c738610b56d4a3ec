"""What the stage `http` sends for a record, and what it makes of the answer."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from support.web import Reply, Web

from stagerunner import Reject
from stagerunner_parts.template import Template
from stagerunner_parts.web.client import ServiceError
from stagerunner_parts.web.http import Body, Http

RECORD = {"id": 7, "name": "Ann O", "tags": ["x", "y"], "none": None, "yes": True, "user": {"id": 7}}


def asked(record, *, reply=None, path="", **options):
    """What the stage makes of a record, and the request that the server got."""

    async def ask(web):
        for name in ("url", "method"):
            if name in options:
                options[name] = Template(options[name].replace("WEB", web.url))
        for name in ("headers", "params"):
            options[name] = {key: Template(text) for key, text in options.get(name, {}).items()}
        stage = Http(**{"url": Template(web.url + path), **options})
        await stage.setup()
        try:
            return await stage.process(record)
        finally:
            await stage.close()

    with Web(lambda request: reply or Reply(200, {"a": 1})) as web:
        found = asyncio.run(ask(web))
    return found, web.requests[0] if web.requests else None


def test_url_headers_and_parameters_come_from_the_record():
    found, request = asked(
        RECORD,
        url="WEB/users/{name}?v=1#part",
        headers={"X-Id": "no {id}"},
        params={"tag": "{tags}", "gone": "{none}", "a b": "{name}&", "is": "{yes}", "all": "{user}"},
    )
    assert found == {"a": 1}
    assert (request.method, request.target) == (
        "GET",
        "/users/Ann%20O?v=1&tag=x&tag=y&a+b=Ann+O%26&is=true&all=%7B%22id%22%3A+7%7D",
    )
    assert request.headers["x-id"] == "no 7"


def test_a_whole_url_of_a_record():
    with Web(lambda request: Reply(200, [1])) as web:

        async def ask():
            stage = Http(url=Template("{record}"))
            await stage.setup()
            found = await stage.process(f"{web.url}/a b/ü?q=%41")
            await stage.close()
            return found

        assert asyncio.run(ask()) == [1]
    assert web.requests[0].target == "/a%20b/%C3%BC?q=A"


def test_a_body_is_json_text_or_bytes():
    _, request = asked(RECORD, body=Body({"n": "{id}", "text": "it is {name}", "all": "{record}", "is": [True, 1.5]}))
    assert request.method == "POST"
    assert request.json == {"n": 7, "text": "it is Ann O", "all": RECORD, "is": [True, 1.5]}
    assert request.headers["content-type"] == "application/json"

    _, request = asked(RECORD, body=Body("ü {id}"), headers={"content-type": "text/x"}, method="put")
    assert (request.method, request.body, request.headers["content-type"]) == ("PUT", "ü 7".encode(), "text/x")

    _, request = asked({"raw": b"\x00\xff"}, body=Body("{raw}"))
    assert (request.body, request.headers["content-type"]) == (b"\x00\xff", "application/octet-stream")


def test_the_method_may_be_a_field():
    assert asked({"verb": "delete"}, method="{verb}", reply=Reply(200, "1"))[1].method == "DELETE"


def test_the_answer_goes_into_a_field_or_becomes_the_record():
    assert asked(RECORD, into="got")[0] == {**RECORD, "got": {"a": 1}}
    assert asked("a line", path="/{{x}}", parse="text", reply=Reply(200, "said"))[0] == "said"
    assert asked(RECORD, into="got", parse="bytes", reply=Reply(200, b"\x00"))[0]["got"] == b"\x00"
    assert asked(RECORD, into="got", reply=Reply(204))[0]["got"] is None
    whole = asked(RECORD, answer="whole", reply=Reply(201, {"b": 2}, {"X-Left": "9"}))[0]
    assert (whole["status"], whole["body"], whole["headers"]["X-Left"]) == (201, {"b": 2}, "9")


@pytest.mark.parametrize(
    ("record", "options", "why"),
    [
        ({}, {"url": "WEB/{id}"}, "no field 'id'"),
        ({"id": None}, {"url": "WEB/{id}"}, "stands in the URL, is empty"),
        ({"u": "file:///etc/passwd"}, {"url": "{u}"}, "begins neither with http"),
        ({"x": "a\r\nEvil: 1"}, {"headers": {"X": "{x}"}}, "can't hold a line break"),
        ({"x": "\ud800"}, {"headers": {"X": "{x}"}}, "half of a character"),
        ({"verb": "GE T"}, {"method": "{verb}"}, "isn't a method"),
        ("text", {"into": "got"}, "this stage takes a mapping"),
        ({"x": {1, 2}}, {"body": Body({"x": "{x}"})}, "can't be written as JSON"),
        ({"x": float("nan")}, {"body": Body({"x": "{x}"})}, "can't be written as JSON"),
        ({}, {"reply": Reply(200, "null")}, "null, which isn't a record"),
        ({}, {"reply": Reply(403, "not you")}, "the service answered 403 Forbidden: not you"),
    ],
)
def test_what_can_never_succeed_is_refused(record, options, why):
    with pytest.raises(Reject, match=why):
        asked(record, **options)


@pytest.mark.parametrize(
    "body", ["<html>busy</html>", '{"a": ', b"\xff\xfe\xfd", '{"a": NaN}', '{"a": 1e999}', "[" * 100_000]
)
def test_nonsense_may_be_tried_again(body):
    with pytest.raises(ServiceError, match="isn't JSON"):
        asked({}, reply=Reply(200, body))


def test_text_in_an_unknown_charset_may_be_tried_again():
    with pytest.raises(ServiceError, match="isn't text"):
        asked({}, parse="text", reply=Reply(200, b"\xff"))


def test_a_body_travels_as_its_data():
    assert pickle.loads(pickle.dumps(Body({"a": "{b}"})))({"b": 1}) == (b'{"a": 1}', "application/json")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": Template("ftp://h/{x}")}, "`url` begins neither with http://"),
        ({"url": Template("http://")}, "or names no host"),
        ({"proxy": "h:80"}, "`proxy` begins neither with http://"),
        ({"headers": {"a b": Template("x")}}, "'a b' can't be the name of a header"),
        ({"headers": {"a": Template("x\ny")}}, "can't hold a line break"),
        ({"method": Template("GE T")}, "'GE T' isn't a method"),
        ({"max_body": 0}, "`max_body` is 0"),
    ],
)
def test_what_no_record_can_put_right_is_a_mistake_in_the_plan(options, why):
    with pytest.raises(ValueError, match=why):
        Http(**{"url": Template("http://h"), **options}).check({})


def test_what_records_decide_on_is_none():
    for url in ("{u}", "http{s}://h", "http://{host}/a", "HTTPS://h"):
        Http(url=Template(url), headers={"X-A": Template("{a}")}, method=Template("{m}")).check({})
