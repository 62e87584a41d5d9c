"""Products of stacks of float32 matrices, both of them computed, by register tiles.

Some columns of the right matrix are copied to where vectors of them adjoin, as a convolution's weights do, and every row of the
left one meets them there. Each number is one sum from the first product to the last, each added by a multiply-add that is rounded
once: how rows and columns are cut into tiles, copies and shares of threads changes no byte.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.matmul import Matrices
from edgebn.kernels.product_shapes import MAX_VECTORS, PANEL_BYTES, product_shapes
from edgebn.kernels.tile import Float32Products
from edgebn.kernels.tile_epilogue import Outputs, Pixels, Stores
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I32, I64, constant, either, load, offset, splat, store, vector

ELEMENT = 4


class Panel:
    """Writes the functions that copy `valid` columns of `depth` rows to where whole vectors adjoin; zeros fill the last."""

    arguments = ("b", "b_pixel", "panel", "depth", "valid")
    variants = tuple(range(1, MAX_VECTORS + 1))

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of so many vectors; the last is read whole."""
        isa, nv = self._isa, self.variants[variant]
        builder, arguments = begin_function(module, f"edgebn_product_panel_{nv}", self.arguments)
        lanes = vector(I32, isa.lanes)
        left = builder.sub(arguments["valid"], ir.Constant(I64, (nv - 1) * isa.lanes))
        places = ir.Constant(lanes, list(range(isa.lanes)))
        exist = builder.icmp_signed("<", places, splat(builder, builder.trunc(left, I32), isa.lanes))
        with cgutils.for_range(builder, arguments["depth"]) as row:
            source = builder.add(arguments["b"], builder.mul(row.index, arguments["b_pixel"]))
            target = builder.add(arguments["panel"], builder.mul(row.index, ir.Constant(I64, nv * isa.vector_bytes)))
            for j in range(nv):
                value = load(builder, lanes, source, j * isa.vector_bytes)
                if j == nv - 1:
                    value = builder.select(exist, value, constant(I32, isa.lanes, 0))
                store(builder, value, target, j * isa.vector_bytes)
        builder.ret_void()
        return builder.function


class ProductTile:
    """Writes the functions of the tiles: each goes down the rows of the left matrix, and along as much depth as was copied."""

    arguments = ("a", "a_pixel", "panel", "depth", "dst", "dst_pixel", "tiles", "valid", "goes_on")

    def __init__(self, isa: InstructionSet) -> None:
        self._isa, self._products, self._stores = isa, Float32Products(isa), Stores(isa, F32)
        self.variants = product_shapes(isa)

    def define(self, module: ir.Module, variant: int) -> ir.Function:
        """Write the function of a shape: sums begin from zero, or go on from what the output holds."""
        (mr, nv), isa = self.variants[variant], self._isa
        builder, arguments = begin_function(module, f"edgebn_product_f32_{mr}x{nv}", self.arguments)
        kind, members = vector(F32, isa.lanes), [(i, j) for i in range(mr) for j in range(nv)]
        panel = cgutils.alloca_once(builder, I64)
        goes_on = builder.icmp_signed("!=", arguments["goes_on"], ir.Constant(I64, 0))
        pixels = Pixels(arguments["dst_pixel"], None)
        ahead = ir.Constant(I64, 0) if isa.unroll > 1 else None
        with cgutils.for_range(builder, arguments["tiles"]) as tile:
            first = builder.mul(tile.index, ir.Constant(I64, mr))
            left = builder.add(arguments["a"], builder.mul(first, arguments["a_pixel"]))
            target = builder.add(arguments["dst"], builder.mul(first, arguments["dst_pixel"]))

            def begun(target: ir.Value = target) -> list[ir.Value]:
                rows = [builder.add(target, pixels.after_first(builder, i)) for i in range(mr)]
                return [load(builder, kind, offset(builder, rows[i], j * isa.vector_bytes)) for i, j in members]

            starts = either(builder, goes_on, begun, [constant(F32, isa.lanes, 0.0) for _ in members])
            slots = [cgutils.alloca_once_value(builder, value) for value in starts]
            lines = [slots[i * nv : (i + 1) * nv] for i in range(mr)]
            builder.store(arguments["panel"], panel)
            inputs = [builder.add(left, builder.mul(arguments["a_pixel"], ir.Constant(I64, i))) for i in range(mr)]
            self._products.add_tap(builder, inputs, arguments["depth"], panel, lines, ahead)
            outputs = [Outputs(builder.load(slot), [member]) for slot, member in zip(slots, members, strict=True)]
            self._stores.write(builder, outputs, nv, target, pixels, arguments["valid"])
        builder.ret_void()
        return builder.function


if SELECTED.vector_bytes:
    _copy = runner(Panel(SELECTED))
    _multiply = runner(ProductTile(SELECTED))
    LANES = SELECTED.lanes
    SHAPES = product_shapes(SELECTED)


@kernel
def matmul_tile_f32(matrices: Matrices, scratch: int) -> None:
    """Products of at least `MIN_ROWS` rows; `scratch` holds `PANEL_BYTES`."""
    width = MAX_VECTORS * LANES
    for s in range(matrices.stacks):
        for j in range(0, matrices.columns, width):
            valid = min(width, matrices.columns - j)
            vectors = (valid + LANES - 1) // LANES
            deep = PANEL_BYTES // (vectors * LANES * ELEMENT)
            for k in range(0, matrices.depth, deep):
                depth = min(deep, matrices.depth - k)
                right = matrices.b + s * matrices.b_row + k * matrices.b_pixel + j * ELEMENT
                _copy(vectors - 1, (right, matrices.b_pixel, scratch, depth, valid))
                row = 0
                for variant, (tall, wide) in enumerate(SHAPES):
                    tiles = (matrices.rows - row) // tall
                    if wide == vectors and tiles > 0:
                        left = matrices.a + s * matrices.a_row + row * matrices.a_pixel + k * ELEMENT
                        out = matrices.dst + s * matrices.dst_row + row * matrices.dst_pixel + j * ELEMENT
                        _multiply(
                            variant, (left, matrices.a_pixel, scratch, depth, out, matrices.dst_pixel, tiles, valid, int(k > 0))
                        )
                        row += tiles * tall


FLOAT32_PRODUCTS = (matmul_tile_f32,) if SELECTED.vector_bytes else ()
