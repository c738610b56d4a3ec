"""The client against a server of the test: what each status, header and broken connection means."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from support.web import Reply, Web

from stagerunner import Reject, RetryLater
from stagerunner_parts.web import client as module
from stagerunner_parts.web.client import (
    Client,
    Request,
    ServiceError,
    ServiceRefused,
    redirected,
    retry_after,
)


def asked(web, *targets, most=1000, method="GET", headers=None, body=None, **options):
    """What the client makes of requests for these targets, one after the other: answers, or exceptions."""

    async def ask():
        client = Client(most=most, **options)
        await client.open()
        found = []
        for target in targets:
            try:
                found.append(await client.ask(Request(method, web.url + target, headers or {}, body)))
            except Exception as error:
                found.append(error)
        await client.close()
        return found

    return asyncio.run(ask())


def test_an_answer_has_status_headers_body_and_charset():
    with Web(lambda request: Reply(201, b"gr\xfcn", {"Content-Type": "text/plain; charset=latin-1"})) as web:
        (answer,) = asked(web, "/a?b=%2F", method="PUT", headers={"X-A": "1"}, body=b"sent")
    assert (answer.status, answer.text, answer.headers["Content-Type"]) == (201, "grün", "text/plain; charset=latin-1")
    (request,) = web.requests
    assert (request.method, request.target, request.body, request.headers["x-a"]) == ("PUT", "/a?b=%2F", b"sent", "1")
    assert request.headers["user-agent"].startswith("stagerunner/")


def test_a_connection_is_used_again_and_cookies_are_not():
    with Web(lambda request: Reply(headers={"Set-Cookie": "a=b"})) as web:
        asked(web, "/1", "/2", "/3")
    assert web.connections == 1
    assert not any("cookie" in request.headers for request in web.requests)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "seconds"),
    [
        (429, {"Retry-After": "7"}, RetryLater, 7),
        (503, {"Retry-After": "0.5"}, RetryLater, 0.5),
        (503, {"Retry-After": "soon"}, ServiceError, None),
        (429, {"Retry-After": "0"}, RetryLater, 1),
        (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, RetryLater, 1),
        (503, {"Retry-After": "0"}, ServiceError, None),
        (500, {}, ServiceError, None),
        (599, {}, ServiceError, None),
        (408, {}, ServiceError, None),
        (404, {"Retry-After": "7"}, ServiceRefused, None),
        (401, {}, ServiceRefused, None),
        (304, {}, ServiceRefused, None),
    ],
)
def test_what_a_status_means(status, headers, kind, seconds):
    with Web(lambda request: Reply(status, "" if status == 304 else "so\n  sorry", headers)) as web:
        (error,) = asked(web, "/")
    assert type(error) is kind
    assert getattr(error, "seconds", None) == seconds
    assert f"the service answered {status}" in str(error)
    assert status == 304 or str(error).endswith(": so sorry")


def test_only_a_refusal_is_final():
    assert issubclass(ServiceRefused, Reject)
    assert not issubclass(ServiceError, Reject)


def test_pauses_grow_while_a_429_gives_no_time(monkeypatch):
    moments = iter([100.0, 100.5, 101.5, 104.0, 200.0, 300.0])
    monkeypatch.setattr(module, "monotonic", lambda: next(moments))
    statuses = iter([429, 429, 429, 429, 200, 429])
    with Web(lambda request: Reply(next(statuses))) as web:
        *later, answer, again = asked(web, *"/" * 6)
    # The second comes half a second into the pause of the first: it is no further sign.
    assert [error.seconds for error in later] == [1.0, 0.5, 2.0, 4.0]
    assert (answer.status, again.seconds) == (200, 1.0)


def test_a_quota_that_is_used_up_is_final():
    body = {"error": {"code": "insufficient_quota", "message": "pay"}}
    with Web(lambda request: Reply(429, body, {"Retry-After": "1"})) as web:
        (waits,), (final,) = asked(web, "/"), asked(web, "/", for_good={"insufficient_quota"})
    assert (type(waits), type(final)) == (RetryLater, ServiceRefused)


def test_a_long_error_is_cut_and_not_read_to_its_end():
    with Web(lambda request: Reply(404, "x" * 10_000_000)) as web:
        (error,) = asked(web, "/")
    assert str(error) == f"the service answered 404 Not Found: {'x' * 300}…"


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_refused(packed):
    body = b"x" * 1_000_000
    headers = {"Content-Encoding": "gzip"} if packed else {}
    with Web(lambda request: Reply(200, gzip.compress(body) if packed else body, headers)) as web:
        (error,) = asked(web, "/", most=999_999)
        (answer,) = asked(web, "/", most=1_000_000)
    assert (type(error), str(error)) == (ServiceRefused, "the answer is larger than 999,999 bytes (`max_body`)")
    assert answer.body == body


@pytest.mark.parametrize("drop", [0, 10, 200])
def test_a_broken_connection_may_be_tried_again(drop):
    with Web(lambda request: Reply(200, "y" * 500, drop=drop)) as web:
        (error,) = asked(web, "/", method="POST", body=b"{}")
    assert isinstance(error, aiohttp.ClientError | ServiceError)


def test_an_answer_that_is_not_http_is_said_in_our_words_and_without_the_url():
    with Web(lambda request: Reply(200, "y", {"Content-Length": "-7"})) as web:
        (error,) = asked(web, "/amy@example.org")
    assert type(error) is ServiceError
    assert str(error).startswith("the answer isn't HTTP: ")
    assert "amy" not in str(error)


def test_an_answer_in_an_encoding_that_nobody_knows_is_no_text_but_may_be_json():
    with Web(lambda request: Reply(200, "{}", {"Content-Type": "text/plain; charset=nosuch"})) as web:
        (answer,) = asked(web, "/")
    assert answer.body == b"{}"
    with pytest.raises(ServiceError, match="the answer isn't text: unknown encoding: nosuch"):
        answer.text


@pytest.mark.parametrize("host", ["http://?", "http:///", "http://127.0.0.1:99999/", "http://[::1", "http://a..b/"])
def test_a_url_without_a_proper_host_is_refused_for_good(host):
    with Web(lambda request: Reply()) as web:
        web.url = host
        (error,) = asked(web, "amy")
    assert (type(error), str(error)) == (ServiceRefused, "the URL is not valid: look at its host and port")


def test_no_connection_may_be_tried_again():
    with Web(lambda request: Reply()) as web:
        pass
    (error,) = asked(web, "/")
    assert isinstance(error, aiohttp.ClientConnectorError)


# Redirects


def test_redirects_on_the_same_host_are_followed():
    places = {"/a": (302, "/b"), "/b": (303, "c?d"), "/post": (307, "/c")}

    def answer(request):
        status, location = places.get(request.target, (200, ""))
        return Reply(status, headers={"Location": location})

    with Web(answer) as web:
        (answer,) = asked(web, "/a", method="POST", body=b"sent", headers={"Content-Type": "a/b", "X-Key": "k"})
        asked(web, "/post", method="POST", body=b"again")
    assert answer.status == 200
    sent = [(request.method, request.target, request.body) for request in web.requests]
    assert sent == [
        *(("POST", "/a", b"sent"), ("GET", "/b", b""), ("GET", "/c?d", b"")),
        *(("POST", "/post", b"again"), ("POST", "/c", b"again")),
    ]
    assert [request.headers.get("x-key") for request in web.requests[:3]] == ["k"] * 3
    assert "content-type" not in web.requests[1].headers or web.requests[1].headers["content-type"] != "a/b"


def test_a_circle_of_redirects_ends():
    with Web(lambda request: Reply(301, headers={"Location": "/"})) as web:
        (error,) = asked(web, "/")
    assert (type(error), str(error)) == (ServiceRefused, "the service redirected more than 5 times")


@pytest.mark.parametrize(
    "location",
    ["http://other.example/x?key=1", "//other.example/", "http://h.example/", "ftp://h", "//h.example:8443/"],
)
def test_a_redirect_to_another_host_is_refused(location):
    request = Request("GET", "https://h.example/a", {"Authorization": "Bearer k"})
    with pytest.raises(ServiceRefused, match=r"redirects to another host or port, \w+://(other|h)"):
        redirected(request, 302, location)


def test_without_headers_and_body_it_is_followed():
    request = Request("GET", "https://h.example/a", {})
    assert redirected(request, 302, "http://www.h.example/b").url == "http://www.h.example/b"
    for changed, location in ((request._replace(body=b""), "https://other/"), (request, "ftp://h.example/")):
        with pytest.raises(ServiceRefused):
            redirected(changed, 307, location)


def test_a_redirect_that_leads_nowhere_is_named_as_the_service_wrote_it():
    for location, why in (
        ("file:///etc/passwd", r"another host or port, file:///etc/passwd;"),
        ("http://[::1", r"isn't a URL: 'http://\[::1'"),
        ("http://h:99999/", r"isn't a URL: 'http://h:99999/'"),
    ):
        with pytest.raises(ServiceRefused, match=why):
            redirected(Request("GET", "http://h/a", {}), 302, location)


def test_a_redirect_to_https_is_followed():
    assert redirected(Request("GET", "http://h/a", {}), 301, "https://h/b").url == "https://h/b"
    keyed = Request("GET", "http://h:80/a", {"X-Key": "k"})
    assert redirected(keyed, 301, "https://h:443/b").url == "https://h:443/b"
    assert redirected(keyed._replace(url="https://h:8443/a"), 301, "https://h:8443/b").url == "https://h:8443/b"


def test_a_redirect_from_the_port_of_another_service_gets_no_key():
    with Web(lambda request: Reply()) as other:
        with Web(lambda request: Reply(302, headers={"Location": other.url})) as web:
            (error,) = asked(web, "/", headers={"Authorization": "Bearer k"})
    assert type(error) is ServiceRefused
    assert other.requests == []


def test_a_certificate_that_is_not_trusted_is_no_fault_of_the_url(monkeypatch):
    async def sent(client, request):
        why = ssl.SSLCertVerificationError(1, "certificate verify failed")
        why.verify_message = "self-signed certificate"
        raise aiohttp.ClientConnectorCertificateError(None, why)

    monkeypatch.setattr(Client, "_sent", sent)
    with Web(lambda request: Reply()) as web:
        (error,) = asked(web, "/")
    assert type(error) is ServiceError
    assert "certificate isn't trusted: self-signed certificate; `SSL_CERT_FILE`" in str(error)


# Retry-After


def test_a_time_is_a_number_or_a_date():
    assert retry_after("120") == 120
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 88 < retry_after(soon) < 91
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(text) for text in ("", "soon", "-1", "1e9", "nan", "9" * 400)] == [None] * 6
    beyond = [f"01 Jan {'9' * 20} 00:00:00", f"01 Jan 2026 00:00:00 +{'9' * 20}"]
    assert [retry_after(text) for text in beyond] == [None] * 2


# Proxies


def test_the_environment_chooses_no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Web(lambda request: Reply(200, "direct")) as web:
        (answer,) = asked(web, "/")
    assert answer.text == "direct"


def test_a_proxy_that_is_named_is_used():
    with Web(lambda request: Reply(200, "by proxy")) as proxy, Web(lambda request: Reply(500)) as web:
        (answer,) = asked(web, "/a", proxy=proxy.url)
    assert answer.text == "by proxy"
    assert proxy.requests[0].target == f"{web.url}/a"
