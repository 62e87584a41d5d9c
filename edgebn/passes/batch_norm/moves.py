"""Moves that the fold table asks for: a batch norm, or a clip, steps in front of a layer it commutes with, to where it folds."""

from __future__ import annotations

import numpy as np

from edgebn.layers import BatchNorm, Concat, Crop, Layer, Pool, Resize
from edgebn.passes.batch_norm.fold_table import FOLDED, decide
from edgebn.passes.batch_norm.placement import CARRIERS, Epilogue, is_clip
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized
from edgebn.quick_dataclass import replace

COMMUTING = ("Pool", "Reshape", "Resize", "Crop", "Concat")


def move_norm(network: Network, layer: Layer) -> bool:
    """Move a batch norm in front of the pool, reshape, upsampling, crop or concatenation before it where its row says so."""
    if not isinstance(layer, BatchNorm) or is_quantized(network, layer):
        return False
    if layer.axis != len(network.shapes[layer.output]) - 1:
        return False
    source = network.maker.get(layer.inputs[0])
    if source is None or source.kind not in COMMUTING:
        return False
    row = decide(network, layer)
    if row.outcome != FOLDED:
        return False
    if source.kind == "Concat":
        inputs = _split(network, layer, source)
    else:
        inputs = (_put(network, layer, source.inputs[0], layer.name, slice(None)),)
    network.put(replace(source, inputs=inputs, output=layer.output), layer.output)
    if source.name in network.in_file:  # else a rule put it there, and it is no place in the file
        network.notes.setdefault(layer.name, row.place)
    return True


def _put(network: Network, norm: BatchNorm, value: str, name: str, channels: slice) -> str:
    """Put the named part of `norm` behind `value`; return the value it makes."""
    output = network.new_value(f"{value}/{norm.name}")
    arrays = {key: getattr(norm, key)[channels] for key in ("gamma", "beta", "mean", "variance")}
    axis = len(network.shapes[value]) - 1
    network.put(replace(norm, name=name, inputs=(value,), output=output, axis=axis, **arrays), value)
    return output


def _split(network: Network, norm: BatchNorm, concat: Layer) -> tuple[str, ...]:
    ends = np.cumsum([network.shapes[name][-1] for name in concat.inputs]).tolist()
    starts = [0, *ends[:-1]]
    return tuple(
        _put(network, norm, value, f"{norm.name}[{start}:{end}]", slice(start, end))
        for value, start, end in zip(concat.inputs, starts, ends, strict=True)
    )


def _rises(layer: Layer | None) -> bool:
    """Whether the layer only picks elements by place or by size, so that a clip may come before it."""
    if isinstance(layer, Pool | Resize):
        return layer.function in ("max", "nearest")
    return isinstance(layer, Crop | Concat)


def move_clip(network: Network, layer: Layer) -> bool:
    """Move a ReLU or other clip in front of a max pool, crop, concatenation or nearest upsampling, into the epilogues before it."""
    if not is_clip(layer) or is_quantized(network, layer):
        return False
    source = network.maker.get(layer.inputs[0])
    if source is None or not _rises(source) or network.only_reader(source.output) is not layer:
        return False
    if not all(_ends_in_epilogue(network, value, source) for value in source.inputs):
        return False
    clipped: list = []
    for value in source.inputs:
        output = network.new_value(f"{value}/{layer.name}")
        name = layer.name if len(source.inputs) == 1 else f"{layer.name}[{len(clipped)}]"
        network.put(replace(layer, name=name, inputs=(value,), output=output), value)
        clipped.append(output)
    network.put(replace(source, inputs=tuple(clipped), output=layer.output), layer.output)
    network.notes.setdefault(layer.name, f"moved in front of {source.name}")
    return True


def _ends_in_epilogue(network: Network, value: str, reader: Layer) -> bool:
    root = Epilogue.ending_at(network, value).root
    alone = network.only_reader(value) is reader and reader.inputs.count(value) == 1
    return alone and root is not None and root.kind in CARRIERS


RULES: tuple[Rule, ...] = (move_norm, move_clip)
