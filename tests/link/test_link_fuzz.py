"""A short round of the link's fuzzer; `make fuzz-link` is the long one."""

import re

import pytest

from tests.conftest import TEST_ALL
from tests.fuzz_link import fuzz, is_available

RUNS = 1_000_000 if TEST_ALL else 50_000


@pytest.mark.skipif(not is_available(), reason="clang with libFuzzer is not installed")
def test_nothing_breaks_the_device(tmp_path):
    status, text = fuzz(tmp_path, f"-runs={RUNS}", "-seed=1")
    assert status == 0, text[-3000:]
    assert int(re.search(r"DONE\s+cov: (\d+)", text)[1]) > 150  # edges: it came past the CRC and into the requests
