"""The table: what can be drawn, how often, since and until which operator set, and which operators it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.random_networks import blocks, elementwise, moving, norms, pooling, recurrent, weighted, whole
from tests.random_networks.drawing import Drawing

Drawer = Callable[[Drawing, str], str]


@dataclass(frozen=True)
class Row:
    """One thing to draw.

    Attributes
    ----------
    makes : tuple of str
        The operators that it may add; the first one always.
    draw : callable
        draw(net, x) adds nodes that read `x` and returns the value to go on from.
    weight : float
        How often it is drawn.
    since, until : int
        Operator sets that have it.
    """

    makes: tuple[str, ...]
    draw: Drawer
    weight: float = 1.0
    since: int = 9
    until: int = 99


TABLE = (
    # what real networks repeat
    Row(("Conv", "BatchNormalization"), blocks.conv_block, 3),
    Row(("Conv", "Relu", "Mul"), blocks.squeeze_excite),
    Row(("Conv", "Add"), blocks.residual, 1.5),
    Row(("Gemm",), blocks.classifier, 1.5),
    # with weights
    Row(("Conv",), weighted.conv, 7),
    Row(("ConvTranspose",), weighted.conv_transpose, 1.5),
    Row(("Gemm",), weighted.gemm, 3),
    Row(("MatMul",), weighted.matmul, 2),
    Row(("MatMul", "Transpose", "Mul", "Softmax"), weighted.attention, 0.7, since=13),
    Row(("BatchNormalization",), weighted.batch_normalization, 2.5),
    # number by number
    Row(("Relu",), elementwise.plain("Relu"), 3),
    Row(("Clip",), elementwise.clip, 1.5),
    Row(("Max",), elementwise.limit("Max"), 0.5),
    Row(("Min",), elementwise.limit("Min"), 0.5),
    Row(("Max",), elementwise.several("Max"), 0.7),
    Row(("Min",), elementwise.several("Min"), 0.7),
    Row(("LeakyRelu",), elementwise.leaky_relu),
    Row(("PRelu",), elementwise.prelu),
    Row(("Sigmoid",), elementwise.plain("Sigmoid")),
    Row(("Tanh",), elementwise.plain("Tanh")),
    Row(("HardSigmoid",), elementwise.hard_sigmoid),
    Row(("HardSwish",), elementwise.plain("HardSwish"), since=14),
    Row(("Swish",), elementwise.swish, 4, since=24),
    Row(("Softmax",), elementwise.softmax("Softmax")),
    Row(("Mul", "Sigmoid", "HardSigmoid", "Tanh"), elementwise.gated),
    Row(("Add",), elementwise.binary("Add"), 3),
    Row(("Sub",), elementwise.binary("Sub"), 1.5),
    Row(("Mul",), elementwise.binary("Mul"), 2),
    Row(("Div",), elementwise.binary("Div")),
    Row(("Neg",), elementwise.plain("Neg"), 0.5),
    *(Row((op,), elementwise.plain(op), 0.4) for op in ("Abs", "Cos", "Erf", "Sin", "Softplus")),
    Row(("Exp",), elementwise.bounded("Exp"), 0.4),
    *(Row((op,), elementwise.of_positive(op), 0.4) for op in ("Log", "Reciprocal", "Sqrt")),
    Row(("Pow",), elementwise.power, 0.6),
    Row(("Elu",), elementwise.elu, 0.4),
    Row(("Selu",), elementwise.selu, 0.4),
    Row(("Mish",), elementwise.plain("Mish"), 0.4, since=18),
    Row(("Gelu",), elementwise.gelu, 0.8, since=20),
    Row(("LayerNormalization",), norms.trailing("LayerNormalization"), 0.8, since=17),
    Row(("RMSNormalization",), norms.trailing("RMSNormalization"), 0.5, since=23),
    Row(("InstanceNormalization",), norms.by_channels("InstanceNormalization"), 0.6),
    Row(("GroupNormalization",), norms.by_channels("GroupNormalization"), 0.6, since=21),
    Row(("Sum",), elementwise.several("Sum"), 0.7),
    Row(("Mean",), elementwise.several("Mean"), 0.7),
    Row(("Identity",), elementwise.plain("Identity"), 0.3),
    Row(("Dropout",), elementwise.dropout, 0.3),
    Row(("Cast",), elementwise.cast, 0.3),
    # pools and reductions
    Row(("MaxPool",), pooling.max_pool, 2),
    Row(("AveragePool",), pooling.average_pool, 1.5),
    Row(("GlobalMaxPool",), pooling.global_pool("GlobalMaxPool"), 0.6),
    Row(("GlobalAveragePool",), pooling.global_pool("GlobalAveragePool"), 0.8),
    Row(("ReduceMax",), pooling.reduce("ReduceMax"), 0.8),
    Row(("ReduceMean",), pooling.reduce("ReduceMean")),
    Row(("ReduceMin",), pooling.reduce("ReduceMin"), 0.5),
    Row(("ReduceSum",), pooling.reduce("ReduceSum"), 0.5),
    Row(("TopK",), pooling.largest, 0.4, since=11),
    *(Row((op,), pooling.reduce(op), 0.3) for op in ("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare")),
    # norms and functions over an axis
    Row(("Celu",), elementwise.plain("Celu"), 0.3, since=12),
    Row(("LogSoftmax",), elementwise.softmax("LogSoftmax"), 0.3, since=13),
    Row(("Softsign",), elementwise.plain("Softsign"), 0.3),
    Row(("LRN",), norms.local_response, 0.3),
    Row(("LpNormalization",), norms.unit_norm, 0.3),
    Row(("ReduceLogSum",), pooling.reduce_positive("ReduceLogSum"), 0.3),
    Row(("Einsum",), weighted.einsum, 0.5, since=12),
    *(Row((op, "Transpose"), recurrent.recurrent(op), 0.5, since=10) for op in ("LSTM", "GRU", "RNN")),
    # whole numbers and truth
    *(Row((op, "Where"), whole.comparison(op), 0.2) for op in ("Greater", "Less")),
    *(Row((op, "Where"), whole.comparison(op), 0.2, since=12) for op in ("GreaterOrEqual", "LessOrEqual")),
    *(Row((op, "Where"), whole.logic(op), 0.2) for op in ("And", "Or", "Xor")),
    *(Row((op, "Equal", "Where"), whole.extreme(op), 0.4) for op in ("ArgMax", "ArgMin")),
    Row(("GatherND",), whole.gather_nd, 0.4, since=11),
    Row(("Mod", "Cast"), whole.modulo, 0.2, since=10),
    *(Row((op, "DynamicQuantizeLinear"), whole.dynamic(op), 0.3, since=11) for op in ("ConvInteger", "MatMulInteger")),
    # what moves elements
    Row(("Reshape", "Shape", "Size"), moving.reshape, 2),
    Row(("Flatten",), moving.flatten, 1.5),
    Row(("Transpose",), moving.transpose, 1.5),
    Row(("Squeeze",), moving.squeeze, 0.8),
    Row(("Unsqueeze",), moving.unsqueeze, 0.8),
    Row(("Reshape", "Transpose"), moving.shuffle),
    Row(("Reshape", "Transpose"), moving.pixel_shuffle, 0.8),
    Row(("Reshape", "Transpose"), moving.space_to_depth, 0.8),
    Row(("DepthToSpace",), moving.depth_to_space, 0.7),
    Row(("SpaceToDepth",), moving.space_to_depth_node, 0.7),
    Row(("MatMul", "Transpose"), moving.to_last, 0.6),
    Row(("Concat",), moving.concat, 2),
    Row(("Add", "Concat"), moving.with_itself, 1.5),
    Row(("Split",), moving.split, 1.2),
    Row(("Slice",), moving.slice_, 1.2),
    Row(("Pad",), moving.pad, 1.2),
    Row(("Gather",), moving.gather, 0.8),
    Row(("Tile",), moving.tile, 0.5),
    Row(("Expand",), moving.expand, 0.8),
    Row(("Resize",), moving.resize, 1.2, since=10),
    Row(("Upsample",), moving.upsample, 3, until=9),
)
