"""Every reader against damaged files, 2,000 under EDGEBN_TEST_ALL=1: only EdgebnError, no hang, no gigabyte.

The harness is `fuzz_readers.py`.
"""

import pytest

from edgebn import program as p
from tests import fuzz_readers
from tests.conftest import TEST_ALL

COUNT = 2000 if TEST_ALL else 200


@pytest.mark.parametrize("reader", sorted(fuzz_readers.FORMATS))
def test_damaged_files_give_one_clear_error(reader):
    findings = fuzz_readers.fuzz_apart(reader, COUNT, 0)
    assert not findings.failures, findings.line()
    assert findings.refused > COUNT // 4, "the damage is too mild to show anything"


KINDS = {
    "mixed": lambda program: program.dtype == "mixed",
    "states": lambda program: program.states,
    "uint8": lambda program: any(buffer.unsigned for buffer in program.buffers.values()),
    "boxes": lambda program: any(isinstance(step, p.DetectionPostProcess | p.NonMaxSuppression) for step in program.steps),
}


@pytest.mark.parametrize("reader", ["edgebn", "onnx", "tflite"])
def test_seeds_are_of_every_kind(reader, tmp_path):
    """Those of ONNX have bytes between QuantizeLinear and DequantizeLinear alone, which are read as int8 codes."""
    seeds, _, suffix = fuzz_readers.FORMATS[reader]
    path, found = tmp_path / f"seed{suffix}", set()
    for content in seeds():
        path.write_bytes(content)
        program = fuzz_readers.loaded(path)
        found |= {kind for kind, holds in KINDS.items() if holds(program)}
    assert found == (set(KINDS) if reader != "onnx" else set(KINDS) - {"uint8"})


def test_the_harness_finds_what_it_looks_for():
    calls, seeds = [], len(fuzz_readers.FORMATS["onnx"][0]())

    def fragile(path):
        calls.append(path)
        if len(calls) > seeds and (len(calls) - seeds) % 10 == 0:  # the seeds as they are come first
            raise KeyError("a reader's mistake")

    findings = fuzz_readers.fuzz("onnx", 100, 0, fragile)
    assert sum(findings.failures.values()) == 10
    assert "KeyError" in next(iter(findings.failures))
