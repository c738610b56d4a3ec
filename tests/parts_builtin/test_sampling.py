import pytest

from stagerunner.evaluate import stage_api
from stagerunner_parts.sampling import Count, Share, Take, sample


def took(stage, records):
    """What is let through, and after how many records the stage said it has enough."""
    kept, enough = [], None
    for number, record in enumerate(records, 1):
        listener = stage_api.CallListener()
        token = stage_api.current.set(listener)
        result = stage.process(record)
        stage_api.current.reset(token)
        kept += [] if result is None else [result]
        enough = number if enough is None and listener.said_enough else enough
    return kept, enough


def test_take_says_when_it_has_enough():
    assert took(Take(n=2), "abcd") == (["a", "b"], 2)
    assert took(Take(n=5), "ab") == (["a", "b"], None)
    assert took(Take(n=0), "ab") == ([], 1)


def test_take_goes_on_from_a_snapshot():
    stage, again = Take(n=3), Take(n=3)
    took(stage, "ab")
    again.restore(stage.snapshot())
    assert took(again, "cd") == (["c"], 1)


@pytest.mark.parametrize("text", ["-1", "many", "1.5", ""])
def test_take_less_than_nothing(text):
    with pytest.raises(ValueError, match="is not a whole number from 0 on"):
        Count.parse(text)
    assert Count.parse("3") == 3


def test_sample_keeps_the_share_and_always_the_same():
    def kept(rate, seed):
        return [n for n in range(2000) if sample(n, rate=Share(rate), seed=seed) is not None]

    assert kept(0.25, 0) == kept(0.25, 0) != kept(0.25, 1)
    assert 400 < len(kept(0.25, 0)) < 600
    assert set(kept(0.1, 0)) < set(kept(0.25, 0))
    assert len(kept(1, 0)) == 2000
    assert kept(0, 0) == []


@pytest.mark.parametrize("text", ["1.5", "-0.1", "nan", "half"])
def test_what_is_no_share(text):
    with pytest.raises(ValueError, match=r"is not"):
        Share.parse(text)


def test_a_share():
    assert Share.parse("0.5") == 0.5
