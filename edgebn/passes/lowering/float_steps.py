"""One function a layer type: the layer of a canonical channels-last graph becomes its float32 step on (H, W, C) buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn import layers as graph_layers
from edgebn import program as steps
from edgebn.layers import BatchNorm, Layer
from edgebn.passes.batch_norm.placement import fits_float32, is_clip
from edgebn.passes.graph.network import check_broadcast, refuse
from edgebn.passes.lowering.float_lowering import UNBOUNDED, Clip, FloatLowering, LayerOutcome, narrower
from edgebn.passes.lowering.matrix_products import float_product
from edgebn.passes.lowering.resampling import axis_table, index_tables
from edgebn.program import Step, hwc


def _weighted(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Convolution | graph_layers.TransposedConvolution | graph_layers.Dense)
    weight = np.ascontiguousarray(layer.weight, np.float32)
    if isinstance(layer, graph_layers.Dense):
        weight = weight[:, np.newaxis, np.newaxis, :]
    if layer.bias is not None and not fits_float32(layer.bias[np.isfinite(layer.bias)]):
        raise refuse(lowering.graph.source, layer, "its bias is beyond float32; is the file damaged?")
    common = lowering.common(layer)
    chain = lowering.chain(layer.output, common["name"])
    common["output"] = chain.output
    common["weight"] = weight
    common["epilogue"] = lowering.epilogue(len(weight), layer.bias, chain)
    if isinstance(layer, graph_layers.Dense):
        step: Step = steps.Convolution(**common)
    else:
        geometry: dict[str, Any] = {
            "strides": layer.strides,
            "dilations": layer.dilations,
            "padding": layer.padding,
            "groups": layer.groups,
        }
        if isinstance(layer, graph_layers.TransposedConvolution):
            step = steps.TransposedConvolution(**common, **geometry, output_padding=layer.output_padding)
        else:
            step = steps.Convolution(**common, **geometry)
    lowering.add(step, layer)


def _affine(lowering: FloatLowering, layer: Layer) -> None:
    """A batch norm that its row keeps: an affine step, with what follows in its epilogue."""
    assert isinstance(layer, BatchNorm)
    _affine_step(lowering, layer, layer, UNBOUNDED)


def _affine_step(lowering: FloatLowering, first: Layer, norm: BatchNorm, pre: Clip) -> None:
    name = lowering.step_name(norm)
    chain = lowering.chain(norm.output, name, (norm,), pre)
    epilogue = lowering.epilogue(len(norm.gamma), None, chain)
    row = lowering.rows[norm.output]
    step = steps.Affine(name, (lowering.names[first.inputs[0]],), chain.output, epilogue)
    lowering.add(step, norm, f"kept: {row.place} ({row.reason})")


def _activation(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Activation)
    reader = lowering.network.only_reader(layer.output)
    if is_clip(layer) and isinstance(reader, BatchNorm):
        lowering.absorbed.add(reader.output)
        _affine_step(lowering, layer, reader, (layer.low, layer.high))
        step = lowering.outcomes[reader.name].step
        lowering.outcomes[layer.name] = LayerOutcome(step, f"folded into {step}: its clip")
        return
    slope = None if layer.slope is None else _slope(layer.slope, lowering.network.shapes[layer.output])
    lowering.add(
        steps.Elementwise(
            **lowering.common(layer),
            function=layer.function,
            low=layer.low,
            high=layer.high,
            alpha=layer.alpha,
            beta=layer.beta,
            slope=slope,
        ),
        layer,
    )


def _slope(slope: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return PReLU's slope as (H or 1, W or 1, C or 1); axes that a longer value merges into its height are written out."""
    whole = slope.astype(np.float32).reshape((1,) * (len(shape) - slope.ndim) + slope.shape)
    if len(shape) > 3 and max(whole.shape[:-2]) > 1:
        whole = np.broadcast_to(whole, (*shape[:-2], *whole.shape[-2:]))
    return np.ascontiguousarray(whole).reshape(hwc(whole.shape))


