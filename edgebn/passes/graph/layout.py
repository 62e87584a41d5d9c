"""Any layout to channels-last: every value is held in the order its readers want, and transposes appear only where orders clash.

A value keeps its file order in name only: `Placed` says how its axes really lie. Elementwise layers take what comes, spatial
layers ask for (H, W, C), batch norm and softmax ask for their axis to be the last; the file's own Transposes are just another
way to lie. So pairs cancel without being looked for. It knows nothing of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from edgebn.graph import Graph, Shape, rebuilt
from edgebn.layers import (
    Activation,
    ArgExtreme,
    BatchNorm,
    Concat,
    Constant,
    Crop,
    Gather,
    Identity,
    Layer,
    Normalization,
    Pad,
    Quantization,
    Reduce,
    Reshape,
    Softmax,
    Transpose,
)
from edgebn.passes.graph.network import refuse
from edgebn.passes.graph.transposing import MAX_RUNS, axis_groups, last_run, over_space, reshape_groups, transpose_plan
from edgebn.passes.names import unused_name
from edgebn.quick_dataclass import dataclass, replace

Permutation = tuple[int, ...]

MAX_AXES = 3  # of what steps work on: (H, W, C)
SPATIAL = ("Convolution", "TransposedConvolution", "Pool", "Resize")
# Layers whose output has the axes of their inputs, in the same order.
SAME_AXES = (
    "Activation", "Add", "ArgExtreme", "BatchNorm", "Binary", "Cast", "Concat", "Crop", "Dequantize", "Gather", "Identity",
    "IntegerBinary", "Multiply", "Normalization", "Pad", "Quantize", "Select", "Softmax",
)  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """How a value of the file lies in the new graph: axis i of `name` is the value's own axis `order[i]`."""

    name: str
    order: Permutation


def channels_last(rank: int) -> Permutation:
    """Return the order that turns (C, ...) into (..., C)."""
    return (*range(1, rank), 0)


def channels_first_values(graph: Graph) -> set[str]:
    """Return the values whose own order is (C, H, W) or (C, L): those of channels-first layers and all that share their axes.

    Sessions show exactly these, where they are inputs or outputs of the network, as (H, W, C) or (L, C). A network without a
    layer that says so (`channels_first`) has none, whatever its file format.
    """
    found: set[str] = set()
    size = -1
    constants = {layer.output for layer in graph.layers if layer.kind == "Constant"}
    while len(found) != size:
        size = len(found)
        for layer in (*graph.layers, *reversed(graph.layers)):
            group = _same_layout(graph, layer) - constants
            if getattr(layer, "channels_first", False):
                found |= group | {layer.inputs[0]}
            elif group & found:
                found |= group
    return found


def _same_layout(graph: Graph, layer: Layer) -> set[str]:
    rank = len(graph.tensors[layer.output].shape)
    same_axes = (
        layer.kind in (*SAME_AXES, *SPATIAL)
        or (isinstance(layer, Reduce) and layer.keepdims)
        or (isinstance(layer, Transpose) and layer.permutation[:1] == (0,))
        or (isinstance(layer, Reshape) and layer.shape == graph.tensors[layer.inputs[0]].shape)
    )
    if not same_axes or rank not in (2, 3):
        return set()
    return {name for name in (*layer.inputs, layer.output) if len(graph.tensors[name].shape) == rank}


def to_channels_last(graph: Graph, shown: Collection[str] | None = None) -> Graph:
    """Return the network with every spatial layer channels-last and every batch norm and softmax along the last axis.

    Network inputs and outputs named by `channels_first_values` change to (H, W, C) or (L, C); all others keep their shape.

    Parameters
    ----------
    graph : Graph
    shown : collection of str, optional
        What `channels_first_values` names of the file's network, where `graph` is what became of it.

    Raises
    ------
    UnsupportedLayerError
        A transpose of too many axes.
    """
    return _Layout(graph, shown).result()


