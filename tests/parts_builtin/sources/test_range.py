import pytest

from stagerunner import Origin, Want
from stagerunner_parts.sources.range import Range


@pytest.mark.parametrize("numbers", [range(10), range(3, 11, 2), range(5, -6, -3), range(5, 5), range(0, 7, 10)])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_numbers_in_order(items, numbers, size):
    source = Range(start=numbers.start, stop=numbers.stop, step=numbers.step)
    assert items(source, size) == list(numbers)
    read = 0
    for split in source.splits(None, Want(records=size)):
        assert split.most == len(list(source.read(split)))
        read += split.most
        assert items(source, size, split.position) == list(numbers)[read:]
    assert source.size() == sum(split.size for split in source.splits(None, Want()))


def test_a_number_is_located_by_its_place():
    source = Range(start=3, stop=20, step=2)
    *_, split = source.splits(None, Want(records=4))
    assert source.locate(split, 0) == Origin("range", None, 8)


def test_a_step_of_nothing():
    with pytest.raises(ValueError, match="can't be 0"):
        Range(stop=1, step=0).check()
