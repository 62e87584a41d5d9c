"""Register tiles: which one a row of pixels gets, and that their accumulators stay in registers while they multiply."""

import re

import pytest

from edgebn.kernels import isa, tile, tile_shapes
from tests.kernels import machine_code

X86_SETS = {found.name: found for found in isa.INSTRUCTION_SETS if found.machines == isa.X86}
PRODUCTS = {"f32": tile.Float32Products, "i8": tile.Int8Products}
MULTIPLICATION = re.compile(r"\tv(fmadd\w+ps|pdpbusd)\t")


def innermost_loops(kind, shape, found, processor):
    """Return the text of a tile's innermost loops that multiply, as LLVM writes them for a processor."""
    tiles = tile.Tiles(found, PRODUCTS[kind](found), kind)
    loops = machine_code.innermost_loops(machine_code.assembly(tiles, shape, found, machine_code.X86, processor))
    return [body for body in loops if len(MULTIPLICATION.findall(body)) >= shape[0] * shape[1]]


@pytest.mark.parametrize("kind", PRODUCTS)
@pytest.mark.parametrize("shape", [(7, 4), (6, 4), (14, 2), (12, 2)])
@pytest.mark.parametrize("processor", ["x86-64", "znver4", "sapphirerapids"])
def test_accumulators_stay_in_registers(kind, shape, processor):
    """In objects, which are for any processor, and in what is compiled for one, where LLVM orders instructions otherwise."""
    (loop,) = innermost_loops(kind, shape, X86_SETS["avx512vnni"], processor)[:1]
    assert "(%rsp)" not in loop
    assert len(MULTIPLICATION.findall(loop)) == shape[0] * shape[1]


@pytest.mark.parametrize(
    ("columns", "vectors", "rows"),
    [(49, 4, 7), (7, 4, 7), (14, 4, 7), (14, 2, 14), (196, 4, 7), (6, 4, 6), (1, 4, 1), (56, 1, 14), (112, 1, 16)],
)
def test_rows_are_whole_tiles_where_they_can_be(columns, vectors, rows):
    assert tile_shapes.best_rows(X86_SETS["avx512vnni"], vectors, columns, real=True) == rows


def test_products_in_several_instructions_have_the_tiles_that_leave_registers():
    """Bytes are multiplied in pairs without VNNI, which takes more registers than a multiply-add."""
    assert {(7, 4), (14, 2)} <= set(tile_shapes.shapes(X86_SETS["avx512"], real=True))
    assert {(7, 4), (14, 2)}.isdisjoint(tile_shapes.shapes(X86_SETS["avx512"], real=False))
