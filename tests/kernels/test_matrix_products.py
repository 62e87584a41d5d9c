"""int8 tiles of products of matrices: their sums beside NumPy's on any machine, and that accumulators stay in registers on AArch64.

Here the two instructions are functions that do what Arm's manual says of them; `make test-arm64` runs an emulated processor's.
"""

import ctypes
import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from edgebn.kernels import isa, requantization, tile, tile_shapes, tile_weights
from tests.kernels import machine_code

FOUND = next(one for one in isa.INSTRUCTION_SETS if one.matrices)
SHAPES = tile_shapes.shapes(FOUND, real=False)

# (depth, first bytes of both): the sum of so many products of bytes in each of four words. Word i of SDOT takes word i of both
# vectors, word 2 i + j of SMMLA half i of the first and half j of the second.
INSTRUCTIONS = {
    "llvm.aarch64.neon.sdot.v4i32.v16i8": (4, [(4 * i, 4 * i) for i in range(4)]),
    "llvm.aarch64.neon.smmla.v4i32.v16i8": (8, [(8 * i, 8 * j) for i in range(2) for j in range(2)]),
}


def stand_in(name, depth, places):
    """Return LLVM code of a function that does what an instruction does."""
    wide = f"<{depth} x i32>"
    lines = [f"define internal <4 x i32> @{name}(<4 x i32> %acc, <16 x i8> %a, <16 x i8> %b) {{"]
    lines += [f"  %{v}w = sext <16 x i8> %{v} to <16 x i32>" for v in "ab"]
    result = "%acc"
    for word, starts in enumerate(places):
        for value, start in zip("ab", starts, strict=True):
            mask = ", ".join(f"i32 {start + k}" for k in range(depth))
            lines.append(f"  %{value}{word} = shufflevector <16 x i32> %{value}w, <16 x i32> poison, <{depth} x i32> <{mask}>")
        lines.append(f"  %p{word} = mul {wide} %a{word}, %b{word}")
        lines.append(f"  %s{word} = call i32 @llvm.vector.reduce.add.v{depth}i32({wide} %p{word})")
        lines.append(f"  %o{word} = extractelement <4 x i32> %acc, i32 {word}")
        lines.append(f"  %t{word} = add i32 %o{word}, %s{word}")
        lines.append(f"  %r{word} = insertelement <4 x i32> {result}, i32 %t{word}, i32 {word}")
        result = f"%r{word}"
    return "\n".join([*lines, f"  ret <4 x i32> {result}", "}", f"declare i32 @llvm.vector.reduce.add.v{depth}i32({wide})", ""])


def written(shape):
    tiles = tile.Tiles(FOUND, tile.int8_products(FOUND), "i8")
    module = ir.Module()
    tiles.define(module, tiles.variants.index(shape)).linkage = "external"
    return tiles.arguments, module


