"""Layers of a quantised graph that move codes about: concat, pad, crop, resize, transpose, reshape."""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.layers import Concat as ConcatLayer
from edgebn.layers import Crop as CropLayer
from edgebn.layers import Gather as GatherLayer
from edgebn.layers import Layer, Quantization
from edgebn.layers import Pad as PadLayer
from edgebn.layers import Resize as ResizeLayer
from edgebn.layers import Transpose as TransposeLayer
from edgebn.passes.graph.requantizations import same_codes
from edgebn.passes.integer import tflm_resize, tflm_tables
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.passes.lowering.resampling import axis_table, index_tables
from edgebn.program import CODE_RANGES, Concat, Crop, Lookup, Pad, Reshape, Resize, Transpose, hwc


def concat(state: Lowering, layer: Layer) -> None:
    """Concatenation; an input of another scale than the output's goes through a table."""
    assert isinstance(layer, ConcatLayer)
    after = state.quantizations[layer.output]
    if state.is_wide(layer.output):
        _wide_concat(state, layer, after)
        return
    tables = []
    for name in layer.inputs:
        before = state.quantizations[name]
        tables.append(None if same_codes(before, after) else _joining_table(state, layer.output, before, after))
    inputs = tuple(state.buffer(name).name for name in layer.inputs)
    value, qmin, qmax = state.with_clips(layer)
    output = state.make(value)
    axis = layer.axis + 3 - len(state.graph.tensors[layer.output].shape)
    if (qmin, qmax) == (-128, 127):
        state.add(layer, Concat(state.step_name(layer), inputs, output.name, axis, tuple(tables)))
        return
    joined = state.scratch(f"{layer.name}/joined", output.shape, after)
    state.add(layer, Concat(state.step_name(layer), inputs, joined.name, axis, tuple(tables)))
    table = state.requantizing_table(after, after, qmin, qmax)
    state.steps.append(Lookup(state.step_name(layer, "clip"), (joined.name,), output.name, table))


def _wide_concat(state: Lowering, layer: ConcatLayer, after: Quantization) -> None:
    """Concatenation of int16 codes; an input of another scale than the output's is rescaled first."""
    inputs = []
    for number, name in enumerate(layer.inputs):
        source = state.buffer(name)
        if not same_codes(state.quantizations[name], after):
            if state.double:
                raise UnsupportedLayerError("its inputs and output differ in scale, which TensorFlow Lite's int16 kernel refuses")
            other = state.scratch(f"{layer.name}/input{number}", source.shape, after)
            state.rescaled(layer, source, other, part=f"input{number}")
            source = other
        inputs.append(source.name)
    value, qmin, qmax = state.with_clips(layer)
    output = state.make(value)
    plain = (qmin, qmax) == CODE_RANGES["int16"]
    target = output if plain else state.scratch(f"{layer.name}/joined", output.shape, after)
    axis = layer.axis + 3 - len(state.graph.tensors[layer.output].shape)
    state.add(layer, Concat(state.step_name(layer), tuple(inputs), target.name, axis))
    if not plain:
        state.rescaled(layer, target, output, (qmin, qmax), "clip")


def _joining_table(state: Lowering, output: str, before: Quantization, after: Quantization) -> np.ndarray:
    """Return the table (256,) of an input of another scale."""
    table = tflm_tables.joined_unsigned(before, after) if state.is_unsigned(output) else state.requantizing_table(before, after)
    return table[0]


def pad(state: Lowering, layer: Layer) -> None:
    """Padding with the code nearest to its value."""
    assert isinstance(layer, PadLayer)
    source = state.buffer(layer.inputs[0])
    output = state.make(layer.output)
    nearest, (least, most) = np.rint(layer.value / output.scale) + output.zero_point, CODE_RANGES[output.dtype]
    if state.double and not least <= nearest <= most:
        raise UnsupportedLayerError(f"it pads with {layer.value:.6g}, which is no code of its output; convert the model again")
    code = int(np.clip(nearest, least, most))  # as the QuantizeLinear behind it does
    first, second, third = ((0, 0),) * (3 - len(layer.pads)) + layer.pads
    state.add(layer, Pad(state.step_name(layer), (source.name,), output.name, (first, second, third), code))


