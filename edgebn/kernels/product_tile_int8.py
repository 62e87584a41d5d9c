"""Products of stacks of int8 matrices, both of them computed, by the register tiles of convolutions.

Some columns of the right matrix are copied to where a convolution's weights would lie, in pairs of 16 bits, less their zero point:
nine bits, which a product of pairs takes. The zero point of the left one is taken off again where accumulators begin. An epilogue
that is the same for every column does the rest, and the tiles of `tile.py` go down the rows of the left matrix. Integers are exact
in any order: the codes are those of the products one by one.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.matmul import Matrices
from edgebn.kernels.parameters import Extras, SavedAccumulators, TileCodes, Walk
from edgebn.kernels.product_shapes import INT8_WIDTHS, RECORD_BYTES, int8_product_shapes
from edgebn.kernels.records import INT8_WORDS
from edgebn.kernels.tile import Blocks, tile_i8
from edgebn.kernels.tile_shapes import takes_pairs_in_turn
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import I8, I16, I32, I64, call, constant, load, shuffle, splat, store, vector

QUAD = 4  # numbers of depth in a step of a tile


class Int8Panel:
    """Writes the functions that copy `valid` columns of `depth` rows, and the block of an epilogue that goes with them.

    Of a step's four rows, even and odd ones are the pairs, as `vectors.Dot` takes them apart; rows and columns that there are not
    are zeros. Accumulators begin `left_zero` times the sums of the columns below where `template` has them begin.
    """

    arguments = ("b", "b_pixel", "panel", "depth", "valid", "right_zero", "left_zero", "template", "record")

    def __init__(self, isa: InstructionSet) -> None:
        self._isa, self.variants = isa, INT8_WIDTHS

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of so many vectors of columns; the last is read whole."""
        isa, nv = self._isa, self.variants[variant]
        builder, arguments = begin_function(module, f"edgebn_product_panel_i8_{nv}", self.arguments)
        width, words = nv * isa.lanes, vector(I32, isa.lanes)
        places = ir.Constant(vector(I16, width), list(range(width)))
        exist = builder.icmp_signed("<", places, splat(builder, builder.trunc(arguments["valid"], I16), width))
        zero_point = splat(builder, builder.trunc(arguments["right_zero"], I16), width)
        none, ones = constant(I16, width, 0), constant(I16, 2 * isa.lanes, 1)
        sums = [cgutils.alloca_once_value(builder, constant(I32, isa.lanes, 0)) for _ in range(nv)]
        last = builder.sub(arguments["depth"], ir.Constant(I64, 1))
        step_bytes = 2 * nv * isa.vector_bytes
        steps = builder.udiv(builder.add(arguments["depth"], ir.Constant(I64, QUAD - 1)), ir.Constant(I64, QUAD))

        def row(number: ir.Value) -> ir.Value:
            is_there = builder.icmp_signed("<=", number, last)
            at = builder.mul(builder.select(is_there, number, last), arguments["b_pixel"])
            stored = load(builder, vector(I8, width), builder.add(arguments["b"], at))
            codes = builder.sub(builder.zext(stored, vector(I16, width)), zero_point)
            return builder.select(builder.and_(exist, splat(builder, is_there, width)), codes, none)

        with cgutils.for_range(builder, steps) as step:
            first = builder.mul(step.index, ir.Constant(I64, QUAD))
            rows = [row(builder.add(first, ir.Constant(I64, i))) for i in range(QUAD)]
            target = builder.add(arguments["panel"], builder.mul(step.index, ir.Constant(I64, step_bytes)))
            for j, total in enumerate(sums):
                for half in range(2):
                    alternate = [place for i in range(j * isa.lanes, (j + 1) * isa.lanes) for place in (i, width + i)]
                    pairs = shuffle(builder, rows[half], rows[half + 2], alternate)
                    store(builder, pairs, target, (2 * j + half) * isa.vector_bytes)
                    added = call(builder, "llvm.x86.avx2.pmadd.wd", words, [pairs, ones])
                    builder.store(builder.add(builder.load(total), added), total)
        lefts = splat(builder, builder.trunc(arguments["left_zero"], I32), isa.lanes)
        for array in range(RECORD_BYTES * width // isa.vector_bytes):
            value = load(builder, words, arguments["template"], array * isa.vector_bytes)
            if array < nv:  # bias: the base of accumulators, less what the zero point of the left codes adds
                base = (INT8_WORDS.index("base") * nv + array) * isa.vector_bytes
                begin = load(builder, words, arguments["template"], base)
                value = builder.sub(begin, builder.mul(lefts, builder.load(sums[array])))
            store(builder, value, arguments["record"], array * isa.vector_bytes)
        builder.ret_void()
        return builder.function


if takes_pairs_in_turn(SELECTED):
    _copy = runner(Int8Panel(SELECTED))
    LANES, VECTOR_BYTES = SELECTED.lanes, SELECTED.vector_bytes
    FLIP = SELECTED.code_flip
    SHAPES = int8_product_shapes(SELECTED)


@kernel
def matmul_tile_i8(
    matrices: Matrices, scratch: int, a_zero: int, b_zero: int, template: int, narrow_template: int, codes: TileCodes
) -> None:
    """int8; `scratch` holds `int8_scratch_bytes`, the templates are blocks of an epilogue for every width, widest first."""
    record = scratch
    panel = scratch + RECORD_BYTES * INT8_WIDTHS[0] * LANES
    quads = (matrices.depth + QUAD - 1) // QUAD
    for s in range(matrices.stacks):
        left = matrices.a + s * matrices.a_row
        j = 0
        while j < matrices.columns:
            wide = int(matrices.columns - j > LANES)
            width = INT8_WIDTHS[1 - wide] * LANES
            valid = min(width, matrices.columns - j)
            right = matrices.b + s * matrices.b_row + j
            form = template if wide else narrow_template
            _copy(1 - wide, (right, matrices.b_pixel, panel, matrices.depth, valid, b_zero + FLIP, a_zero + FLIP, form, record))
            out = matrices.dst + s * matrices.dst_row + j
            for variant, tall, vectors in SHAPES:
                if vectors * LANES == width and tall <= matrices.rows:
                    walk = Walk(left, 0, matrices.a_pixel, 0, 0, panel, record, out, 0, matrices.dst_pixel, 1, matrices.rows, 1, 1)
                    tile_i8(variant, walk, Blocks(quads, 0, 1, valid), SavedAccumulators(0, 0, 0, 0), Extras(0, 0), codes)
                    break
            j += width


INT8_PRODUCTS = (matmul_tile_i8,) if takes_pairs_in_turn(SELECTED) else ()