def _binary(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Add | graph_layers.Multiply | graph_layers.Binary)
    shapes = [lowering.network.shapes[name] for name in (*layer.inputs, layer.output)]
    check_broadcast(lowering.graph.source, layer, [lowering.shape(name) for name in layer.inputs], shapes)
    common = lowering.common(layer)
    post = (layer.low, layer.high)
    while is_clip(clip := lowering.network.only_reader(common["output"])):
        assert clip is not None
        post = narrower(post, clip)
        common["output"] = clip.output
        lowering.absorbed.add(clip.output)
        lowering.outcomes[clip.name] = LayerOutcome(common["name"], f"folded into {common['name']}: its clip")
    if isinstance(layer, graph_layers.Binary):
        lowering.add(steps.Binary(**common, function=layer.function, post=post), layer)
        return
    step_class = steps.Add if layer.kind == "Add" else steps.Multiply
    lowering.add(step_class(**common, post=post), layer)


def _pool(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Pool)
    window = steps.Window(
        layer.function, layer.kernel, layer.strides, layer.dilations, layer.padding, layer.count_padding, layer.clipped_end
    )
    lowering.add(steps.Pool(**lowering.common(layer), window=window), layer)


def _softmax(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Softmax)
    lowering.add(steps.Softmax(**lowering.common(layer), beta=layer.beta), layer)


def _normalization(lowering: FloatLowering, layer: Layer) -> None:
    """A norm of pixels or of blocks of channels; whatever else there is, `layout.py` has made one of these."""
    assert isinstance(layer, graph_layers.Normalization)
    shape = lowering.network.shapes[layer.inputs[0]]
    channels, last = shape[-1], len(shape) - 1
    groups = 0 if layer.axes == (last,) else channels if last not in layer.axes else layer.groups
    gamma, beta = (
        np.broadcast_to(np.float32(neutral) if array is None else array.reshape(-1), (channels,)).astype(np.float32)
        for array, neutral in ((layer.gamma, 1.0), (layer.beta, 0.0))
    )
    common = lowering.common(layer)
    lowering.add(
        steps.Normalization(**common, groups=groups, gamma=gamma, beta=beta, epsilon=layer.epsilon, centred=layer.centred), layer
    )


def _recurrence(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Recurrence)
    names = ("cell", "weight", "gate", "function", "slope", "limit", "backwards", "gives_cell")
    settings = {name: getattr(layer, name) for name in names}
    bias = np.zeros(layer.weight.shape[1], np.float32) if layer.bias is None else layer.bias
    reset_after = layer.cell != "gru" or layer.reset_after
    lowering.add(steps.Recurrence(**lowering.common(layer), **settings, bias=bias, reset_after=reset_after), layer)


def _detections(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.DetectionPostProcess)
    names = ("anchors", "scales", "classes", "most", "each", "per_class", "regular", "score", "overlap")
    lowering.add(steps.DetectionPostProcess(**lowering.common(layer), **{name: getattr(layer, name) for name in names}), layer)


def _suppression(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.NonMaxSuppression)
    settings = {name: getattr(layer, name) for name in ("most", "centred", "score", "overlap")}
    lowering.add(steps.NonMaxSuppression(**lowering.common(layer), **settings), layer)


def _concat(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Concat)
    axis = layer.axis + 3 - len(lowering.network.shapes[layer.output])
    lowering.add(steps.Concat(**lowering.common(layer), axis=axis), layer)


def _pad(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Pad)
    first, second, third = ((0, 0),) * (3 - len(layer.pads)) + layer.pads
    lowering.add(steps.Pad(**lowering.common(layer), pads=(first, second, third), value=layer.value), layer)


def _crop(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Crop)
    first, second, third = (0,) * (3 - len(layer.starts)) + layer.starts
    lowering.add(steps.Crop(**lowering.common(layer), starts=(first, second, third)), layer)


def _resize(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Resize)
    height, width, _ = lowering.shape(layer.inputs[0])
    rows, row_weights = axis_table(height, layer.size[0], layer.ratio[0], layer)
    columns, column_weights = axis_table(width, layer.size[1], layer.ratio[1], layer)
    weights = (row_weights.astype(np.float32), column_weights.astype(np.float32))
    lowering.add(
        steps.Resize(
            **lowering.common(layer),
            function=layer.function,
            rows=rows,
            columns=columns,
            row_weights=weights[0],
            column_weights=weights[1],
        ),
        layer,
    )


def _gather(lowering: FloatLowering, layer: Layer) -> None:
    """Rows and columns by index tables; `three_axes.py` has brought all other axes there."""
    assert isinstance(layer, graph_layers.Gather)
    rows, columns = index_tables(layer, lowering.shape(layer.inputs[0]))
    kind = np.int32 if layer.output in lowering.integers else np.float32
    weights = [np.zeros((len(table), 2), kind) for table in (rows, columns)]
    lowering.add(steps.Resize(**lowering.common(layer), function="nearest", rows=rows, columns=columns,
                              row_weights=weights[0], column_weights=weights[1]), layer)  # fmt: skip


