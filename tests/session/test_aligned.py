"""The memory of sessions: zeros, aligned, in large pages where Linux gives them."""

import mmap
import sys

import numpy as np
import pytest

from edgebn.session import packer
from edgebn.session.layout import ALIGNMENT

SIZES = [1, packer.MIN_IN_LARGE_PAGES - 1, packer.MIN_IN_LARGE_PAGES, packer.LARGE_PAGE + 5]


@pytest.mark.parametrize("size", SIZES)
def test_memory_is_zero_aligned_and_writeable(size):
    memory = packer.aligned(size)
    assert (memory.dtype, memory.shape) == (np.uint8, (size,))
    assert memory.ctypes.data % ALIGNMENT == 0
    assert not memory.any()
    memory[:] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_large_memory_begins_with_a_large_page(monkeypatch):
    assert packer.aligned(packer.MIN_IN_LARGE_PAGES).ctypes.data % packer.LARGE_PAGE == 0

    def refuse(*_, **__):
        raise OSError("no memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert not packer.aligned(packer.MIN_IN_LARGE_PAGES).any()
