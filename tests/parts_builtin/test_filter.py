from stagerunner import Expression
from stagerunner.parts.forming import form_of
from stagerunner_parts.filter import keep


def test_keep():
    where = Expression("n > 1")
    assert keep({"n": 2}, where=where) == {"n": 2}
    assert keep({"n": 1}, where=where) is None


def test_it_may_drop():
    assert form_of(keep).drops
