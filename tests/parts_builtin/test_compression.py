import pytest

from stagerunner_parts.compression import compressor, is_compressed, opened


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_members_one_after_another_are_one_file(tmp_path, suffix):
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


def test_damage(write):
    path = write("a.xz", b"x" * 1000)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(OSError, match="can't be decompressed"), opened(path) as file:
        file.read()