def crop(state: Lowering, layer: Layer) -> None:
    """A part of the value."""
    assert isinstance(layer, CropLayer)
    source = state.buffer(layer.inputs[0])
    first, second, third = (0,) * (3 - len(layer.starts)) + layer.starts
    output = state.make(layer.output)
    state.add(layer, Crop(state.step_name(layer), (source.name,), output.name, (first, second, third)))


def gather(state: Lowering, layer: Layer) -> None:
    """Elements by their indices."""
    assert isinstance(layer, GatherLayer)
    source = state.buffer(layer.inputs[0])
    output = state.make(layer.output)
    rows, columns = index_tables(layer, source.shape)
    weights = [np.zeros((len(table), 2), np.int32) for table in (rows, columns)]
    name = state.step_name(layer)
    state.add(layer, Resize(name, (source.name,), output.name, "nearest", rows, columns, weights[0], weights[1]))


def transpose(state: Lowering, layer: Layer) -> None:
    """Axes in another order."""
    assert isinstance(layer, TransposeLayer)
    source = state.buffer(layer.inputs[0])
    offset = 3 - len(layer.permutation)
    first, second, third = (*range(offset), *(axis + offset for axis in layer.permutation))
    output = state.make(layer.output)
    state.add(layer, Transpose(state.step_name(layer), (source.name,), output.name, (first, second, third)))


def reshape(state: Lowering, layer: Layer) -> None:
    """The same codes under another shape: no work where (H, W, C) stays."""
    source = state.buffer(layer.inputs[0])
    if source.shape == hwc(state.graph.tensors[layer.output].shape):
        state.alias(layer, "vanished: the same codes in the same order")
        return
    output = state.make(layer.output)
    state.add(layer, Reshape(state.step_name(layer), (source.name,), output.name))


def resize(state: Lowering, layer: Layer) -> None:
    """Spatial resampling, nearest or bilinear with weights in 1/1024."""
    assert isinstance(layer, ResizeLayer)
    if layer.function == "bilinear" and state.is_wide(layer.output) and not state.double:
        raise UnsupportedLayerError("a bilinear resampling has no int16 form; convert the model with this layer in float32")
    source = state.buffer(layer.inputs[0])
    output = state.make(layer.output)
    rows, row_weights = _resize_axis(state, layer, 0, source.shape[0])
    columns, column_weights = _resize_axis(state, layer, 1, source.shape[1])
    offset = layer.truncation_offset if layer.function == "bilinear" else None
    tables = (rows, columns, row_weights, column_weights)
    half = True if layer.function == "bilinear" and state.is_unsigned(layer.output) else None
    even = None
    if layer.function == "bilinear" and not state.double and offset is None and output.dtype == "int8":
        even = int(output.zero_point)
    state.add(layer, Resize(state.step_name(layer), (source.name,), output.name, layer.function, *tables, offset, half, even))


def _resize_axis(state: Lowering, layer: ResizeLayer, axis: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (out, 2) source indices and integer weights of one axis."""
    out = layer.size[axis]
    if state.double:
        bilinear = tflm_resize.real_bilinear if state.is_unsigned(layer.output) else tflm_resize.bilinear
        table = tflm_resize.nearest if layer.function == "nearest" else bilinear
        return table(size, out, layer.coordinates)
    index, real = axis_table(size, out, layer.ratio[axis], layer)
    if layer.truncation_offset is not None and layer.function == "bilinear":
        edge = (index[:, 0] == index[:, 1])[:, None]
        return index, np.where(edge, 0.5, real).astype(np.float32)  # halves, where onnxruntime reads one element twice
    second = np.rint(real[:, 1] * tflm_resize.ONE).astype(np.int32)
    return index, np.stack([tflm_resize.ONE - second, second], axis=1)