class _Layout:
    def __init__(self, graph: Graph, shown: Collection[str] | None) -> None:
        self.graph = graph
        self.first = channels_first_values(graph)
        if shown is not None:
            ends = {*graph.inputs, *graph.outputs}
            self.first = (self.first - ends) | (ends & set(shown))
        self.placed: dict[str, Placed] = {}
        self.shapes: dict[str, Shape] = {}
        self.emitted: list[Layer] = []
        self.quantizations: dict[str, Quantization | None] = {}
        self.values: dict[str, np.ndarray] = {}  # constants, in file order
        self.converted: dict[tuple[str, Permutation], str] = {}
        self.layer: Layer  # the one being placed, for messages

    def result(self) -> Graph:
        inputs = {}
        for name in self.graph.inputs:
            shape = self.graph.tensors[name].shape
            order = self.shown_order(name)
            self.placed[name] = Placed(name, order)
            self.shapes[name] = inputs[name] = tuple(shape[axis] for axis in order)
        for layer in self.graph.layers:
            self.layer = layer
            if layer.kind not in HANDLERS:
                raise refuse(self.graph.source, layer, "edgebn has no rule that lays out this type of layer")
            HANDLERS[layer.kind](self, layer)
        for name in self.graph.outputs:
            self._place_output(name)
        return rebuilt(self.graph, self.emitted, inputs=inputs, quantizations=self.quantizations)

    def shown_order(self, name: str) -> Permutation:
        """Return the order in which sessions show `name` where it is an input or output of the network."""
        rank = self.rank(name)
        return channels_last(rank) if name in self.first else tuple(range(rank))

    def _place_output(self, name: str) -> None:
        order = self.shown_order(name)
        self.layer = self.graph.producer(name) or Identity(name, (name,), name)
        held = self.in_order(name, order)
        if held == name:
            return
        if name in self.shapes:  # held in another order under its own name: that one steps aside
            aside = self.new_value(f"{name}/held")
            self.emitted = [
                replace(
                    layer,
                    inputs=tuple(aside if value == name else value for value in layer.inputs),
                    output=aside if layer.output == name else layer.output,
                )
                for layer in self.emitted
            ]
            self.shapes[aside] = self.shapes.pop(name)
            self.quantizations[aside] = self.quantizations.get(name)
            self.placed = {key: replace(value, name=aside) if value.name == name else value for key, value in self.placed.items()}
            self.converted = {key: aside if value == name else value for key, value in self.converted.items()}
        self.emit(Identity(f"{name}/output", (held,), name), self.graph.tensors[name].quantization)

    def new_value(self, base: str) -> str:
        return unused_name(base, self.shapes, self.graph.tensors)

    def emit(self, layer: Layer, quantization: Quantization | None) -> str:
        self.shapes[layer.output] = layer.output_shape(*(self.shapes[name] for name in layer.inputs))
        self.quantizations[layer.output] = quantization
        self.emitted.append(layer)
        return layer.output

    def keep(self, layer: Layer, order: Permutation) -> None:
        """Emit a layer of the file; its output lies in `order`."""
        if getattr(layer, "channels_first", False):
            layer = replace(layer, channels_first=False)  # type: ignore[call-arg]  # no field of `Layer` itself
        self.emit(layer, self.graph.tensors[layer.output].quantization)
        self.placed[layer.output] = Placed(layer.output, order)

    def rank(self, value: str) -> int:
        return len(self.graph.tensors[value].shape)

    def in_order(self, value: str, order: Permutation) -> str:
        """Return the name under which `value` lies in `order`, transposing it where it does not yet."""
        placed = self.placed[value]
        if placed.order == order:
            return placed.name
        key = (value, order)
        if key not in self.converted:
            if value in self.values:
                self.converted[key] = self._constant(value, np.transpose(self.values[value], order), order)
            else:
                moved = tuple(placed.order.index(axis) for axis in order)
                self.converted[key] = self._transpose(placed.name, moved, self.graph.tensors[value].quantization)
        return self.converted[key]

    def _constant(self, value: str, array: np.ndarray, order: Permutation) -> str:
        """Emit the constant `value`, whose axes (others put in front) now lie in `order`."""
        quantization = self.graph.tensors[value].quantization
        if quantization is not None and quantization.axis is not None:
            own = quantization.axis + len(order) - self.rank(value)
            quantization = replace(quantization, axis=order.index(own))
        layer = Constant(f"{value}/ordered", (), self.new_value(f"{value}/ordered"), np.asarray(array, order="C"))
        return self.emit(layer, quantization)

    def _transpose(self, name: str, permutation: Permutation, quantization: Quantization | None) -> str:
        """Emit the cheapest layers that transpose `name`: a Reshape where only axes of size 1 move, else one Transpose."""
        shape = self.shapes[name]
        result = tuple(shape[axis] for axis in permutation)
        groups = axis_groups(shape, permutation)
        label = self.layer.name
        if len(groups) <= 1:
            return self.emit(Reshape(f"{label}/reshape", (name,), self.new_value(f"{name}/reshaped"), result), quantization)
        label = f"{label}/transpose"
        if len(shape) <= 3:
            return self.emit(Transpose(label, (name,), self.new_value(f"{name}/transposed"), permutation), quantization)
        runs = sorted(groups)
        plan = transpose_plan(tuple(runs.index(group) for group in groups))
        if plan is None:
            raise refuse(
                self.graph.source,
                self.layer,
                f"it needs the axes of a value of shape {shape} in the order {permutation}, which moves more than {MAX_RUNS} runs "
                "of axes; split the transpose, or leave it out",
            )
        sizes = [int(np.prod([shape[axis] for axis in run])) for run in runs]
        for blocks, order in plan:
            merged = tuple(int(np.prod([sizes[run] for run in block])) for block in blocks)
            name = self.emit(Reshape(label, (name,), self.new_value(f"{name}/merged"), merged), quantization)
            name = self.emit(Transpose(label, (name,), self.new_value(f"{name}/transposed"), order), quantization)
        return self.emit(Reshape(label, (name,), self.new_value(f"{name}/split"), result), quantization)

    def in_rank(self, value: str, order: Permutation) -> str:
        """Return `value`, of lower rank than `order`, broadcast-ready: axes of size 1 put in front, then in `order`."""
        rank = self.rank(value)
        if rank == len(order):
            return self.in_order(value, order)
        if order == tuple(range(len(order))):
            return self.in_order(value, tuple(range(rank)))
        shape = (1,) * (len(order) - rank) + self.graph.tensors[value].shape
        if value in self.values:
            return self._constant(value, np.transpose(self.values[value].reshape(shape), order), order)
        held = self.in_order(value, tuple(range(rank)))
        quantization = self.graph.tensors[value].quantization
        raised = self.emit(Reshape(f"{self.layer.name}/reshape", (held,), self.new_value(f"{value}/raised"), shape), quantization)
        return self._transpose(raised, order, quantization)


