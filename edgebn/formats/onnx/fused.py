"""What onnxruntime writes when it saves a network that it has optimised: several nodes in one, read as these nodes one by one.

Those whose weights are stored for one kind of processor are another matter: `model.py` refuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.formats.onnx import activations, arithmetic, convolutions, own_statistics, pooling
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static, Value

Reader = Callable[[Node, Context], Dynamic]

# What may stand behind a product: its reader, and what its numbers are called.
BEHIND: dict[str, tuple[Reader, tuple[str, ...]]] = {
    "Clip": (activations.clip, ("min", "max")),
    "HardSigmoid": (activations.hard_sigmoid, ("alpha", "beta")),
    "LeakyRelu": (activations.leaky_relu, ("alpha",)),
    "Relu": (activations.relu, ()),
    "Sigmoid": (activations.sigmoid, ()),
    "Tanh": (activations.tanh, ()),
}
ATTRIBUTES_OF_CLIP = 6  # the opset in which its bounds were attributes


def _one(node: Node, part: str, *inputs: Value | None, op: str = "", **attributes: Any) -> Node:
    """Return one of the nodes that `node` stands for; `part` names it, and is empty for the last."""
    made = node.outputs[0]
    return replace(
        node,
        name=f"{node.name}/{part}" if part else node.name,
        op=op or node.op,
        inputs=inputs,
        outputs=(f"{made}/{part}" if part else made,),
        used=(True,),
        attributes=attributes,
        domain="",
    )


def _activated(node: Node, context: Context, x: Dynamic, numbers: tuple[float, ...]) -> Dynamic:
    name = node.text("activation", "")
    if name not in BEHIND:
        raise node.refuse(f"its activation '{name}' is none that edgebn knows behind a product; save the network less optimised")
    read, names = BEHIND[name]
    behind = replace(_one(node, "", x, op=name, **dict(zip(names, numbers, strict=False))), opset=ATTRIBUTES_OF_CLIP)
    return read(behind, context)


def fused_conv(node: Node, context: Context) -> Dynamic:
    """FusedConv: a convolution, a value that is added to it, an activation."""
    numbers = node.attributes.get("activation_params") or []
    own = {name: value for name, value in node.attributes.items() if not name.startswith("activation")}
    made = convolutions.conv(_one(node, "conv", *node.inputs[:3], op="Conv", **own), context)
    if node.has(3):
        made = arithmetic.add(_one(node, "sum", made, node.value(3), op="Add"), context)
    return _activated(node, context, made, tuple(numbers))


def fused_gemm(node: Node, context: Context) -> Dynamic:
    """FusedGemm: a Gemm and an activation."""
    own = {name: value for name, value in node.attributes.items() if not name.startswith("activation")}
    made = convolutions.gemm(_one(node, "gemm", *node.inputs, op="Gemm", **own), context)
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return _activated(node, context, made, tuple(node.number(name, 0.0) for name in names if name in node.attributes))


def fused_matmul(node: Node, context: Context) -> Dynamic:
    """FusedMatMul: the product of two values or of one and a constant, either transposed in its last two axes, times a number."""
    if node.integer("transBatchA", 0) or node.integer("transBatchB", 0):
        raise node.refuse("it moves the first axis of an input next to the last; save the network less optimised")
    sides: list[Value] = []
    for index, side in enumerate("AB"):
        value = node.value(index)
        if node.integer(f"trans{side}", 0):
            value = _transposed(node, context, value, f"transposed_{side.lower()}")
        sides.append(value)
    alpha = node.number("alpha", 1.0)
    last = "" if alpha == 1.0 else "product"
    made = convolutions.matmul(_one(node, last, *sides, op="MatMul"), context)
    return made if alpha == 1.0 else arithmetic.mul(_one(node, "", made, Static(np.asarray(alpha, np.float32)), op="Mul"), context)


def _transposed(node: Node, context: Context, value: Value, part: str) -> Value:
    if not isinstance(value, Dynamic):
        return replace(value, array=value.array.swapaxes(-1, -2), codes=None) if value.array.ndim > 1 else value
    axes = list(range(len(value.shape)))
    axes[-2:] = axes[:-3:-1]
    return context.transpose(node, value, tuple(axes), part=part) if len(axes) > 1 else value


def _with_bias(read: Reader) -> Reader:
    """Return the reader of an activation of a sum with a vector that may be left out."""

    def reader(node: Node, context: Context) -> Dynamic:
        x = node.value(0)
        if node.has(1):
            x = arithmetic.add(_one(node, "sum", x, node.value(1), op="Add"), context)
        return read(_one(node, "", x, **node.attributes), context)

    return reader


def _by_tanh(node: Node, context: Context) -> Dynamic:
    return activations.gelu(replace(node, attributes={"approximate": "tanh"}), context)


def quick_gelu(node: Node, context: Context) -> Dynamic:
    """QuickGelu: x * sigmoid(alpha x), alpha 1.702 unless said."""
    return activations.swish(replace(node, attributes={"alpha": node.number("alpha", 1.702)}), context)


bias_gelu = _with_bias(activations.gelu)
fast_gelu = _with_bias(_by_tanh)


def skip_normalization(*, centred: bool) -> Callable[[Node, Context], tuple[Dynamic, ...]]:
    """Return the reader of a norm of a sum of two values and a vector, whose fourth output is the sum."""
    biases = 4 if centred else 3  # where the vector stands
    norm, op = (
        (own_statistics.layer_normalization, "LayerNormalization")
        if centred
        else (own_statistics.rms_normalization, "RMSNormalization")
    )

    def read(node: Node, context: Context) -> tuple[Dynamic, ...]:
        if any(node.used[1:3]):
            raise node.refuse("its mean or deviation is used; save the network less optimised")
        shown = len(node.outputs) > 3 and node.used[3]
        total = arithmetic.add(_one(node, "sum", node.value(0), node.value(1), op="Add"), context)
        if node.has(biases):
            total = arithmetic.add(_one(node, "biased", total, node.value(biases), op="Add"), context)
        beta = (node.value(3),) if centred and node.has(3) else ()
        epsilon = node.number("epsilon", 1e-12)
        made = norm(_one(node, "", total, node.value(2), *beta, op=op, epsilon=epsilon), context)
        if not shown:
            return (made,)
        named = replace(_one(node, "", total, op="Identity"), name=f"{node.name}:3", outputs=(node.outputs[3],))
        return made, made, made, context.identity(named, total)

    return read


def channels_last(read: Reader) -> Reader:
    """Return the reader of an operator of ONNX that onnxruntime runs channels-last: the same between two transposes."""

    def reader(node: Node, context: Context) -> Dynamic:
        x = node.dynamic(0)
        count = len(x.shape)
        if count < 3:
            raise node.damaged(f"its input has shape {x.shape}; it should have channels and sizes")
        first = context.channels_first.get(x.tensor)
        if first is None:
            first = context.transpose(node, x, (0, count - 1, *range(1, count - 1)), part="channels_first")
        own = {name: value for name, value in node.attributes.items() if name != "channels_last"}
        made = read(_one(node, "made", first, *node.inputs[1:], **own), context)
        last = context.transpose(node, made, (0, *range(2, count), 1))
        context.channels_first[last.tensor] = made
        return last

    return reader


def either_layout(read: Reader) -> Reader:
    """Return the reader of an operator whose attribute says whether it is channels-last."""
    return lambda node, context: (channels_last(read) if node.integer("channels_last", 0) else read)(node, context)


nhwc_max_pool = channels_last(pooling.max_pool)
