"""Files compressed by others than the built-in parts, so that these can be judged."""

import bz2
import gzip
import lzma
import sys

import pytest

SUFFIXES = ("", ".gz", ".bz2", ".xz", ".zst")


def zstd():
    """The module for Zstandard; the test is skipped where it isn't installed."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return pytest.importorskip(name, reason="Zstandard needs: pip install 'stagerunner[zstd]'")


def compressed(suffix, content):
    """The content as a file with this suffix holds it."""
    compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    return zstd().compress(content) if suffix == ".zst" else compress.get(suffix, bytes)(content)