def _constant(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Constant)
    layout.values[layer.output] = layer.value
    layout.keep(layer, tuple(range(layer.value.ndim)))


def _spatial(layout: _Layout, layer: Layer) -> None:
    rank = layout.rank(layer.inputs[0])
    first = bool(getattr(layer, "channels_first", False))
    order = channels_last(rank) if first else tuple(range(rank))
    source = layout.in_order(layer.inputs[0], order)
    layout.keep(replace(layer, inputs=(source,)), order)


def _unary(layout: _Layout, layer: Layer) -> None:
    placed = layout.placed[layer.inputs[0]]
    layout.keep(replace(layer, inputs=(placed.name,)), placed.order)


def _activation(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Activation)
    placed = layout.placed[layer.inputs[0]]
    slope = layer.slope
    if slope is not None and placed.order != tuple(range(len(placed.order))):
        slope = np.transpose(slope.reshape((1,) * (len(placed.order) - slope.ndim) + slope.shape), placed.order)
    others = tuple(layout.in_rank(name, placed.order) for name in layer.inputs[1:])  # a PReLU's slope codes
    layout.keep(replace(layer, inputs=(placed.name, *others), slope=slope), placed.order)


def _batch_norm(layout: _Layout, layer: Layer) -> None:
    """A product and a sum with one number have no axis of their own: they run along the last one, as their value lies."""
    assert isinstance(layer, BatchNorm)
    one = (layer.gamma[:1], layer.beta[:1])
    if layer.has_statistics or any((array != number).any() for array, number in zip((layer.gamma, layer.beta), one, strict=True)):
        _axis_last(layout, layer)
        return
    placed = layout.placed[layer.inputs[0]]
    channels = layout.shapes[placed.name][-1]
    gamma, beta = (np.full(channels, number[0], np.float32) for number in one)
    zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    along = replace(layer, gamma=gamma, beta=beta, mean=zeros, variance=ones, axis=len(placed.order) - 1)
    layout.keep(replace(along, inputs=(placed.name,)), placed.order)


def _axis_last(layout: _Layout, layer: Layer) -> None:
    """Batch norm and softmax run along the last axis; a value that lies otherwise is turned first."""
    assert isinstance(layer, BatchNorm | Softmax)
    order = layout.placed[layer.inputs[0]].order
    if order[-1] != layer.axis:
        order = (*(axis for axis in range(len(order)) if axis != layer.axis), layer.axis)
    source = layout.in_order(layer.inputs[0], order)
    layout.keep(replace(layer, inputs=(source,), axis=len(order) - 1), order)


