"""Models of the operators that onnxruntime writes when it saves what it has optimised, for the rows of the reader."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(13)

Nodes = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]


def _fused(operator: str, inputs: list[str], outputs: tuple[str, ...] = ("y",), **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, domain=MICROSOFT, **attributes)


def _normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def fused_nodes() -> dict[str, Nodes]:
    """Return the nodes from 'x' (2, 4, 5, 6) to 'y', with their constants, of each case; its first word is the operator."""
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    weight = {"w": _normal(4, 4, 3, 3), "b": _normal(4)}
    vector = {"b": _normal(6)}
    made: dict[str, Nodes] = {}
    for activation, numbers in {"Relu": [], "Tanh": [], "Sigmoid": [], "Clip": [0.1, 1.5], "LeakyRelu": [0.2],
                                "HardSigmoid": [0.3, 0.4]}.items():  # fmt: skip
        given = {"activation_params": numbers} if numbers else {}
        made[f"FusedConv and {activation}"] = (
            [_fused("FusedConv", ["x", "w", "b"], activation=activation, **given, **window)],
            weight,
        )
    made["FusedConv of a sum"] = ([_fused("FusedConv", ["x", "w", "b", "x"], activation="Relu", **window)], weight)
    flat = helper.make_node("Flatten", ["x"], ["f"])
    gemm = _fused("FusedGemm", ["f", "w", "b"], activation="LeakyRelu", activation_alpha=0.3, transB=1)
    made["FusedGemm"] = ([flat, gemm], {"w": _normal(7, 120), "b": _normal(7)})
    made["FusedMatMul"] = ([_fused("FusedMatMul", ["x", "w"], alpha=0.3, transB=1)], {"w": _normal(7, 6)})
    made["FusedMatMul of values"] = ([_fused("FusedMatMul", ["x", "x"], alpha=0.3, transB=1)], {})
    made["FusedMatMul of a value transposed"] = ([_fused("FusedMatMul", ["x", "x"], transA=1)], {})
    made["BiasGelu"] = ([_fused("BiasGelu", ["x", "b"])], vector)
    made["FastGelu"] = ([_fused("FastGelu", ["x"])], {})
    made["FastGelu of a sum"] = ([_fused("FastGelu", ["x", "b"])], vector)
    made["Gelu of onnxruntime"] = ([_fused("Gelu", ["x"])], {})
    made["QuickGelu"] = ([_fused("QuickGelu", ["x"])], {})
    made["QuickGelu of a number"] = ([_fused("QuickGelu", ["x"], alpha=1.3)], {})
    gamma, other = {"g": _normal(6)}, helper.make_node("Sigmoid", ["x"], ["s"])
    rows = [helper.make_node("Reshape", ["x", "rows"], ["r"]), helper.make_node("Sigmoid", ["r"], ["s"])]
    lengths = {"rows": np.array([2, 20, 6], np.int64)}
    both = helper.make_node("Add", ["n", "t"], ["y"])
    made["SkipLayerNormalization"] = ([*rows, _fused("SkipLayerNormalization", ["r", "s", "g"])], {**gamma, **lengths})
    made["SkipLayerNormalization and its sum"] = (
        [*rows, _fused("SkipLayerNormalization", ["r", "s", "g", "b", "c"], ("n", "", "", "t"), epsilon=0.001), both],
        {**gamma, **vector, **lengths, "c": _normal(6)},
    )
    made["SkipSimplifiedLayerNormalization"] = (
        [*rows, _fused("SkipSimplifiedLayerNormalization", ["r", "s", "g", "c"], ("n", "", "", "t"), epsilon=0.001), both],
        {**gamma, **lengths, "c": _normal(6)},
    )
    made["SimplifiedLayerNormalization"] = (
        [other, helper.make_node("SimplifiedLayerNormalization", ["s", "g"], ["y"], axis=-1, epsilon=0.001)],
        gamma,
    )
    return made
