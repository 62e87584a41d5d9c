"""The static report's own steps: finding the hot loop of a function, and counting its products; llvm-mca where it is installed."""

import re

import pytest

from benchmarks.kernels import arm_static
from tests.conftest import TEST_ALL

# A loop of two smull in a loop of one, and a branch forward: (address, instruction).
BODY = [
    (0, "mov\tx1, #0x0"),
    (4, "smull\tv0.8h, v1.8b, v2.8b"),
    (8, "cbz\tx3, 0x1c <f+0x1c>"),
    (12, "smull\tv3.8h, v1.8b, v2.8b"),
    (16, "smull2\tv4.8h, v1.16b, v2.16b"),
    (20, "b.ne\t0xc <f+0xc>"),
    (24, "b.ne\t0x4 <f+0x4>"),
    (28, "ret"),
]


def test_the_hot_loop_is_the_innermost_with_most_products():
    loop = arm_static.hot_loop(BODY)
    assert [text.split()[0] for text in loop] == ["smull", "smull2", "b.ne"]
    assert arm_static.macs_of(loop) == 16


def test_a_loop_of_any_kind_is_found():
    assert [text.split()[0] for text in arm_static.hot_loop(BODY, lambda texts: -len(texts))] == ["smull", "smull2", "b.ne"]
    assert arm_static.hot_loop(BODY[-1:]) == []
    assert arm_static.vectors_of([text for _, text in BODY]) == 3
    assert arm_static.vectors_of(["add\tx1, x2, #0x1", "ldr\tq0, [x1]", "ldr\td0, [x1]"]) == 1


def test_a_pixel_alone_uses_half_of_a_product_of_matrices():
    assert arm_static.useful("edgebn_tile_i8_1x8", "neoni8mm") == 0.5
    assert arm_static.useful("edgebn_tile_i8_4x4", "neoni8mm") == arm_static.useful("edgebn_tile_i8_1x8", "neondot") == 1


def test_loads_and_products_add_up_where_a_core_runs_in_order():
    loop = ["ldr\tq1, [x0]", "ldr\tq2, [x0]", "fmla\tv0.4s, v1.4s, v3.s[0]"]
    cores = {core.name: core for core in arm_static.CORES}
    try:
        arm_static.tool("llvm-mca")
    except SystemExit as missing:
        pytest.skip(str(missing))
    assert arm_static.allowed(loop, cores["Cortex-A53"], 4) == pytest.approx(4 / 3)
    assert arm_static.allowed(loop, cores["Cortex-A76"], 8) == pytest.approx(4)


def test_models_give_the_cores_known_peaks():
    try:
        arm_static.tool("llvm-mca")
    except SystemExit as missing:
        pytest.skip(str(missing))
    peaks = {
        (core.name, dtype): arm_static.peak(core.isa, dtype, core.model)
        for core in arm_static.CORES
        for dtype in ("int8", "float32")
    }
    assert peaks["Cortex-A720", "int8"] == pytest.approx(64, rel=0.02)
    assert peaks["Cortex-A76", "int8"] == pytest.approx(32, rel=0.02)
    assert peaks["Cortex-A76", "float32"] == pytest.approx(8, rel=0.02)
    assert peaks["Cortex-A72", "int8"] == pytest.approx(8, rel=0.02)
    assert peaks["Cortex-A53", "int8"] == pytest.approx(4, rel=0.02)


MIN_SHARE_OF_PEAK = {"Cortex-A720": 0.85, "Cortex-A76": 0.9, "Cortex-A72": 0.85, "Cortex-A53": 0.6}
MIN_SHARE_OF_WHAT_LOADS_ALLOW = 0.7  # of dense layers of one row


@pytest.mark.skipif(not TEST_ALL, reason="compiles four executors: make test-all")
def test_hot_loops_keep_the_multipliers_busy():
    """The hottest loop of each network; dense layers of one row are bound by their loads (docs/arm.md)."""
    if not arm_static.MODELS_AT.exists():
        pytest.skip("the benchmark networks are not here")
    try:
        arm_static.tool("llvm-mca")
    except SystemExit as missing:
        pytest.skip(str(missing))
    rows = arm_static.measure()
    for core, network in {(row.core, row.network) for row in rows}:
        hottest = max((row for row in rows if (row.core, row.network) == (core, network)), key=lambda row: row.macs)
        dense = [row for row in rows if (row.core, row.network) == (core, network) and re.search(r"dense_f32_8|_1x8", row.function)]
        assert bool(dense) == network.startswith("ad01")
        for row in dense:
            assert row.rate / row.allowed >= MIN_SHARE_OF_WHAT_LOADS_ALLOW, (core, row.function, row.rate / row.allowed)
        assert dense or hottest.rate / hottest.peak >= MIN_SHARE_OF_PEAK[core], (core, network, hottest.rate / hottest.peak)