def _normalization(layout: _Layout, layer: Layer) -> None:
    """A norm of channels or blocks of them over the whole map: those last. Any other: what it runs over is last, as one axis."""
    assert isinstance(layer, Normalization)
    held = layout.placed[layer.inputs[0]].order
    rank = len(held)
    left = [axis for axis in range(rank) if axis not in layer.axes]
    channels = left[0] if len(left) == 1 and layer.groups == 1 else layer.axis
    whole_map = layer.groups > 1 or (rank > 1 and len(left) < 2 and _varies_along(layer, channels) and _is_map(layer, left))
    last = (channels,) if whole_map else layer.axes
    order = (*(axis for axis in held if axis not in last), *(axis for axis in held if axis in last))
    source = layout.in_order(layer.inputs[0], order)
    shape = layout.shapes[source]
    split = rank - len(last)
    arrays = [None if array is None else np.transpose(array, order) for array in (layer.gamma, layer.beta)]
    if any(array is not None and any(size != 1 for size in array.shape[:split]) for array in arrays):
        raise refuse(layout.graph.source, layer, "its gamma or beta varies along an axis that it does not normalise")

    def keeps(rank: int) -> Normalization:
        axes = (rank - 1,) if not whole_map else tuple(range(rank - (1 if left and layer.groups == 1 else 0)))
        wide = [None if array is None else np.broadcast_to(array, (*array.shape[:split], *shape[split:])) for array in arrays]
        gamma, beta = (None if array is None else array.reshape((1,) * (rank - 1) + (-1,)) for array in wide)
        return replace(layer, axes=axes, axis=rank - 1, gamma=gamma, beta=beta, channels_first=False)

    if rank <= MAX_AXES and len(last) == 1:
        layout.keep(replace(keeps(rank), inputs=(source,)), order)
        return
    merged = (int(np.prod(shape[:split])), int(np.prod(shape[split:])))
    before, after = (layout.graph.tensors[name].quantization for name in (layer.inputs[0], layer.output))
    source = layout.emit(Reshape(f"{layer.name}/merge", (source,), layout.new_value(f"{source}/merged"), merged), before)
    made = layout.emit(replace(keeps(2), inputs=(source,), output=layout.new_value(f"{layer.output}/merged")), after)
    layout.keep(Reshape(f"{layer.name}/split", (made,), layer.output, shape), order)


def _is_map(layer: Normalization, left: list[int]) -> bool:
    """Whether it is plainer to take the axes for those of a map than for the elements of one."""
    return not left or len(layer.axes) > 1 or not _varies_along(layer, layer.axes[0])


def _varies_along(layer: Normalization, axis: int) -> bool:
    """Whether gamma and beta are the same along every axis but one."""
    arrays = [array for array in (layer.gamma, layer.beta) if array is not None]
    return all(size == 1 for array in arrays for place, size in enumerate(array.shape) if place != axis)


def _joint_order(layout: _Layout, layer: Layer) -> Permutation:
    """Return the order in which most elements of the layer's inputs already lie; on a tie that of a network output."""
    rank = layout.rank(layer.output)
    votes: dict[Permutation, int] = {layout.shown_order(layer.output): 0}
    for name in layer.inputs:
        if layout.rank(name) == rank and name not in layout.values:
            elements = int(np.prod(layout.graph.tensors[name].shape))
            order = layout.placed[name].order
            votes[order] = votes.get(order, 0) + elements
    return max(votes, key=lambda order: votes[order])


def _binary(layout: _Layout, layer: Layer) -> None:
    order = _joint_order(layout, layer)
    layout.keep(replace(layer, inputs=tuple(layout.in_rank(name, order) for name in layer.inputs)), order)


def _concat(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Concat)
    order = _joint_order(layout, layer)
    inputs = tuple(layout.in_order(name, order) for name in layer.inputs)
    layout.keep(replace(layer, inputs=inputs, axis=order.index(layer.axis)), order)


def _pad(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Pad)
    placed = layout.placed[layer.inputs[0]]
    layout.keep(replace(layer, inputs=(placed.name,), pads=tuple(layer.pads[axis] for axis in placed.order)), placed.order)


def _crop(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Crop)
    placed = layout.placed[layer.inputs[0]]
    starts = tuple(layer.starts[axis] for axis in placed.order)
    sizes = tuple(layer.sizes[axis] for axis in placed.order)
    layout.keep(replace(layer, inputs=(placed.name,), starts=starts, sizes=sizes), placed.order)


def _gather(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Gather)
    placed = layout.placed[layer.inputs[0]]
    indices = tuple(layer.indices[axis] for axis in placed.order)
    layout.keep(replace(layer, inputs=(placed.name,), indices=indices), placed.order)


