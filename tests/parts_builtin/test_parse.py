import pickle

import pytest

from stagerunner import Reject
from stagerunner_parts.parse import Parse, Pattern

COMMON = '1.2.3.4 - amy [12/May/2026:10:11:12 +0000] "GET /a?b=c HTTP/1.1" 200 51'


def test_the_combined_format():
    assert Parse().process(COMMON + ' "http://x/" "an \\"odd\\" agent"') == {
        "ip": "1.2.3.4",
        "ident": "-",
        "user": "amy",
        "time": "12/May/2026:10:11:12 +0000",
        "method": "GET",
        "path": "/a?b=c",
        "protocol": "HTTP/1.1",
        "status": 200,
        "size": 51,
        "referer": "http://x/",
        "agent": 'an \\"odd\\" agent',
    }


def test_the_common_format_and_a_size_of_nothing():
    fields = Parse(preset="common").process(COMMON.replace("51", "-"))
    assert fields["size"] is None
    assert "agent" not in fields


def test_a_line_that_does_not_match_is_refused():
    with pytest.raises(Reject, match="the line doesn't match the combined log format"):
        Parse().process(COMMON)


TAIL = ' "" "-"'


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        ("GET / HTTP/1.1", ("GET", "/", "HTTP/1.1")),
        ("GET /", ("GET", "/", None)),
        ("-", (None, None, None)),
        ("", (None, "", None)),
        (r"\x16\x03\x01\x02", (None, r"\x16\x03\x01\x02", None)),
        (r"GET /say?\"x\"=1 HTTP/1.1", ("GET", r"/say?\"x\"=1", "HTTP/1.1")),
        ("GET /a b c HTTP/1.0", ("GET", "/a b c", "HTTP/1.0")),
        ("PRI * HTTP/2.0", ("PRI", "*", "HTTP/2.0")),
        ("M-SEARCH * HTTP/1.1", ("M-SEARCH", "*", "HTTP/1.1")),
        ("CONNECT [::1]:443 HTTP/1.1", ("CONNECT", "[::1]:443", "HTTP/1.1")),
        (r"GET /back\\slash\\", ("GET", r"/back\\slash\\", None)),
        ("quit", (None, "quit", None)),
        ("SSH-2.0-Go", (None, "SSH-2.0-Go", None)),
    ],
)
def test_what_apache_writes_for_a_request(request_, fields):
    line = COMMON.replace("GET /a?b=c HTTP/1.1", request_) + TAIL
    found = Parse().process(line)
    assert (found["method"], found["path"], found["protocol"]) == fields
    assert list(found) == list(Parse().process(COMMON + TAIL))
    assert (found["status"], found["size"], found["referer"], found["agent"]) == (200, 51, "", "-")


@pytest.mark.parametrize(
    ("ip", "ident", "user"),
    [
        ("2001:db8::1", "-", "amy"),
        ("host.example.org", "id", "-"),
        ("1.2.3.4", "-", "amy of accounting"),
        ("1.2.3.4", "-", r"o\"brien [x]"),
        ("::ffff:1.2.3.4", "-", "ämy"),
    ],
)
def test_a_user_name_may_have_spaces_and_colons(ip, ident, user):
    found = Parse().process(COMMON.replace("1.2.3.4 - amy", f"{ip} {ident} {user}") + TAIL)
    assert (found["ip"], found["ident"], found["user"]) == (ip, ident, user)
    assert found["time"] == "12/May/2026:10:11:12 +0000"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("line", ["x y " + "a [" * 10**5, 'x y z [t] "' + "GET " * 10**5, 'x y z [t] "' + "\\" * 10**5])
def test_a_line_that_is_no_such_line_is_refused_at_once(line):
    with pytest.raises(Reject):
        Parse().process(line)


def test_a_pattern_has_to_match_the_whole_line():
    parse = Parse(pattern=Pattern.parse(r"(?P<key>\w+)=(?P<value>\d+)?"))
    assert parse.process("a=1") == {"key": "a", "value": "1"}
    assert parse.process("a=") == {"key": "a", "value": None}
    with pytest.raises(Reject, match="the pattern"):
        parse.process("a=1 ")


@pytest.mark.parametrize(("text", "why"), [("(", "not a regular expression"), (r"(\w+)", "names no field")])
def test_what_is_no_pattern(text, why):
    with pytest.raises(ValueError, match=why):
        Pattern.parse(text)


def test_a_pattern_can_travel():
    assert pickle.loads(pickle.dumps(Pattern("(?P<a>.)"))).text == "(?P<a>.)"
