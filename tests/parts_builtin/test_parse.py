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


def test_a_pattern_has_to_match_the_whole_line():
    parse = Parse(pattern=Pattern.parse(r"(?P<key>\w+)=(?P<value>\d+)?"))
    assert parse.process("a=1") == {"key": "a", "value": "1"}
    assert parse.process("a=") == {"key": "a", "value": None}
    with pytest.raises(Reject, match="the pattern"):
        parse.process("a=1 ")


@pytest.mark.parametrize(("text", "why"), [("(", "no regular expression"), (r"(\w+)", "names no field")])
def test_what_is_no_pattern(text, why):
    with pytest.raises(ValueError, match=why):
        Pattern.parse(text)


def test_a_pattern_can_travel():
    assert pickle.loads(pickle.dumps(Pattern("(?P<a>.)"))).text == "(?P<a>.)"
