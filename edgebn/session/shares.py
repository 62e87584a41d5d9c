"""How each operation of the table splits into shares that threads may run at once, and what it costs: the one place that says so.

A share of an operation is the same operation on some of its units: rows, pixels or blocks of channels. Splits change no byte: every
number is computed from the same numbers in the same order. An operation that is not named here stays whole, on one thread.
`splitting.py` decides where to cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgebn.kernels import isa, tile_shapes
from edgebn.kernels.depthwise_shapes import ANY, FLOAT_TILES, INT8_VARIANTS
from edgebn.kernels.pool_shapes import BLOCK
from edgebn.kernels.product_shapes import PANEL_BYTES, int8_scratch_bytes
from edgebn.kernels.records import FLOAT32_WORDS, INT8_LONGS, INT8_WORDS
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session.packer import Row

Arguments = Mapping[str, Any]

# Nanoseconds of work below which a share costs more to hand over than it saves (measured: 0.3 to 0.5 us, and caches to fill,
# which one thread must do as well where the step before was shared).
MIN_SHARE = 750.0
# How many times as large as the input weights must be for channels to be split and not pixels. Each core then reads half of the
# weights, but all of the input, of which others have just written most: that takes longer, byte for byte (measured: 3 % of
# MobileNet v2 in int8).
WEIGHTS_OVER_INPUT = 16
LINE = 64  # adjacent elements that stay together: whole vectors and cache lines


@dataclass(frozen=True)
class Axis:
    """One way to split an operation.

    Attributes
    ----------
    count : callable (arguments) -> int
        The units there are.
    take : callable (arguments, first, count) -> dict
        The arguments that change for `count` units from `first` on.
    """

    count: Callable[[Arguments], int]
    take: Callable[[Arguments, int, int], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How operations of one name are shared.

    Attributes
    ----------
    axes : callable (arguments) -> sequence of Axis
        Best first.
    nanoseconds : callable (arguments) -> float
        Roughly what all of it takes on one core of 3 GHz.
    beside : bool
        Whether several such operations of one step, one after the other, may run at once: they write different places, or the same
        bytes, and none reads what another writes.
    scratch : callable (arguments) -> dict of str to int
        Addresses of scratch, of which every share needs its own (`most_shares`): the bytes of each.
    """

    axes: Callable[[Arguments], Sequence[Axis]]
    nanoseconds: Callable[[Arguments], float]
    beside: bool = True
    scratch: Callable[[Arguments], dict[str, int]] = lambda _: {}


Move = str | int | Callable[[Arguments], int]


def along(count: str, **moves: Move) -> Axis:
    """Return the axis whose units the argument `count` counts; `moves` says how far each address moves from one to the next.

    A move is a number of bytes, the name of the argument that holds it, or a function of the arguments.
    """
    return in_units(count, lambda _: 1, **moves)


