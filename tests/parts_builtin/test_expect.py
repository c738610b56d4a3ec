import pytest

from stagerunner import Expression, Reject, load
from stagerunner.errors import ConfigError, StageFailed
from stagerunner.parts.forming import form_of
from stagerunner_parts.expect import Expect, Rule, Share


def rule(text, at_least=None, name=None):
    return Rule(rule=Expression(text), at_least=None if at_least is None else Share(at_least), name=name)


def passed(stage, numbers):
    """What passes, and what the end comes to: () or the message of a failure."""
    kept = [stage.process({"n": number}) for number in numbers]
    try:
        return [record["n"] for record in kept], stage.flush()
    except Reject as failed:
        return [record["n"] for record in kept], str(failed)


def test_a_record_that_breaks_a_rule_is_refused_with_all_that_it_breaks():
    stage = Expect(rules=[rule("n > 0"), rule("n < 5", name="n is small"), rule('m == "x"')])
    assert stage.process({"n": 1, "m": "x"}) == {"n": 1, "m": "x"}
    with pytest.raises(Reject) as refused:
        stage.process({"n": 7})
    assert str(refused.value) == (
        "it is expected that n is small; it is expected that m == \"x\": the record has no field 'm'"
    )
    with pytest.raises(Reject, match="it is expected that n > 0: TypeError: `>` takes no such values"):
        stage.process({"n": "7", "m": "x"})


def test_a_share_is_looked_at_in_the_end():
    assert passed(Expect(rules=[rule("n < 9", "90 %")]), range(10)) == (list(range(10)), ())
    assert passed(Expect(rules=[rule("n < 9", "90.1 %"), rule("n", "99 %", "not 0")]), range(10))[1] == (
        "it is expected of at least 90.1 % of 10 records that n < 9: 9 do; "
        "it is expected of at least 99 % of 10 records that not 0: 9 do"
    )


def test_shares_are_exact():
    assert passed(Expect(rules=[rule("n >= 7", "99.3%")]), range(1000))[1] == ()
    assert passed(Expect(rules=[rule("n > 7", "99.3%")]), range(1000))[1] != ()
    assert passed(Expect(rules=[rule("True", "100 %"), rule("False", "0 %")]), range(3))[1] == ()


def test_what_can_not_be_evaluated_is_broken():
    assert passed(Expect(rules=[rule("m", "50 %")]), range(2))[1].endswith("that m: 0 do")


def test_no_records_keep_every_rule():
    assert passed(Expect(rules=[rule("False", "100 %")]), []) == ([], ())


def test_a_refused_record_counts_for_no_share():
    stage = Expect(rules=[rule("n != 0"), rule("n > 1", "50 %")])
    with pytest.raises(Reject):
        stage.process({"n": 0})
    assert passed(stage, [1, 2]) == ([1, 2], ())


def test_it_goes_on_from_a_snapshot():
    rules = [rule("n > 4", "50 %"), rule("n < 3", "30 %"), rule("n < 3", "31 %")]
    stage, again = Expect(rules=rules), Expect(rules=rules)
    passed(stage, range(6))
    again.restore(stage.snapshot())
    assert passed(again, range(6, 10))[1].endswith("of at least 31 % of 10 records that n < 3: 3 do")
    assert form_of(Expect).snapshots


CHAIN = """version: 1
stages:
- use: expect
  {settings}
  with:
    rules:
    - {{rule: record > 1, at_least: {share}}}
"""


def test_what_breaks_a_rule_is_counted():
    results = load(CHAIN.format(settings="workers: 1", share="0 %"), engine="inline").run(range(10))
    assert list(results) == list(range(10))
    assert results.summary.stages[0].counters == {"not: record > 1": 2}


@pytest.mark.parametrize("engine", ["inline", "process"])
def test_too_small_a_share_is_a_failure_of_the_stage(engine):
    with pytest.raises(StageFailed, match=r"at least 90 % of 10 records that record > 1: 8 do"):
        list(load(CHAIN.format(settings="workers: 1", share="90 %"), engine=engine).run(range(10)))
    results = load(CHAIN.format(settings="on_error: skip", share="90 %"), engine=engine).run(range(10))
    assert list(results) == list(range(10))
    assert results.summary.stages[0].skipped == 1


@pytest.mark.parametrize("text", ["0.99", "99", "-1 %", "101 %", "many %", ""])
def test_what_is_no_share(text):
    with pytest.raises(
        ConfigError, match=r":7:\d+: at_least isn't a valid share: .* is (not a percentage|more than 100 %)"
    ):
        load(CHAIN.format(settings="workers: 1", share=f"'{text}'"))
