"""The stages `http` and `llm` in real runs: services that are slow, busy, broken, or never answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from random import Random
from time import monotonic

import pytest
from support.leaks import needs_proc
from support.waiting import wait_until
from support.web import Reply, Web

from stagerunner.events import RecordFailed


def number(request):
    """The record's number in `/ask/NUMBER`."""
    return int(request.target.rpartition("/")[2])


def asking(web, **more):
    options = {"url": f"{web.url}/ask/{{id}}", "into": "got", **more.pop("options", {})}
    return {"use": "http", "with": options, **more}


def records(many):
    return [{"id": n} for n in range(many)]


def answered(given):
    return [record["got"] for record in given]


def test_many_calls_at_once_keep_their_order_behind_a_slow_one(project):
    draw = Random(1)

    def answer(request):
        tail = number(request) % 50 == 3
        return Reply(200, number(request) * 10, after=0.4 if tail else draw.uniform(0.005, 0.03))

    with Web(answer) as web:
        given = list(project.results(asking(web, concurrency=32), records=records(200)))

    assert answered(given) == [n * 10 for n in range(200)]
    assert 16 < web.most_open <= 32
    assert web.connections <= 32, "each is used again"


@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_a_service_does_no_record_is_lost(project, workers):
    """429s, 500s, connections that break before, in and after the answer, and nonsense: each record comes through."""
    asked = {}
    troubles = [
        Reply(429, headers={"Retry-After": "0.05"}),
        Reply(503, headers={"Retry-After": "0"}),
        Reply(500, "oops"),
        Reply(drop=0),
        Reply(200, 1, drop=30),
        Reply(200, "<html>"),
        Reply(200, 1, {"Content-Length": "50"}, close=True),
    ]

    def answer(request):
        attempt = asked[number(request)] = asked.get(number(request), -1) + 1
        trouble = Random(f"{number(request)} {attempt}").randrange(12)
        if attempt < 3 and trouble < len(troubles):
            return troubles[trouble]
        return Reply(200, number(request))

    stage = {"workers": workers, "concurrency": 8, "retry": {"attempts": 4, "delay": "1ms"}, "timeout": "5s"}
    with Web(answer) as web:
        given = list(project.results(asking(web, **stage), records=records(120)))

    assert answered(given) == list(range(120))
    assert not project.told(RecordFailed)
    assert len(web.requests) == sum(asked.values()) + 120


def test_a_service_that_is_busy_for_a_while_costs_no_record(project):
    """Longer than all attempts of `retry` would last: the record has one."""
    opened = monotonic() + 1.5
    early = []

    def answer(request):
        early.append(number(request))
        return Reply(200, number(request)) if monotonic() > opened else Reply(429, headers={"Retry-After": "0.3"})

    with Web(answer) as web:
        given = list(project.results(asking(web, workers=2, concurrency=4), records=records(40)))

    assert answered(given) == list(range(40))
    assert len(early) < 40 + 8 * 8, "between two rounds nobody asks"


def test_a_service_that_never_answers_costs_the_records_it_was_asked_for(project):
    letters = project / "letters.jsonl"
    with Web(lambda request: Reply(after=1000 if number(request) == 3 else 0, body=number(request))) as web:
        stage = asking(web, timeout="500ms", retry={"attempts": 2, "delay": "1ms"}, on_error="dead_letter")
        given = list(project.results(stage, records=records(8), dead_letter=str(letters)))

    assert answered(given) == [n for n in range(8) if n != 3]
    (failed,) = project.told(RecordFailed)
    assert failed.type == "Timeout"
    assert [number(request) for request in web.requests].count(3) == 2