def in_units(count: str, size: Callable[[Arguments], int], **moves: Move) -> Axis:
    """Return the axis along `count` where every `size`-th place can begin a share: units are so many, the last may have more."""

    def units(arguments: Arguments) -> int:
        return max(1, arguments[count] // size(arguments))

    def take(arguments: Arguments, first: int, taken: int) -> dict[str, Any]:
        begin = first * size(arguments)
        end = arguments[count] if first + taken == units(arguments) else (first + taken) * size(arguments)
        changed: dict[str, Any] = {count: end - begin}
        for name, move in moves.items():
            step = arguments[move] if isinstance(move, str) else move(arguments) if callable(move) else move
            changed[name] = arguments[name] + begin * step
        return changed

    return Axis(units, take)


def _lanes() -> int:
    return isa.SELECTED.pointwise_lanes


# Register tiles.


def _shape(arguments: Arguments, *, real: bool) -> tuple[int, int]:
    return tile_shapes.shapes(isa.SELECTED, real=real)[arguments["variant"]]


def _block_bytes(arguments: Arguments, nv: int) -> int:
    """Return the bytes of the weights of one block of `nv` vectors of channels (`tile_weights`)."""
    halves = 2 if isa.SELECTED.dot == "pmaddwd" else 1
    taps = arguments.get("tap_rows", 1) * arguments.get("tap_columns", 1)
    return taps * arguments["depth"] * nv * isa.SELECTED.vector_bytes * halves


def _by_block(arguments: Arguments, nv: int, *, real: bool, finishes: bool = True, weights: int = 0) -> Axis:
    """Return the axis of the blocks of output channels of a tile or a dense layer; all but the last are whole.

    Sums that no epilogue finishes begin from the same in all blocks. `weights` are a block's bytes where they are not a tile's.
    """
    channels = nv * isa.SELECTED.lanes
    record = (4 * len(FLOAT32_WORDS) if real else 4 * len(INT8_WORDS) + 8 * len(INT8_LONGS)) if finishes else 0
    weights = weights or _block_bytes(arguments, nv) // (1 if not real or isa.SELECTED.dot != "pmaddwd" else 2)
    axis = along("blocks", weight=weights, epilogue=channels * record, dst=channels * (4 if real else 1))

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        changed = axis.take(arguments, first, count)
        return changed if first + count == arguments["blocks"] else changed | {"last_channels": channels}

    return Axis(axis.count, take)


def _by_tile(mr: int) -> Axis:
    """Return the axis of the tiles of `mr` pixels of a row. A last tile moves left, as in the whole row.

    Some pixels are then computed in two shares: to the same bytes.
    """

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        end = min((first + count) * mr, arguments["columns"])
        begin = min(first * mr, end - mr)
        moved = {
            "src": arguments["src"] + begin * arguments["column_step"],
            "dst": arguments["dst"] + begin * arguments["dst_pixel"],
        }
        return moved | {"columns": end - begin}

    return Axis(lambda arguments: -(-arguments["columns"] // mr), take)


def _tile_axes(*, real: bool, finishes: bool = True) -> Callable[[Arguments], Sequence[Axis]]:
    def axes(arguments: Arguments) -> Sequence[Axis]:
        mr, nv = _shape(arguments, real=real)
        rows = along("rows", src="row_step", dst="dst_row", weight="weight_row_step")
        columns = _by_tile(mr)
        blocks = _by_block(arguments, nv, real=real, finishes=finishes)
        if arguments["weight_row_step"]:
            return rows, blocks
        # Shares of pixels all read the weights, shares of channels all read the inputs.
        inputs = arguments["rows"] * arguments["columns"] * arguments["depth"] * 4
        if arguments["blocks"] * _block_bytes(arguments, nv) > WEIGHTS_OVER_INPUT * inputs:
            return blocks, rows, columns
        return rows, columns, blocks

    return axes


def _tile_time(*, real: bool) -> Callable[[Arguments], float]:
    def nanoseconds(arguments: Arguments) -> float:
        mr, nv = _shape(arguments, real=real)
        rows, columns = arguments["rows"], arguments["columns"]
        tiles = tile_shapes.count_tiles(isa.SELECTED, mr, rows, columns, real=real) * arguments["blocks"]
        steps = arguments["tap_rows"] * arguments["tap_columns"] * arguments["depth"]
        products = tiles * steps * max(mr * nv, tile_shapes.LATENCY_BOUND)
        reading = arguments["blocks"] * _block_bytes(arguments, nv) * 0.05
        return max(0.2 * products, reading) + 2.0 * tiles * mr * nv

    return nanoseconds


def _dense_axes(arguments: Arguments) -> Sequence[Axis]:
    return (_by_block(arguments, tile_shapes.dense_widths(isa.SELECTED)[arguments["variant"]], real=True),)


def _dense_time(arguments: Arguments) -> float:
    nv = tile_shapes.dense_widths(isa.SELECTED)[arguments["variant"]]
    return 0.01 * arguments["blocks"] * arguments["depth"] * nv * isa.SELECTED.vector_bytes


def _int8_dense_width(arguments: Arguments) -> int:
    return tile_shapes.int8_dense_widths(isa.SELECTED)[arguments["variant"]]


def _int8_dense_axes(arguments: Arguments) -> Sequence[Axis]:
    nv = _int8_dense_width(arguments)
    weights = tile_shapes.padded_dense_depth(arguments["depth"]) * nv * isa.SELECTED.lanes
    return (_by_block(arguments, nv, real=False, weights=weights),)


def _int8_dense_time(arguments: Arguments) -> float:
    return 0.022 * arguments["blocks"] * arguments["depth"] * _int8_dense_width(arguments) * isa.SELECTED.lanes


# Depthwise kernels.


def _depthwise_axes(*, real: bool) -> Callable[[Arguments], Sequence[Axis]]:
    rows = along("rows", src="row_step", dst="dst_row")

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        step = arguments["block_step"]
        taps = arguments["tap_rows"] * arguments["tap_columns"]
        if real:
            weights, record = taps * isa.SELECTED.vector_bytes, isa.SELECTED.lanes * 4 * len(FLOAT32_WORDS)
        else:
            halves = 2 if isa.SELECTED.dot == "pmaddwd" else 1
            weights = arguments["tap_rows"] * -(-arguments["tap_columns"] // 4) * 4 * isa.SELECTED.vector_bytes * halves
            record = 4 * isa.SELECTED.lanes * (4 * len(INT8_WORDS) + 8 * len(INT8_LONGS))
        is_last = first + count == arguments["blocks"]
        return {
            "blocks": count,
            "src": arguments["src"] + first * step,
            "dst": arguments["dst"] + first * step,
            "weight": arguments["weight"] + first * weights,
            "epilogue": arguments["epilogue"] + first * record,
            "last_block": (arguments["last_block"] - first * step) if is_last else (count - 1) * step,
        }

    blocks = Axis(lambda arguments: arguments["blocks"], take)
    return lambda _: (rows, blocks)


def _depthwise_time(*, real: bool) -> Callable[[Arguments], float]:
    def nanoseconds(arguments: Arguments) -> float:
        vectors = arguments["rows"] * arguments["columns"] * arguments["blocks"]
        taps = arguments["tap_rows"] * arguments["tap_columns"]
        if real:
            return vectors * (0.25 * taps * (1 if FLOAT_TILES[arguments["variant"]][1] else 2) + 1.0)
        rolled = INT8_VARIANTS[arguments["variant"]][0] != ANY
        return vectors * (1.0 * taps + 6.0 if rolled else 1.5 * taps + 4.0)

    return nanoseconds


# Everything else goes by rows.


def _rows(*names: str, elements: Callable[[Arguments], int], each: float, moves: Mapping[str, Move] | None = None) -> Kind:
    """Return the kind of an operation whose `names` move by the argument NAME_row, with `each` nanoseconds an element."""
    axis = along("rows", **{name: f"{name}_row" for name in names}, **(moves or {}))
    return Kind(lambda _: (axis,), lambda arguments: each * elements(arguments))


def _by_count(arguments: Arguments) -> int:
    return int(arguments["rows"] * arguments["count"])


def _by_channel(arguments: Arguments) -> int:
    return int(arguments["rows"] * arguments["columns"] * arguments["channels"])


def _operands(each: float, element: int) -> Kind:
    """Return the kind of a sum or product of two operands, whose rows are counted in elements."""
    moves: dict[str, Move] = {
        "a": lambda arguments: arguments["a_row"] * element,
        "b": lambda arguments: arguments["b_row"] * element,
    }
    return _rows("dst", elements=_by_channel, each=each, moves=moves)


def _adjacent(elements: Mapping[str, int], each: float) -> Kind:
    """Return the kind of an operation on rows of adjacent elements, of which a single row can be split as well.

    `elements` has, by address, the bytes of one.
    """
    rows = along("rows", **{name: f"{name}_row" for name in elements})
    inside = in_units("count", lambda _: LINE, **elements)
    return Kind(lambda arguments: (rows if arguments["rows"] > 1 else inside,), lambda arguments: each * _by_count(arguments))


def _pixels(elements: Mapping[str, Move], each: float, scratch: Callable[[Arguments], dict[str, int]] = lambda _: {}) -> Kind:
    """Return the kind of an operation on pixels, of which a row can be split as well.

    `elements` has, by address, the bytes from one pixel to the next.
    """
    rows = along("rows", **{name: f"{name}_row" for name in elements})
    columns = along("columns", **elements)
    return Kind(lambda _: (rows, columns), lambda arguments: each * _by_channel(arguments), scratch=scratch)


def _adjacent_pixels(each: float, element: int, scratch: Callable[[Arguments], dict[str, int]] = lambda _: {}) -> Kind:
    """Return the kind of an operation on adjacent pixels from src to dst, of elements of so many bytes."""

    def size(arguments: Arguments) -> int:
        return int(arguments["channels"]) * element

    return _pixels({"src": size, "dst": size}, each, scratch)


def _matmul(element: int, each: float, scratch: Callable[[Arguments], dict[str, int]] = lambda _: {}) -> Kind:
    """Return the kind of a stack of products: whole matrices, else rows of the left one, else columns of the right one."""
    stacks = along("stacks", a="a_row", b="b_row", dst="dst_row")
    rows = along("rows", a="a_pixel", dst="dst_pixel")
    columns = in_units("columns", lambda _: LINE // element, b=element, dst=element)

    def nanoseconds(arguments: Arguments) -> float:
        return each * arguments["stacks"] * arguments["rows"] * arguments["columns"] * arguments["depth"]

    return Kind(lambda _: (stacks, rows, columns), nanoseconds, scratch=scratch)


def _norm_by_group() -> Kind:
    """Return the kind of a norm of groups of channels over the whole map."""

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        size = arguments["channels"] // arguments["groups"]
        moves = {"src": 4, "dst": 4, "gamma": 4, "beta": 4, "scratch": 16}
        moved = {name: arguments[name] + first * size * bytes_each for name, bytes_each in moves.items()}
        return moved | {"channels": count * size, "groups": count}

    axis = Axis(lambda arguments: arguments["groups"], take)
    return Kind(lambda _: (axis,), lambda arguments: 0.5 * _by_channel(arguments))


def _pool(each: float, element: int, scratch: int = 0) -> Kind:
    """Return the kind of a pool; it reads the place of a row from its number. Pools of one step may follow on each other.

    `scratch` is bytes a channel.
    """

    def taps(arguments: Arguments) -> int:
        return _by_channel(arguments) * arguments["kernel_rows"] * arguments["kernel_columns"]

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        return {"first_row": arguments["first_row"] + first, "rows": count}

    rows = Axis(lambda arguments: arguments["rows"], take)
    channels = in_units("channels", lambda _: LINE // element, src=element, dst=element)
    own = (lambda arguments: {"scratch": scratch * arguments["channels"]}) if scratch else lambda _: {}
    return Kind(lambda _: (rows, channels), lambda arguments: each * taps(arguments), beside=False, scratch=own)


def _sum_blocks(block: Callable[[Arguments], int], each: float, element: int) -> Kind:
    """Return the kind of sums of blocks of so many pixels, of which the last may be shorter; also by channels."""

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        begin = first * block(arguments)
        end = arguments["pixels"] if first + count == arguments["blocks"] else (first + count) * block(arguments)
        src, dst = arguments["src"] + begin * arguments["pixel"], arguments["dst"] + first * arguments["dst_row"]
        return {"src": src, "dst": dst, "pixels": end - begin, "blocks": count}

    blocks = Axis(lambda arguments: arguments["blocks"], take)
    channels = in_units("channels", lambda _: LINE // element, src=element, dst=4)
    return Kind(lambda _: (blocks, channels), lambda arguments: each * arguments["pixels"] * arguments["channels"])


def _average_blocks(each: float, element: int) -> Kind:
    """Return the kind of the averages of such sums, with `each` nanoseconds a sum, which it adds up in place."""
    channels = in_units("channels", lambda _: LINE // element, src=4, dst=element)
    return Kind(lambda _: (channels,), lambda arguments: each * arguments["blocks"] * arguments["channels"], beside=False)


def _outputs(arguments: Arguments) -> int:
    """Return the output channels of a plain convolution."""
    if "groups" in arguments:
        return int(arguments["groups"] * arguments["group_outputs"])
    return int(arguments["outputs" if "outputs" in arguments else "channels"])


def _plain_convolution(arguments: Arguments) -> int:
    return int(
        arguments["rows"]
        * arguments["columns"]
        * _outputs(arguments)
        * arguments["tap_rows"]
        * arguments["tap_columns"]
        * arguments.get("run", 1)
    )


def _moves(each: float) -> Kind:
    axes = [along(f"count_{axis}", src=f"src_{axis}", dst=f"dst_{axis}") for axis in range(3)]

    def best(arguments: Arguments) -> Sequence[Axis]:
        return [axis for index, axis in enumerate(axes) if arguments[f"count_{index}"] > 1][:2]

    return Kind(best, lambda arguments: each * math.prod(arguments[f"count_{axis}"] for axis in range(3)))


def _squares(_: Arguments) -> Sequence[Axis]:
    outer = along("count_0", src="src_0", dst="dst_0")
    rows = in_units("rows", lambda _: 16, src="src_row", dst=4)
    columns = in_units("columns", lambda _: 16, src=4, dst="dst_row")
    return outer, columns, rows


def _planes(image: str) -> Kind:
    """Return the kind of one of Winograd's transforms, which read or write rows of `image` two by two, and planes tile by tile."""

    def units(arguments: Arguments) -> int:
        # A last tile of one row of its own moves up, and writes that of the tile above as well: it must come after it.
        return max(1, int(arguments["tile_rows"]) - arguments["last_y"] % 2)

    def take(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
        is_last = first + count == units(arguments)
        return {
            "tile_rows": arguments["tile_rows"] - first if is_last else count,
            "last_y": arguments["last_y"] - 2 * first,
            "planes": arguments["planes"] + first * arguments["tile_columns"] * arguments["tile_step"],
            image: arguments[image] + 2 * first * arguments[f"{image}_row"],
        }

    axis = Axis(units, take)
    return Kind(
        lambda _: (axis,), lambda arguments: 10.0 * arguments["tile_rows"] * arguments["tile_columns"] * arguments["blocks"]
    )


def _halo(arguments: Arguments, first: int, count: int) -> dict[str, Any]:
    """Return what changes for some rows of a halo's filling: what lies before the first, and behind each of them."""
    changed = {"rows": count}
    if first:
        changed |= {"dst": arguments["dst"] + arguments["start_offset"] + first * arguments["row"], "start_offset": 0}
    if first + count < arguments["rows"]:
        changed["tail"] = arguments["gap"]
    return changed


_LINES: dict[str, Move] = {"row_index": 8}
_WEIGHTED: dict[str, Move] = {"row_index": 8, "row_weight": 8}


_BY_LINES = replace(
    _rows("dst", elements=_by_channel, each=0.4, moves=_WEIGHTED),
    scratch=lambda arguments: {"lines": 2 * 4 * arguments["columns"] * arguments["channels"]},
)


def _search(each: float) -> Kind:
    """Return the kind of a search along one axis, which goes by the two others."""
    axes = tuple(along(f"count_{axis}", src=f"src_{axis}", dst=f"dst_{axis}") for axis in range(2))
    return Kind(lambda _: axes, lambda arguments: each * arguments["count_0"] * arguments["count_1"] * arguments["along"])


def _recurrent_scratch(arguments: Arguments) -> dict[str, int]:
    vectors = arguments["vectors"] + arguments["candidate_vectors"]
    return {"scratch": 4 * (vectors * isa.SELECTED.pointwise_lanes + 2 * arguments["units"])}


def _recurrent_time(arguments: Arguments) -> float:
    products = (arguments["vectors"] + arguments["candidate_vectors"]) * arguments["units"]
    return float(arguments["rows"] * arguments["moments"] * (0.2 * products + 4.0 * arguments["units"]))


# Sequences run at once, moments cannot.
_RECURRENT = Kind(
    lambda _: (along("rows", src="src_row", dst="dst_row", state="state_row", memory="memory_row"),),
    _recurrent_time,
    scratch=_recurrent_scratch,
)

# What the plain kernels do, with one product after the other.
_PLAIN = Kind(lambda _: (along("rows", src="row_step", dst="dst_row"),), _plain_convolution)
_PLAIN_SUMS = replace(_PLAIN, scratch=lambda arguments: {"scratch": 4 * _outputs(arguments)})

KINDS: dict[str, Kind] = {
    "tile_i8": Kind(_tile_axes(real=False), _tile_time(real=False)),
    "tile_f32": Kind(_tile_axes(real=True), _tile_time(real=True)),
    "tile_i16": Kind(_tile_axes(real=True, finishes=False), _tile_time(real=True)),  # in the shapes of float32
    "depthwise_tile_i8": Kind(_depthwise_axes(real=False), _depthwise_time(real=False)),
    "depthwise_tile_f32": Kind(_depthwise_axes(real=True), _depthwise_time(real=True)),
    "dense_f32": Kind(_dense_axes, _dense_time, scratch=lambda arguments: {"places": 4 * arguments["depth"]}),
    "dense_i8": Kind(
        _int8_dense_axes,
        _int8_dense_time,
        scratch=lambda arguments: {"halves": 2 * tile_shapes.padded_dense_depth(arguments["depth"])},
    ),
    "winograd_input_f32": _planes("src"),
    "winograd_input_i8": _planes("src"),
    "winograd_output_f32": _planes("dst"),
    "winograd_output_i8": _planes("dst"),
    "convolution_i8": _PLAIN,
    "convolution_f32": _PLAIN,
    "convolution_wide_i8": _PLAIN,
    "convolution_wide_i16": _PLAIN,
    "convolution_axpy_i16": _PLAIN_SUMS,
    "depthwise_i16": _PLAIN_SUMS,
    "add_tile_i8": _adjacent({"a": 1, "b": 1, "dst": 1}, 0.12),
    "scale_tile_i8": Kind(
        lambda _: (
            along("rows", a="a_row", dst="dst_row"),
            in_units("columns", lambda arguments: arguments["together"], a="channels", dst="channels"),
        ),
        lambda arguments: 0.12 * _by_channel(arguments),
        scratch=lambda arguments: {"table": 4 * arguments["together"] * arguments["channels"]},
    ),
    "add_f32": _operands(0.15, 4),
    "add_i8": _operands(2.0, 1),
    "add_double_i8": _operands(3.0, 1),
    "add_i16": _operands(2.0, 2),
    "add_double_i16": _operands(3.0, 2),
    "multiply_f32": _operands(0.15, 4),
    "multiply_i8": _operands(1.0, 1),
    "multiply_i16": _operands(2.0, 2),
    "binary_f32": _operands(0.3, 4),
    "power_f32": _operands(3.0, 4),
    "binary_i8": _operands(4.0, 1),
    "binary_i16": _operands(4.0, 2),
    "compare_f32": _operands(0.5, 4),
    "binary_i32": _operands(0.5, 4),
    "arg_extreme_f32": _search(1.0),
    "arg_extreme_i32": _search(1.0),
    "arg_extreme_i8": _search(1.0),
    "average_f32": _pool(0.5, 4, 12),
    "average_i8": _pool(0.05, 1, 4),
    "average_rescaled_i8": _pool(0.05, 1, 4),
    "average_i16": _pool(1.0, 2),
    "maximum_i8": _pool(0.05, 1),
    "maximum_i16": _pool(0.1, 2),
    "maximum_f32": _pool(0.2, 4),
    "maximum_tile_f32": _pool(0.05, 4),
    "maximum_tile_i8": _pool(0.02, 1),
    "average_tile_f32": _pool(0.05, 4),
    "sum_blocks_f32": _sum_blocks(lambda _: BLOCK, 0.05, 4),
    "sum_blocks_i8": _sum_blocks(lambda arguments: arguments["per_block"], 0.05, 1),
    "average_blocks_f32": _average_blocks(0.1, 4),
    "average_blocks_i8": _average_blocks(0.5, 1),
    "average_blocks_rescaled_i8": _average_blocks(1.0, 1),
    "affine_f32": _rows("src", "dst", elements=_by_channel, each=0.3),
    "affine_i8": _rows("src", "dst", elements=_by_channel, each=2.0),
    "affine_i16": _rows("src", "dst", elements=_by_channel, each=2.0),
    "curve_i16": _adjacent({"src": 2, "dst": 2}, 2.0),
    "rescale_i16_i16": _adjacent({"src": 2, "dst": 2}, 2.0),
    "rescale_i16_i8": _adjacent({"src": 2, "dst": 1}, 2.0),
    "rescale_i8_i16": _adjacent({"src": 1, "dst": 2}, 2.0),
    "lookup_i8": _pixels({"src": "src_pixel", "dst": "dst_pixel"}, 0.15),
    "pointwise_f32": _adjacent({"src": 4, "dst": 4}, 0.25),
    "softmax_f32": _adjacent_pixels(0.9, 4),
    "softmax_i8": _adjacent_pixels(3.0, 1, lambda _: {"scratch": 4 * 256}),
    "softmax_i16": _adjacent_pixels(4.0, 2, lambda arguments: {"scratch": 4 * arguments["channels"]}),
    "unit_norm_i8": _adjacent_pixels(1.0, 1),
    "normalize_pixels_f32": _adjacent_pixels(0.6, 4),
    "normalize_groups_f32": _norm_by_group(),
    "matmul_f32": _matmul(4, 0.1),
    "matmul_tile_f32": _matmul(4, 0.03, lambda _: {"scratch": PANEL_BYTES}),
    "matmul_i8": _matmul(1, 0.12, lambda arguments: {"scratch": 4 * arguments["columns"]}),
    "matmul_tile_i8": _matmul(1, 0.025, lambda arguments: {"scratch": int8_scratch_bytes(isa.SELECTED, arguments["depth"])}),
    "matmul_i16": _matmul(2, 0.8),
    "recurrence_f32": _RECURRENT,
    "prelu_f32": _rows("src", "dst", elements=_by_channel, each=0.3, moves={"slope": lambda arguments: arguments["slope_row"] * 4}),
    "nearest": _rows(
        "dst", elements=lambda arguments: arguments["rows"] * arguments["columns"] * arguments["pixel"], each=0.05, moves=_LINES
    ),
    "bilinear_f32": _rows("dst", elements=_by_channel, each=0.5, moves=_WEIGHTED),
    "bilinear_i8": _BY_LINES,
    "bilinear_i16": _rows("dst", elements=_by_channel, each=1.0, moves=_WEIGHTED),
    "bilinear_even_i8": _BY_LINES,
    "bilinear_half_i8": _rows("dst", elements=_by_channel, each=1.0, moves=_WEIGHTED),
    "bilinear_truncated_i8": _rows("dst", elements=_by_channel, each=1.0, moves=_WEIGHTED),
    "copy_rows": _adjacent({"src": 1, "dst": 1}, 0.03),
    "flip_rows": _adjacent({"src": 1, "dst": 1}, 0.05),
    "quantize_rows": _adjacent({"src": 4, "dst": 1}, 0.3),
    "dequantize_rows": _adjacent({"src": 1, "dst": 4}, 0.2),
    "quantize_rows_i16": _adjacent({"src": 4, "dst": 2}, 0.5),
    "dequantize_rows_i16": _adjacent({"src": 2, "dst": 4}, 0.3),
    "fill_halo": Kind(lambda _: (Axis(lambda arguments: arguments["rows"], _halo),), lambda arguments: 80.0 * arguments["rows"]),
    "fill_bytes": _rows("dst", elements=_by_count, each=0.03),
    "fill_f32": _rows("dst", elements=_by_count, each=0.1),
    "fill_i16": _rows("dst", elements=_by_count, each=0.05),
    "move_u8": _moves(0.2),
    "move_f32": _moves(0.25),
    "move_i16": _moves(0.25),
    "transpose_f32": Kind(_squares, lambda arguments: 0.3 * arguments["count_0"] * arguments["rows"] * arguments["columns"]),
    "repeat_u8": _rows("src", "dst", elements=lambda arguments: _by_count(arguments) * arguments["times"], each=0.1),
    "repeat_f32": _rows("src", "dst", elements=lambda arguments: _by_count(arguments) * arguments["times"], each=0.15),
}


def nanoseconds(row: Row) -> float:
    """Return roughly what an operation takes on one core; 0 for what cannot be shared."""
    kind = KINDS.get(row.operation)
    return kind.nanoseconds(row.arguments) if kind is not None else 0.0
