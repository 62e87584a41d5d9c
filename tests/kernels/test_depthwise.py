"""Which tile of float32, or which kind of int8 function, a depthwise layer gets."""

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


@pytest.mark.parametrize(
    ("channels", "columns", "pixels"), [(64, 14, 1), (480, 14, 1), (576, 14, 1), (672, 7, 1), (72, 56, 8), (144, 56, 4), (32, 9, 2)]
)
def test_a_pixel_has_vectors_of_its_own_where_that_costs_little(channels, columns, pixels):
    assert depthwise_shapes.pixels_per_vector(channels, 64, columns, adjacent=True) == (pixels, 1)


@pytest.mark.parametrize(
    ("taps", "stride", "again", "pieces", "along", "is_any"),
    [
        (3, 1, 2, 1, True, False),
        (5, 2, 4, 1, True, False),
        (5, 1, 4, 1, False, False),
        (5, 2, 4, 4, False, False),
        (5, 1, 1, 1, False, True),  # what int8 cannot hold of the weights is in a column among the first four
        (3, 1, 1, 1, False, False),
        (3, 3, 2, 1, True, True),
        (7, 1, 6, 1, True, True),
        (3, 0, 2, 1, False, True),
    ],
)
def test_square_kernels_have_int8_functions_of_their_own(taps, stride, again, pieces, along, is_any):
    found = depthwise_shapes.int8_kind(taps, stride, again, pieces, along=along)
    assert (found == depthwise_shapes.ANY) is is_any
    assert is_any or found == depthwise_shapes.Int8Kind(along, taps, stride, again)