def test_a_refusal_is_a_dead_letter_with_status_and_beginning(project):
    letters = project / "letters.jsonl"
    with Web(lambda request: Reply(404, "no such thing") if number(request) == 1 else Reply(200, 0)) as web:
        stage = asking(web, on_error="dead_letter", retry=5)
        list(project.results(stage, records=records(3), dead_letter=str(letters)))

    letter = json.loads(letters.read_text())
    assert letter["record"] == {"id": 1}
    assert (letter["type"], letter["message"]) == (
        "ServiceRefused",
        "the service answered 404 Not Found: no such thing",
    )
    assert [number(request) for request in web.requests].count(1) == 1, "it isn't tried again"


@needs_proc
@pytest.mark.parametrize("engine", ["process", "inline"])
def test_ctrl_c_with_calls_in_flight_loses_nothing(project, engine):
    project.write("in.jsonl", "".join(json.dumps(record) + "\n" for record in records(200)))
    state = {"slow": True}

    def answer(request):
        return Reply(200, number(request), after=0.2 if state["slow"] else 0)

    with Web(answer) as web:
        chain = project.config(asking(web, concurrency=64), source="in.jsonl", sink="out.jsonl")
        with project.start("run", str(chain), "--engine", engine, "--progress", "none") as process:
            wait_until(lambda: len(web.requests) > (20 if engine == "process" else 3))
            process.send_signal(signal.SIGINT)
            state["slow"] = engine == "process"
            _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert b"Traceback" not in err
        state["slow"] = False
        assert project.cli("run", str(chain), "--resume", "--engine", engine).returncode == 0
    assert answered(map(json.loads, (project / "out.jsonl").read_text().splitlines())) == list(range(200))


# Secrets


SECRET = "s3cr3t-k3y"


@pytest.mark.parametrize("failing", ["refused", "broken", "redirected"])
def test_a_secret_is_in_no_message(project, monkeypatch, failing):
    monkeypatch.setenv("KEY", SECRET)
    replies = {
        "refused": Reply(403, f"your key {SECRET} is bad"),
        "broken": Reply(drop=0),
        "redirected": Reply(302, headers={"Location": f"http://other.example/?key={SECRET}"}),
    }
    with Web(lambda request: replies[failing]) as web:
        options = {
            "url": f"{web.url}/ask/{{id}}?key=${{secret:KEY}}",
            "headers": {"Authorization": "Bearer ${secret:KEY}"},
        }
        stage = {"use": "http", "with": options, "on_error": "dead_letter"}
        project.write("in.jsonl", '{"id": 1}\n')
        chain = project.config(stage, source="in.jsonl", sink="out.jsonl", dead_letter="letters.jsonl")
        done = project.cli("run", str(chain), "-v")
        shown = project.cli("show", str(chain))

    assert done.returncode == 3
    (request,) = {(*request[:2], request.headers["authorization"]) for request in web.requests}
    assert request == ("GET", f"/ask/1?key={SECRET}", f"Bearer {SECRET}")
    for text in (done.stdout, done.stderr, shown.stdout, (project / "letters.jsonl").read_bytes()):
        assert SECRET.encode() not in text


# A model


def chat(content, **usage):
    return Reply(200, {"choices": [{"message": {"content": content}}], "usage": usage})


def test_a_model_is_asked_until_its_answer_fits(project):
    """The first answer about each record is nonsense; both are paid."""
    asked = set()

    def answer(request):
        text = request.json["messages"][-1]["content"]
        first = text not in asked
        asked.add(text)
        good = json.dumps({"length": len(text)})
        return chat("Let me think." if first else good, prompt_tokens=10, completion_tokens=2)

    schema = {"type": "object", "properties": {"length": {"type": "integer"}}, "required": ["length"]}
    with Web(answer) as web:
        options = {"model": "m", "base_url": web.url, "prompt": "{text}", "schema": schema, "into": "is"}
        stage = {"use": "llm", "with": options, "retry": {"attempts": 2, "delay": "1ms"}}
        results = project.results(stage, records=[{"text": "x" * n} for n in range(1, 9)])
        given = list(results)

    assert [record["is"] for record in given] == [{"length": n} for n in range(1, 9)]
    assert results.summary.stages[0].counters == {"tokens_in": 160, "tokens_out": 32}


