"""The float32 program as it grows, and the epilogues: which clips and batch norms behind a step it takes.

What folds is decided by `fold_table.py`; here its rows are carried out. `float_steps.py` makes the steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.graph import Graph
from edgebn.layers import BatchNorm, Layer, integer_values
from edgebn.passes.batch_norm.channel_affine import Affine
from edgebn.passes.batch_norm.fold_table import FOLDED, REFUSED, Row, decide
from edgebn.passes.batch_norm.placement import fits_float32, is_clip, scale_and_shift
from edgebn.passes.graph.network import Network, refuse
from edgebn.passes.names import unused_name
from edgebn.program import Buffer, FloatEpilogue, Hwc, Norm, Program, Step, hwc
from edgebn.quick_dataclass import dataclass, replace
from edgebn.step_check import OF_INTEGERS

Clip = tuple[float, float]
UNBOUNDED: Clip = (-np.inf, np.inf)


@dataclass(frozen=True)
class LayerOutcome:
    """Which step does a layer's work, and in words what became of the layer."""

    step: str
    outcome: str


@dataclass(frozen=True)
class Chain:
    """The clips and batch norms that a step's epilogue takes, and the value that comes out of them."""

    output: str
    pre: Clip
    norms: tuple[BatchNorm, ...]
    post: Clip


def narrower(clip: Clip, layer: Layer) -> Clip:
    """Return the one clip that does `clip` and then the clip of `layer`."""
    low, high = layer.low, layer.high  # type: ignore[attr-defined]  # callers pass layers with a clip
    return min(max(clip[0], low), high), min(max(clip[1], low), high)


class FloatLowering:
    """The program as it grows: buffers, constants, steps, and where each layer went."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.network = Network(graph)
        self.buffers: dict[str, Buffer] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.steps: list[Step] = []
        self.outcomes: dict[str, LayerOutcome] = {}
        self.step_names: set[str] = set()
        self.names: dict[str, str] = {}  # value to buffer
        self.final: dict[str, str] = {}  # buffers that take the name of the network output they are
        self.absorbed: set[str] = set()  # outputs of layers that an earlier step took
        self.rows: dict[str, Row] = {}
        self.integers = integer_values(graph.layers)

        for layer in self.network.layers():
            if isinstance(layer, BatchNorm) and self.network.quantizations[layer.output] is None:
                self.rows[layer.output] = self._row(layer)
        for name in graph.inputs:
            if self.network.quantizations[name] is None:
                self.define(name)

    def _row(self, norm: BatchNorm) -> Row:
        row = decide(self.network, norm)
        if row.outcome == REFUSED:
            raise refuse(self.graph.source, norm, f"{row.place} cannot run: {row.reason}")
        return row

    def finished(self) -> Program:
        """Return the program, without records."""
        final = self.final

        def renamed(name: str) -> str:
            return final.get(name, name)

        renamed_steps = tuple(
            replace(step, inputs=tuple(renamed(name) for name in step.inputs), output=renamed(step.output)) for step in self.steps
        )
        used = {name for step in renamed_steps for name in (*step.inputs, step.output)} | set(self.graph.inputs)
        buffers = {renamed(name): replace(buffer, name=renamed(name)) for name, buffer in self.buffers.items()}
        shapes = {name: self.graph.tensors[name].shape for name in (*self.graph.inputs, *self.graph.outputs)}
        return Program(
            self.graph.name,
            self.graph.source,
            self.graph.format,
            self.graph.channels_first,
            {name: buffer for name, buffer in buffers.items() if name in used},
            {name: array for name, array in self.constants.items() if name in used},
            renamed_steps,
            self.graph.inputs,
            self.graph.outputs,
            shapes,
        )

    def define(self, value: str) -> None:
        """Make the buffer of `value`."""
        self.names[value] = value
        self.buffers[value] = Buffer(value, hwc(self.network.shapes[value]), "int32" if value in self.integers else "float32")

    def shape(self, value: str) -> Hwc:
        """Return the shape of the buffer that holds `value`."""
        return self.buffers[self.names[value]].shape

    def step_name(self, layer: Layer) -> str:
        """Return the layer's name, numbered where a step has it already."""
        name = unused_name(layer.name, self.step_names)
        self.step_names.add(name)
        return name

    def add(self, step: Step, layer: Layer, outcome: str = "a step of its own") -> None:
        """Append the step that does the work of `layer`."""
        self.define(step.output)
        if not isinstance(step, OF_INTEGERS) and "int32" in {self.buffers[name].dtype for name in (*step.inputs, step.output)}:
            raise refuse(self.graph.source, layer, "it computes with whole numbers, where edgebn has it for real numbers only")
        self.steps.append(step)
        self.outcomes.setdefault(layer.name, LayerOutcome(step.name, outcome))

    def common(self, layer: Layer) -> dict[str, Any]:
        """Return the fields that every step has."""
        inputs = tuple(self.names[name] for name in layer.inputs)
        return {"name": self.step_name(layer), "inputs": inputs, "output": layer.output}

    def chain(self, value: str, step: str, norms: tuple[BatchNorm, ...] = (), pre: Clip = UNBOUNDED) -> Chain:
        """Collect the clips and batch norms behind `value` that fold into the epilogue of `step`."""
        post = UNBOUNDED
        while (layer := self.network.only_reader(value)) is not None:
            if is_clip(layer):
                pre, post = (pre, narrower(post, layer)) if norms else (narrower(pre, layer), post)
                words = "its clip"
            elif isinstance(layer, BatchNorm) and self.rows[layer.output].outcome == FOLDED:
                norms = (*norms, layer)
                words = self.rows[layer.output].place
            else:
                break
            self.outcomes[layer.name] = LayerOutcome(step, f"folded into {step}: {words}")
            self.absorbed.add(layer.output)
            value = layer.output
        if not norms:
            pre, post = UNBOUNDED, pre
        return Chain(value, pre, norms, post)

    def epilogue(self, channels: int, bias: np.ndarray | None, chain: Chain) -> FloatEpilogue:
        """Return the epilogue of `chain`: its batch norms composed in float64, then rounded once."""
        a, d = np.ones(channels), np.zeros(channels)
        for norm in chain.norms:
            scale, shift = scale_and_shift(norm)
            a, d = a * scale, d * scale + shift
            if not fits_float32(a, d):
                raise refuse(self.graph.source, norm, "its scale or shift overflows float32 together with the batch norm before it")
        return FloatEpilogue(
            np.zeros(channels, np.float32) if bias is None else bias.astype(np.float32),
            a.astype(np.float32),
            d.astype(np.float32),
            chain.pre,
            chain.post,
            tuple(_norm(norm) for norm in chain.norms),
        )


def _norm(layer: BatchNorm) -> Norm:
    gamma, beta, mean, variance = (
        np.ascontiguousarray(array, np.float32) for array in (layer.gamma, layer.beta, layer.mean, layer.variance)
    )
    return Norm(layer.name, gamma, beta, mean, variance, float(layer.epsilon), not isinstance(layer, Affine))
