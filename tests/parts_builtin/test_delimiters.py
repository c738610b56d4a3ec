import pytest

from stagerunner_parts.delimiters import check_character, usual_delimiter


@pytest.mark.parametrize(
    ("path", "delimiter"),
    [("a.csv", ","), ("a.tsv", "\t"), ("a.TSV", "\t"), ("a.tsv.gz", "\t"), ("tsv", ","), ("a.tsv.csv", ",")],
)
def test_the_suffix_chooses_the_delimiter(path, delimiter):
    assert usual_delimiter(path) == delimiter


@pytest.mark.parametrize("value", ["", ";;", "ä", "\n", "\r"])
def test_a_delimiter_is_one_ascii_character(value):
    with pytest.raises(ValueError, match="delimiter must be one ASCII character"):
        check_character("delimiter", value)


def test_a_caller_may_refuse_more():
    check_character("quote", "'", never='"')
    with pytest.raises(ValueError, match="quote must be"):
        check_character("quote", '"', never='"')
