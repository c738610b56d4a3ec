import sys

import pytest
from support.compressed import SUFFIXES, compressed, zstd

from stagerunner_parts.compression import check_compression, compressor, is_compressed, opened


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_members_one_after_another_are_one_file(tmp_path, suffix):
    compressed(suffix, b"")  # skips if it can't be tried
    path = tmp_path / f"a.txt{suffix}"
    for content in (b"", b"one", b"two"):
        member = compressor(path)
        with open(path, "ab") as file:
            file.write(member.compress(content) + member.flush())
    with opened(path) as file:
        assert file.read() == b"onetwo"
    assert is_compressed(path)


def test_a_plain_file(write):
    path = write("a.txt", b"x")
    assert compressor(path) is None
    assert not is_compressed(path)
    with opened(path) as file:
        assert file.read() == b"x"


def test_a_file_that_is_to_have_another_name(write, tmp_path):
    path = write("a.gz", b"x").rename(tmp_path / "a.gz.partial")
    with opened(path, named="a.gz") as file:
        assert file.read() == b"x"


def test_equal_data_gives_equal_bytes():
    def packed():
        member = compressor("a.gz")
        return member.compress(b"x") + member.flush()

    assert packed() == packed()


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_damage(write, suffix):
    path = write(f"a{suffix}", b"x" * 1000)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(OSError, match="can't be decompressed"), opened(path) as file:
        file.read()


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_what_it_writes_has_a_checksum(write, suffix):
    compressed(suffix, b"")
    member = compressor(f"a{suffix}")
    content = bytearray(member.compress(bytes(range(256))) + member.flush())
    content[60] ^= 1
    path = write("a", bytes(content))
    with pytest.raises(OSError), opened(path, named=f"a{suffix}") as file:
        assert file.read() == b""


def test_frames_of_other_programs_and_what_they_skip(tmp_path):
    frame = zstd().compress(b"one\n", options={zstd().CompressionParameter.checksum_flag: 0})
    skipped = bytes.fromhex("502a4d1804000000") + b"meta"
    (tmp_path / "a.zst").write_bytes(skipped + frame + skipped + compressed(".zst", b"two\n"))
    with opened(tmp_path / "a.zst") as file:
        assert file.read() == b"one\ntwo\n"


def test_zstandard_that_is_not_installed_is_a_mistake_that_says_what_to_install(monkeypatch):
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"^a\.zst needs Zstandard: pip install 'stagerunner\[zstd\]'$"):
        check_compression("a.zst")
    check_compression("a.gz")