def _transpose(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Transpose)
    offset = 3 - len(layer.permutation)
    if offset < 0:
        raise refuse(lowering.graph.source, layer, f"it reorders {len(layer.permutation)} axes; edgebn keeps three: (H, W, C)")
    first, second, third = (*range(offset), *(axis + offset for axis in layer.permutation))
    lowering.add(steps.Transpose(**lowering.common(layer), permutation=(first, second, third)), layer)


def _reshape(lowering: FloatLowering, layer: Layer) -> None:
    """A reshape that is none under (H, W, C) only gives its value another name."""
    buffer = lowering.names[layer.inputs[0]]
    same = lowering.shape(layer.inputs[0]) == hwc(lowering.network.shapes[layer.output])
    is_output = layer.output in lowering.graph.outputs
    taken = (
        buffer in lowering.graph.inputs
        or buffer in lowering.constants
        or lowering.final.get(buffer, buffer) in lowering.graph.outputs
    )
    if not same or (is_output and taken):
        lowering.add(steps.Reshape(**lowering.common(layer)), layer)
        return
    lowering.names[layer.output] = buffer
    lowering.outcomes.setdefault(layer.name, LayerOutcome("", "vanished: the elements stay where they are"))
    if is_output:
        lowering.final[buffer] = layer.output


def _constant(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.Constant)
    lowering.define(layer.output)
    shape = lowering.shape(layer.output)
    dtype = lowering.buffers[layer.output].dtype
    lowering.constants[layer.output] = np.ascontiguousarray(layer.value, dtype).reshape(shape)


def _cast(lowering: FloatLowering, layer: Layer) -> None:
    """A cast to the type that the value has already is a plain copy."""
    kind = steps.Reshape if len({value in lowering.integers for value in (*layer.inputs, layer.output)}) == 1 else steps.Cast
    lowering.add(kind(**lowering.common(layer)), layer)


def _integer_binary(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.IntegerBinary)
    _check_meeting(lowering, layer)
    lowering.add(steps.IntegerBinary(**lowering.common(layer), function=layer.function), layer)


def _check_meeting(lowering: FloatLowering, layer: Layer) -> None:
    shapes = [lowering.network.shapes[name] for name in (*layer.inputs, layer.output)]
    check_broadcast(lowering.graph.source, layer, [lowering.shape(name) for name in layer.inputs], shapes)


def _arg_extreme(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.ArgExtreme)
    axis = layer.axis + 3 - len(lowering.network.shapes[layer.output])
    count = None if layer.count == 1 else layer.count
    lowering.add(
        steps.ArgExtreme(**lowering.common(layer), function=layer.function, axis=axis, last=layer.last, count=count), layer
    )


def _select(lowering: FloatLowering, layer: Layer) -> None:
    _check_meeting(lowering, layer)
    lowering.add(steps.Select(**lowering.common(layer)), layer)


def _gather_nd(lowering: FloatLowering, layer: Layer) -> None:
    assert isinstance(layer, graph_layers.GatherND)
    rank = len(lowering.network.shapes[layer.inputs[0]])
    if rank > 3:
        raise refuse(lowering.graph.source, layer, "it indexes a value of more than three axes; reshape it first")
    lowering.add(steps.GatherND(**lowering.common(layer), axis=3 - rank, first=layer.first), layer)


HANDLERS: dict[str, Callable[[FloatLowering, Layer], None]] = {
    "Activation": _activation,
    "Add": _binary,
    "Affine": _affine,
    "ArgExtreme": _arg_extreme,
    "BatchNorm": _affine,
    "Binary": _binary,
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "Convolution": _weighted,
    "Crop": _crop,
    "Dense": _weighted,
    "DetectionPostProcess": _detections,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "IntegerBinary": _integer_binary,
    "MatMul": float_product,
    "Multiply": _binary,
    "NonMaxSuppression": _suppression,
    "Normalization": _normalization,
    "Pad": _pad,
    "Pool": _pool,
    "Recurrence": _recurrence,
    "Reshape": _reshape,
    "Resize": _resize,
    "Select": _select,
    "Softmax": _softmax,
    "Transpose": _transpose,
    "TransposedConvolution": _weighted,
}