@pytest.fixture(scope="module")
def compiled():
    """Return what compiles a tile for this machine: shape -> (names of arguments, function)."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    kept = []

    def function(shape):
        arguments, module = written(shape)
        text = str(module)
        for number, (name, (depth, places)) in enumerate(INSTRUCTIONS.items()):
            text = re.sub(rf'^declare [^\n]*@"{re.escape(name)}"[^\n]*\n', "", text, flags=re.MULTILINE)
            text = text.replace(f'@"{name}"', f"@stand_in_{number}") + stand_in(f"stand_in_{number}", depth, places)
        machine = llvm.Target.from_default_triple().create_target_machine()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
        engine.finalize_object()
        kept.append(engine)
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))
        return arguments, kind(engine.get_function_address(tile_shapes.function_name("i8", *shape)))

    return function


def sums_of(found, shape, codes, weight):
    """Run a tile along `codes` (rows, columns, taps, run), whose taps lie apart, and return its sums (rows, columns, channels)."""
    names, function = found
    mr, nv = shape
    rows, columns, taps, run = codes.shape
    outputs, width, lanes = len(weight), nv * FOUND.lanes, FOUND.lanes
    contract = requantization.Requantization(
        acc_bias=np.arange(outputs) * 1000 - 3000,
        lo=np.full(outputs, -(2**31) + 1),
        hi=np.full(outputs, 2**31 - 1),
        m=np.full(outputs, 1 << 30),
        r=np.full(outputs, 1 << 39),
        s=np.full(outputs, 40),
        neg=False,
        zero_point=0,
        qmin=-128,
        qmax=127,
    )
    packed = requantization.pack_epilogue_i8(FOUND, contract, weight, nv)
    if weight.dtype == np.int8:
        data, steps = tile_weights.pack_weights_i8(FOUND, weight, nv), np.zeros((0, 2), np.int64)
    else:
        data, steps = tile_weights.pack_wide_weights_i8(FOUND, weight, nv)
    quads = -(-run // 4)
    source = np.full((rows, columns, taps, 4 * quads), 99, np.int8)  # what no weight is for, but may be read
    source[..., :run] = codes
    extra = np.ascontiguousarray(steps[:, 0] * 4 * quads + steps[:, 1] * 4)
    blocks = -(-outputs // width)
    saved = np.full((rows, columns, blocks * width + 8 * lanes), -1, np.int32)
    marks = np.ones(rows * -(-columns // mr), np.uint8)
    target = np.zeros((rows, columns, outputs), np.int8)
    words = {
        "src": source.ctypes.data,
        "row_step": source.strides[0],
        "column_step": source.strides[1],
        "tap_row_step": source.strides[2],
        "tap_column_step": 0,
        "weight": data.ctypes.data,
        "epilogue": packed.data.ctypes.data,
        "dst": target.ctypes.data,
        "dst_row": target.strides[0],
        "dst_pixel": target.strides[1],
        "rows": rows,
        "columns": columns,
        "tap_rows": taps,
        "tap_columns": 1,
        "depth": quads,
        "weight_row_step": 0,
        "blocks": blocks,
        "last_channels": outputs - (blocks - 1) * width,
        "saved": saved.ctypes.data,
        "saved_row": saved.strides[0],
        "saved_pixel": saved.strides[1],
        "observed_mask": marks.ctypes.data,
        "extra": extra.ctypes.data,
        "extras": len(extra),
        **packed.scalars,
    }
    function(*(int(words[name]) for name in names))
    sums = saved[..., :outputs].astype(np.int64)
    # The middle of the range of codes: round(sum / 2**10).
    assert np.array_equal(target, np.clip((sums * (1 << 30) + (1 << 39)) >> 40, -128, 127))
    return sums - contract.acc_bias


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_numpy(shape, compiled):
    """For every remainder of the depth, last tiles that move left, channels that do not exist, and the largest codes there are."""
    found = compiled(shape)
    rng = np.random.default_rng(list(shape))
    mr, nv = shape
    for run in (1, 4, 5, 8, 11, 16, 20, 24, 28, 40, 61):
        columns = mr + int(rng.integers(mr))
        outputs = int(rng.integers(1, 2 * nv * FOUND.lanes + 1))
        codes = rng.choice(np.array([-128, -127, -1, 0, 3, 127], np.int8), (2, columns, 2, run))
        weight = rng.choice(np.array([-128, -5, 0, 1, 127], np.int8), (outputs, 2, run))
        expected = np.einsum("yxtr,otr->yxo", codes.astype(np.int64), weight.astype(np.int64))
        assert np.array_equal(sums_of(found, shape, codes, weight), expected), run


@pytest.mark.parametrize("shape", [(4, 4), (1, 1)])
def test_weights_beyond_int8_are_added_in_further_steps(shape, compiled):
    found = compiled(shape)
    rng = np.random.default_rng(0)
    for run in (3, 12, 24):
        codes = rng.integers(-128, 128, (1, 5, 3, run)).astype(np.int8)
        weight = rng.integers(-255, 256, (6, 3, run)).astype(np.int16)
        weight[:, 1] //= 8  # a tap that needs none
        expected = np.einsum("yxtr,otr->yxo", codes.astype(np.int64), weight.astype(np.int64))
        assert np.array_equal(sums_of(found, shape, codes, weight), expected), run


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] * shape[1] >= 8])
def test_accumulators_stay_in_registers(shape):
    """In the loop of sixteen codes of depth, whose products, joins and loads are counted."""
    tiles = tile.Tiles(FOUND, tile.int8_products(FOUND), "i8")
    text = machine_code.assembly(tiles, shape, FOUND, machine_code.ARM64, "generic")
    loops = [body for body in machine_code.innermost_loops(text) if "smmla" in body]
    assert len(loops) == 1
    (loop,) = loops
    pairs = -(-shape[0] // 2)
    assert "[sp" not in loop
    assert len(re.findall(r"\tsmmla\t", loop)) == 4 * pairs * shape[1]
    assert len(re.findall(r"\t(?:zip|dup|mov\tv|ext|ins|trn)", loop)) <= 2 * pairs
