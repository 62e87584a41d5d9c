"""Transposes matrices of float32, a square of vectors at a time: rows are loaded, turned in registers and stored as columns."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebn.kernels.isa import SELECTED, InstructionSet
from edgebn.kernels.jit import kernel
from edgebn.kernels.variants import begin_function, runner
from edgebn.kernels.vectors import F32, I64, load, shuffle, store, vector

ELEMENT = 4
SIDE = 8  # of a square, at most: more vectors than two squares fit few register files


class Transpose:
    """Writes the function that transposes one matrix of at least one square; the last squares move back over those before."""

    arguments = ("src", "src_row", "dst", "dst_row", "rows", "columns")
    variants = ("matrix",)

    def __init__(self, isa: InstructionSet) -> None:
        self._side = min(isa.lanes, SIDE)

    def define(self, module: ir.Module, variant: int) -> ir.Function:  # noqa: ARG002  # there is one
        """Write the function: dst[j, i] = src[i, j]; elements of rows adjoin, `src_row` and `dst_row` are bytes."""
        builder, arguments = begin_function(module, "edgebn_transpose_f32", self.arguments)
        side = self._side

        def squares(size: ir.Value) -> ir.Value:
            return builder.udiv(builder.add(size, ir.Constant(I64, side - 1)), ir.Constant(I64, side))

        def start(index: ir.Value, size: ir.Value) -> ir.Value:
            at, last = builder.mul(index, ir.Constant(I64, side)), builder.sub(size, ir.Constant(I64, side))
            return builder.select(builder.icmp_signed("<", at, last), at, last)

        with cgutils.for_range(builder, squares(arguments["rows"])) as down:
            row = start(down.index, arguments["rows"])
            with cgutils.for_range(builder, squares(arguments["columns"])) as along:
                column = start(along.index, arguments["columns"])
                source = self._place(builder, arguments["src"], arguments["src_row"], row, column)
                target = self._place(builder, arguments["dst"], arguments["dst_row"], column, row)
                kind = vector(F32, side)
                lines = [load(builder, kind, source, self._times(builder, arguments["src_row"], i)) for i in range(side)]
                for i, line in enumerate(self._turned(builder, lines)):
                    store(builder, line, target, self._times(builder, arguments["dst_row"], i))
        builder.ret_void()
        return builder.function

    def _times(self, builder: ir.IRBuilder, step: ir.Value, count: int) -> ir.Value:
        return builder.mul(step, ir.Constant(I64, count))

    def _place(self, builder: ir.IRBuilder, base: ir.Value, step: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
        return builder.add(builder.add(base, builder.mul(row, step)), builder.mul(column, ir.Constant(I64, ELEMENT)))

    def _turned(self, builder: ir.IRBuilder, lines: list[ir.Value]) -> list[ir.Value]:
        """Return the columns of a square: blocks beside the diagonal change places, ever smaller ones."""
        side = self._side
        block = side // 2
        while block:
            low = [i if i % (2 * block) < block else side + i - block for i in range(side)]
            high = [i + block if i % (2 * block) < block else side + i for i in range(side)]
            lines = list(lines)
            for i in range(side):
                if i % (2 * block) < block:
                    a, b = lines[i], lines[i + block]
                    lines[i], lines[i + block] = shuffle(builder, a, b, low), shuffle(builder, a, b, high)
            block //= 2
        return lines


if SELECTED.vector_bytes:
    _run = runner(Transpose(SELECTED))


@kernel
def transpose_f32(
    src: int, src_0: int, src_row: int, dst: int, dst_0: int, dst_row: int, count_0: int, rows: int, columns: int
) -> None:
    """Transpose `count_0` matrices, `src_0` and `dst_0` bytes apart, of at least 8 rows and columns."""
    for i in range(count_0):
        _run(0, (src + i * src_0, src_row, dst + i * dst_0, dst_row, rows, columns))


FLOAT32_TRANSPOSE = (transpose_f32,) if SELECTED.vector_bytes else ()
