import gzip

import pytest

from stagerunner_parts.remote import files, store
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.files import find
from stagerunner_parts.remote.store import Refused

CONTENT = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 100)
    monkeypatch.setattr(files, "CHUNK", 70)


def found(text, **options):
    return find(Address(text), StorageOptions(options))


@pytest.mark.parametrize("start", [0, 1, 99, 100, 2559, 2560])
def test_its_bytes_come_in_order_from_any_offset(memory, start):
    memory.pipe({"/a": CONTENT, "/a.gz": gzip.compress(CONTENT)})
    for name in ("a", "a.gz"):
        (file,) = found(f"memory://{name}")
        assert b"".join(file.stream(start)) == CONTENT[start:]
        assert file.opened().read(7) == CONTENT[:7]


def test_a_glob_gives_its_files_by_name_and_no_folders(memory):
    memory.pipe({f"/deep/{name}": b"x" for name in ("b.csv", "a.csv", "c.txt", "d.csv/e")})
    assert [file.name for file in found("memory://deep/*.csv")] == ["memory://deep/a.csv", "memory://deep/b.csv"]
    assert [file.name for file in found("memory://deep/[ab]*")] == ["memory://deep/a.csv", "memory://deep/b.csv"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("memory://nix", "there is no file memory://nix"),
        ("memory://nix*", r"no file matches memory://nix\*"),
        ("memory://deep", r"memory://deep is a folder; write memory://deep/\*"),
    ],
)
def test_what_is_not_there_is_not_looked_for_twice(memory, text, why):
    memory.pipe("/deep/x", b"x")
    with pytest.raises(OSError, match=why):
        found(text, attempts=1_000)


@pytest.mark.parametrize(("scheme", "named"), [("s3", "s3fs"), ("sftp", "sshfs"), ("https", "aiohttp")])
def test_what_is_not_installed_is_named(monkeypatch, scheme, named):
    monkeypatch.setattr(store, "find_spec", lambda module: None)
    with pytest.raises(ValueError, match=rf"needs fsspec and no {named}; run: pip install 'stagerunner\[remote\]'"):
        found(f"{scheme}://host/x.csv")


def test_a_file_that_changes_is_no_longer_read(memory):
    memory.pipe("/a", CONTENT)
    (file,) = found("memory://a")
    chunks = file.stream()
    assert next(chunks) == CONTENT[:70]
    memory.pipe("/a", CONTENT[:-1])
    with pytest.raises(Refused, match="memory://a has changed since the run began"):
        b"".join(chunks)