def _arg_extreme(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, ArgExtreme)
    placed = layout.placed[layer.inputs[0]]
    layout.keep(replace(layer, inputs=(placed.name,), axis=placed.order.index(layer.axis)), placed.order)


def _in_file_order(layout: _Layout, layer: Layer) -> None:
    """Matrices lie in the file's order, rows before columns; so do lists of boxes and scores, moments, and what is indexed."""
    inputs = tuple(layout.in_order(name, tuple(range(layout.rank(name)))) for name in layer.inputs)
    layout.keep(replace(layer, inputs=inputs), tuple(range(layout.rank(layer.output))))


def _reduce(layout: _Layout, layer: Layer) -> None:
    assert isinstance(layer, Reduce)
    source = layer.inputs[0]
    order = layout.placed[source].order
    if layout.graph.tensors[source].quantization is not None and not _one_window(layout, layer, order):
        order = (*(axis for axis in order if axis not in layer.axes), *(axis for axis in order if axis in layer.axes))
    held = layout.in_order(source, order)
    axes = tuple(sorted(order.index(axis) for axis in layer.axes))
    if not layer.keepdims:
        left = [axis for axis in order if axis not in layer.axes]
        ranking = sorted(left)
        order = tuple(ranking.index(axis) for axis in left)
    layout.keep(replace(layer, inputs=(held,), axes=axes), order)


def _one_window(layout: _Layout, layer: Reduce, order: Permutation) -> bool:
    """Whether the reduced axes of a value that lies in `order` are one window: codes are rounded once, not axis after axis."""
    shape = tuple(layout.graph.tensors[layer.inputs[0]].shape[axis] for axis in order)
    axes = [place for place, axis in enumerate(order) if axis in layer.axes and shape[place] != 1]
    return not axes or over_space(shape, axes) or last_run(shape, axes) == axes


def _dense(layout: _Layout, layer: Layer) -> None:
    order = layout.placed[layer.inputs[0]].order
    if order[-1] != len(order) - 1:
        order = tuple(range(len(order)))
    layout.keep(replace(layer, inputs=(layout.in_order(layer.inputs[0], order),)), order)


def _reshape(layout: _Layout, layer: Layer) -> None:
    """Split or merge axes where they lie; only axes that are merged must lie side by side, in the file's order."""
    assert isinstance(layer, Reshape)
    source = layer.inputs[0]
    groups = reshape_groups(layout.graph.tensors[source].shape, layer.shape)
    held = layout.placed[source].order
    present = [axis for axis in held if layout.graph.tensors[source].shape[axis] != 1] or list(held)
    groups.sort(key=lambda group: min((present.index(axis) for axis in group[0] if axis in present), default=-1))
    before = tuple(axis for group in groups for axis in group[0])
    after = tuple(axis for group in groups for axis in group[1])
    shape = tuple(layer.shape[axis] for axis in after)
    layout.keep(replace(layer, inputs=(layout.in_order(source, before),), shape=shape), after)


def _transpose(layout: _Layout, layer: Layer) -> None:
    """The file's own transpose: the value stays where it lies, under another name for its axes."""
    assert isinstance(layer, Transpose)
    placed = layout.placed[layer.inputs[0]]
    order = tuple(layer.permutation.index(axis) for axis in placed.order)
    if layer.inputs[0] in layout.values:
        layout.values[layer.output] = np.transpose(layout.values[layer.inputs[0]], layer.permutation)
    layout.placed[layer.output] = Placed(placed.name, order)


HANDLERS: dict[str, Callable[[_Layout, Layer], None]] = {
    "Activation": _activation,
    "Add": _binary,
    "ArgExtreme": _arg_extreme,
    "BatchNorm": _batch_norm,
    "Binary": _binary,
    "Cast": _unary,
    "Concat": _concat,
    "Constant": _constant,
    "Convolution": _spatial,
    "Crop": _crop,
    "Dense": _dense,
    "DetectionPostProcess": _in_file_order,
    "Dequantize": _unary,
    "Gather": _gather,
    "GatherND": _in_file_order,
    "Identity": _unary,
    "IntegerBinary": _binary,
    "MatMul": _in_file_order,
    "Multiply": _binary,
    "NonMaxSuppression": _in_file_order,
    "Normalization": _normalization,
    "Pad": _pad,
    "Pool": _spatial,
    "Quantize": _unary,
    "Recurrence": _in_file_order,
    "Reduce": _reduce,
    "Reshape": _reshape,
    "Resize": _spatial,
    "Select": _binary,
    "Softmax": _axis_last,
    "Transpose": _transpose,
    "TransposedConvolution": _spatial,
}
