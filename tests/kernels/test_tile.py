"""Register tiles: which one a row of pixels gets, and that their accumulators stay in registers while they multiply."""

import re

import numpy as np
import pytest

from edgebn import program as p
from edgebn.kernels import isa, tile, tile_shapes
from tests.kernels import machine_code
from tests.programs import EPILOGUE_CHOICES, Maker, inputs_for
from tests.test_contract import assert_equals_reference

X86_SETS = {found.name: found for found in isa.INSTRUCTION_SETS if found.machines == isa.X86}
PRODUCTS = {"f32": tile.Float32Products, "i8": tile.Int8Products}
MULTIPLICATION = re.compile(r"\tv(fmadd\w+ps|pdpbusd|pmaddwd)\t")


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


@pytest.mark.parametrize("shape", [(6, 2), (5, 2), (4, 2), (8, 1)])
@pytest.mark.parametrize("processor", ["x86-64", "haswell", "skylake", "znver3"])
def test_short_vectors_have_little_beside_their_products(shape, processor):
    """A turn is four steps of products and their loads, a prefetch and the loop's end: nothing in memory, no address computed."""
    avx2 = X86_SETS["avx2"]
    loop = max(innermost_loops("f32", shape, avx2, processor), key=len)
    mr, nv = shape
    lines = [line for line in loop.splitlines() if line.startswith("\t") and not line.lstrip().startswith((".", "#"))]
    assert "(%rsp)" not in loop
    assert len(MULTIPLICATION.findall(loop)) == avx2.unroll * mr * nv
    assert len(lines) <= avx2.unroll * (mr * nv + mr + nv) + 5


@pytest.mark.parametrize("shape", [(4, 2), (3, 2), (8, 1), (1, 4)])
@pytest.mark.parametrize("processor", ["x86-64", "haswell", "znver3"])
def test_pairs_of_codes_are_multiplied_in_turn(shape, processor):
    """Each product takes its weights from memory: no accumulator is there, and nothing is moved."""
    for loop in innermost_loops("i8", shape, X86_SETS["avx2"], processor):
        assert not re.search(r"\tv\w+\t(.*, )?\d+\(%rsp\)|%ymm\d+, \d+\(%rsp\)", loop)
        assert len(re.findall(r"\tvpmaddwd\t-?\d*\(", loop)) == len(MULTIPLICATION.findall(loop)) == 2 * shape[0] * shape[1]


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


@pytest.mark.parametrize(("rows", "columns", "pixels"), [(7, 7, 5), (14, 14, 6), (28, 28, 6), (1, 49, 5), (9, 4, 4)])
def test_tiles_across_rows_are_chosen_by_all_pixels(rows, columns, pixels):
    avx2 = X86_SETS["avx2"]
    assert tile_shapes.best_rows(avx2, 2, columns, real=True, rows=rows) == pixels
    assert tile_shapes.count_tiles(avx2, pixels, rows, columns, real=True) == -(-rows * columns // pixels)
    assert tile_shapes.count_tiles(avx2, pixels, rows, columns, real=False) == -(-rows * columns // pixels)
    assert tile_shapes.count_tiles(X86_SETS["avx512"], pixels, rows, columns, real=True) == rows * -(-columns // pixels)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_rows_with_a_halo_between_them(dtype, threads):
    """What a tile computes of the next row goes behind the halo, from a row whose halo it skipped."""
    sizes = [(7, 7, 1), (5, 8, 1), (14, 14, 1), (9, 6, 1), (13, 15, 2), (3, 11, 2), (2, 2, 1)]
    for seed, (height, width, strides) in enumerate(sizes):
        rng = np.random.default_rng(seed)
        maker = Maker(None, dtype, rng)
        x = first = maker.buffer((height, width, 12))
        for outputs, side, stride in ((40, 3, strides), (24, 1, 1), (17, 3, 1)):
            shape = maker.buffers[x].shape
            weight = maker.weight((outputs, side, side, shape[2]))
            edge = (side // 2,) * 4
            bare = p.Convolution("bare", (x,), "", weight, None, (stride, stride), (1, 1), edge, 1)
            y = maker.buffer(p.unpooled_shape(bare, shape))
            style = [choices[rng.integers(len(choices))] for choices in EPILOGUE_CHOICES]
            epilogue = maker.epilogue(outputs, weight[0].size, y, style)
            name = f"convolution {len(maker.steps)}"
            maker.steps.append(p.Convolution(name, (x,), y, weight, epilogue, (stride, stride), (1, 1), edge, 1))
            x = y
        program = maker.program((first,), (x,))
        assert_equals_reference(program, inputs_for(program, 2, seed), threads)
