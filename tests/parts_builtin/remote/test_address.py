import pickle

import pytest

from stagerunner_parts.remote.address import Address, StorageOptions


@pytest.mark.parametrize(
    ("text", "shown", "secrets"),
    [
        ("s3://bucket/a/b.csv", "s3://bucket/a/b.csv", ()),
        ("sftp://amy:hunter2@host:22/x", "sftp://amy:***@host:22/x", ("hunter2",)),
        ("sftp://amy@host/x:y@z", "sftp://amy@host/x:y@z", ()),
        ("https://h/x?page=12345&token=abcdef#z", "https://h/x?page=12345&token=***#z", ("abcdef",)),
        ("https://h/x?X-Amz-Signature=abcdef", "https://h/x?X-Amz-Signature=***", ("abcdef",)),
    ],
)
def test_it_shows_no_secret(text, shown, secrets):
    address = Address.parse(text)
    assert (str(address), address.secrets, address.text) == (shown, secrets, text)
    assert all(secret not in repr(address) for secret in secrets)
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize("text", ["x.csv", "/x://y", "file:///x", "nix://x", "C:/x", "://x"])
def test_what_is_no_address_here(text):
    with pytest.raises(ValueError):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "is_glob", "name"),
    [
        ("s3://b/x?.csv.gz", True, "x?.csv.gz"),
        ("https://h/x.csv.gz?v=1.html", False, "x.csv.gz"),
        ("https://h/x*.csv", True, "x*.csv"),
        ("HTTPS://h/[ab]", True, "[ab]"),
    ],
)
def test_a_question_mark_begins_a_query_on_the_web_only(text, is_glob, name):
    address = Address.parse(text)
    assert (address.is_glob, address.name) == (is_glob, name)


def test_what_a_file_system_calls_a_file_has_an_address():
    assert Address("s3://b/*").with_path("b/x").text == "s3://b/x"
    assert Address("sftp://amy:pw@h:22/a/*").with_path("/a/x").text == "sftp://amy:pw@h:22/a/x"
    assert Address("http://h/*").with_path("http://h/x").text == "http://h/x"


def test_options_know_which_of_them_are_secret():
    options = StorageOptions.from_data(
        {"key": "AKIA1234", "client_kwargs": {"endpoint_url": "http://h"}, "headers": {"Authorization": "Bearer x"}}
    )
    assert options.secrets == ("AKIA1234", "Bearer x")
    assert "AKIA" not in repr(options)
    assert (options.timeout, options.attempts) == (30, 5)


@pytest.mark.parametrize("data", ["x", [], {"timeout": 0}, {"attempts": "many"}, {"timeout": True}, {1: 2}])
def test_options_that_are_none(data):
    with pytest.raises(ValueError):
        StorageOptions.from_data(data)
