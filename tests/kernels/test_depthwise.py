"""Which float32 tile a depthwise layer gets."""

import pytest

from edgebn.kernels import depthwise_shapes, isa

SETS = {found.name: found for found in isa.INSTRUCTION_SETS}


@pytest.mark.parametrize(
    ("name", "columns", "pixels"),
    [("avx2", 112, 4), ("avx2", 5, 3), ("avx2", 2, 1), ("avxvnni", 14, 4), ("avx512vnni", 5, 5), ("neon", 14, 5)],
)
def test_tiles_of_two_blocks_are_narrower(name, columns, pixels):
    """Two blocks of five pixels would not fit 16 registers."""
    found = depthwise_shapes.best_float_tile(SETS[name], columns, 3, 1)
    assert depthwise_shapes.FLOAT_TILES[found][0] == pixels


@pytest.mark.parametrize(("name", "by_line"), [("avx2", True), ("avxvnni", True), ("avx512", False), ("neondot", False)])
def test_two_vectors_make_a_line_of_the_cache(name, by_line):
    assert depthwise_shapes.goes_by_line(SETS[name]) is by_line