def test_a_budget_in_money_stops_the_run_and_a_resume_goes_on(project):
    """What a million tokens cost makes a call 0.01 dollars; after 0.1 no further one begins."""

    def answer(request):
        return chat(request.json["messages"][-1]["content"].upper(), prompt_tokens=4000, completion_tokens=1000)

    project.write("in.jsonl", "".join(json.dumps({"text": f"t{n}"}) + "\n" for n in range(30)))
    with Web(answer) as web:
        options = {"model": "m", "base_url": web.url, "prompt": "{text}", "price": {"input": 1, "output": 6}}
        stage = {"use": "llm", "with": options, "concurrency": 4, "budget": {"usd": 0.1}}
        keys = {"source": "in.jsonl", "sink": "out.jsonl"}
        stopped = project.cli("run", str(project.config(stage, **keys)))
        asked = len(web.requests)
        stage["budget"] = {"usd": 10}
        resumed = project.cli("run", str(project.config(stage, **keys)), "--resume")

    assert (stopped.returncode, resumed.returncode) == (75, 0), stopped.stderr + resumed.stderr
    assert 10 <= asked <= 10 + 3, "no more than the calls in flight beyond it"
    given = [json.loads(line)["answer"] for line in (project / "out.jsonl").read_text().splitlines()]
    assert given == [f"T{n}" for n in range(30)]


def test_a_model_is_asked_about_a_record_once_unless_its_answers_are_not_kept(project):
    project.write("in.jsonl", "".join(json.dumps({"text": f"t{n % 6}"}) + "\n" for n in range(12)))

    def asked(web, **settings):
        options = {"model": "m", "base_url": web.url, "prompt": "{text}"}
        chain = project.config({"use": "llm", "with": options, **settings}, source="in.jsonl", sink="out.jsonl")
        before = len(web.requests)
        done = project.cli("run", str(chain))
        assert done.returncode == 0, done.stderr
        return len(web.requests) - before, (project / "out.jsonl").read_text()

    with Web(lambda request: chat(request.json["messages"][-1]["content"].upper())) as web:
        first, given = asked(web)
        second, again = asked(web)
        third, fresh = asked(web, memo=False)

    assert (first, second, third) == (6, 0, 12), "equal records are asked about once"
    assert given == again == fresh


# What is said before anything starts


@pytest.mark.parametrize(
    ("use", "options", "said"),
    [
        (
            "http",
            {"url": "http://h/{id"},
            b"url isn't a valid template: a brace that encloses no field's name must be doubled",
        ),
        ("http", {"url": "http://h", "body": {"a": ["{"]}}, b"body isn't a valid body: a brace that encloses no field"),
        ("http", {}, b"the option 'url' is required"),
        (
            "llm",
            {"model": "m", "prompt": "p", "schema": {"type": "objct"}},
            b"schema isn't a valid schema: it can't be read",
        ),
        ("llm", {"model": "m", "prompt": "p", "price": {"input": 1}}, b"price needs 'output'"),
    ],
)
def test_a_mistake_in_the_options_is_found_in_the_plan(project, use, options, said):
    chain = project.config({"use": use, "with": options}, source="in.txt", sink="out.jsonl")
    project.write("in.txt", "")
    checked = project.cli("check", str(chain))
    assert checked.returncode == 2
    assert said in checked.stderr


def test_without_the_extra_the_plan_says_what_to_install(project):
    """A Python that finds no aiohttp stands for an installation without the extra."""
    chain = project.config({"use": "http", "with": {"url": "http://h"}}, sink="out.jsonl")
    code = "import sys; sys.modules['aiohttp'] = None; from stagerunner.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(chain)], cwd=project.folder, capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert b"pip install 'stagerunner[http]'" in done.stderr
