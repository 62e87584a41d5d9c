"""What lowering a quantised graph keeps track of: which buffer holds which value, the steps so far, clips that join a step."""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.layers import Activation, Constant, Dequantize, Layer, Quantization, Quantize
from edgebn.passes.graph.requantizations import same_codes
from edgebn.passes.graph.states import state_pairs
from edgebn.passes.integer import tflm_tables
from edgebn.passes.integer.multipliers import clip_codes, rescaling
from edgebn.passes.names import unused_name
from edgebn.program import CODE_RANGES, Buffer, Hwc, LayerRecord, Program, Rescale, Reshape, Step, hwc
from edgebn.quick_dataclass import dataclass, field, replace


@dataclass(frozen=False)
class Lowering:
    """The state of one lowering; `begin` makes it, `finish` turns it into a Program.

    Attributes
    ----------
    graph : Graph
    quantizations : dict of str to Quantization
        Of every value that is codes, the float32 edges included.
    readers : dict of str to list of Layer
    names : dict of str to str
        The buffer that holds each value.
    done : set of str
        Outputs of the layers that need no more work. (Names will not do: a transpose may be several layers of one name.)
    outcomes : dict of str to (step, words)
        For the records, by layer name.
    """

    graph: Graph
    quantizations: dict[str, Quantization]
    readers: dict[str, list[Layer]]
    names: dict[str, str] = field(default_factory=dict)
    buffers: dict[str, Buffer] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def begin(cls, graph: Graph) -> Lowering:
        """Return the state before the first layer: float32 edges absorbed, input buffers made."""
        readers: dict[str, list[Layer]] = {}
        for layer in graph.layers:
            for name in dict.fromkeys(layer.inputs):
                readers.setdefault(name, []).append(layer)
        known = {name: tensor.quantization for name, tensor in graph.tensors.items() if tensor.quantization is not None}
        state = cls(graph, known, readers)
        kept = [name for pair in state_pairs(graph) for name in pair]
        for name in graph.inputs:
            state._absorb_input(name, keep=name in kept)
        for name in graph.outputs:
            if name not in kept:
                state._absorb_output(name)
        return state

    @property
    def double(self) -> bool:
        """Whether the arithmetic is TensorFlow Lite Micro's."""
        return self.graph.integer_rounding == "double"

    def where(self, layer: Layer) -> str:
        """Return how messages name a layer."""
        return f"{self.graph.source}: layer '{layer.name}' ({layer.kind})"

    def _absorb_input(self, name: str, *, keep: bool) -> None:
        """Make the buffer of a network input; a float32 one takes the quantization that all readers agree on: Quantize layers.

        Not a state (`keep`): what a run leaves is float32, too.
        """
        if name not in self.quantizations:
            readers = self.readers.get(name, [])
            first = readers[0].output if readers else name
            if (
                keep
                or name in self.graph.outputs
                or not all(isinstance(one, Quantize) and self.same(first, one.output) for one in readers)
            ):
                return  # it stays float32
            for layer in readers:
                self.names[layer.output] = name
                self.note(layer, "", "vanished: a session takes real numbers and codes alike")
            self.quantizations[name] = self.quantizations[first] if readers else Quantization.per_tensor(1.0, 0)
        self.make(name, called=name)

    def _absorb_output(self, name: str) -> None:
        """Let a float32 output be the codes that its Dequantize reads, where nothing else reads it."""
        layer = self.graph.producer(name)
        if name in self.quantizations or not isinstance(layer, Dequantize) or self.readers.get(name):
            return
        self.quantizations[name] = self.quantizations[layer.inputs[0]]
        self.note(layer, "", "vanished: a session gives real numbers or codes, as it is fed")

    def is_codes(self, name: str) -> bool:
        """Whether a value is codes."""
        return name in self.quantizations

    def is_unsigned(self, name: str) -> bool:
        """Whether the file holds a value as uint8 codes, for which TensorFlow Lite has other arithmetic in places."""
        return self.double and name in self.quantizations and self.quantizations[name].unsigned

    def is_wide(self, name: str) -> bool:
        """Whether a value is int16 codes."""
        return name in self.quantizations and self.quantizations[name].bits == 16

    def same(self, a: str, b: str) -> bool:
        """Whether two values have the same scale and zero point."""
        return same_codes(self.quantizations.get(a), self.quantizations.get(b))

    def buffer(self, name: str) -> Buffer:
        """Return the buffer of a value that is there already."""
        return self.buffers[self.names[name]]

    def make(self, value: str, called: str | None = None, shape: Hwc | None = None) -> Buffer:
        """Make the buffer of a value; `shape` where it differs from the graph's."""
        quantization = self.quantizations[value]
        if len(quantization.scale) != 1:
            raise UnsupportedLayerError(f"its value '{value}' has a scale per channel; only weights may have that")
        name = called or self.free(value)
        self.names[value] = name
        return self._hold(name, shape or hwc(self.graph.tensors[value].shape), quantization)

    def scratch(self, base: str, shape: Hwc, quantization: Quantization) -> Buffer:
        """Make a buffer between two steps of one layer."""
        name = unused_name(base, self.buffers, self.graph.tensors)
        return self._hold(name, shape, quantization)

    def _hold(self, name: str, shape: Hwc, quantization: Quantization) -> Buffer:
        self.buffers[name] = Buffer(
            name,
            shape,
            quantization.dtype,
            float(quantization.scale[0]),
            int(quantization.zero_point[0]),
            quantization.unsigned or None,
        )
        return self.buffers[name]

    def free(self, base: str) -> str:
        """Return a buffer name nobody has, beginning with `base`."""
        return unused_name(base, self.buffers)

    def constant(self, layer: Constant) -> None:
        """Hold a constant of codes; float32 ones are refused by the layer that reads them."""
        if layer.output in self.quantizations:
            buffer = self.make(layer.output)
            self.constants[buffer.name] = np.ascontiguousarray(layer.value.astype(buffer.dtype).reshape(buffer.shape))
        self.note(layer, "", "a constant")

    def add(self, layer: Layer, step: Step) -> None:
        """Append a step that does (part of) the work of `layer`."""
        self.steps.append(step)
        self.note(layer, step.name, "a step of its own")

    def alias(self, layer: Layer, words: str) -> None:
        """Let the layer's output be the buffer of its input."""
        self.names[layer.output] = self.names[layer.inputs[0]]
        self.note(layer, "", words)

    def note(self, layer: Layer, step: str, words: str) -> None:
        """Remember what became of a layer, and that it needs no more work."""
        self.done.add(layer.output)
        self.outcomes[layer.name] = (step, words)

    def step_name(self, layer: Layer, part: str = "") -> str:
        """Return a step name nobody has: the layer's, or that of one of its parts."""
        base = f"{layer.name}/{part}" if part else layer.name
        return unused_name(base, {step.name for step in self.steps})

    def requantizing_table(self, source: Quantization, output: Quantization, low: int = -128, high: int = 127) -> np.ndarray:
        """Return the table (1, 256) from one quantisation to another, clipped to codes."""
        if self.double:
            return tflm_tables.requantized(source, output, low, high)
        real = source.scale[0] * (tflm_tables.CODES - source.zero_point[0])
        codes = np.rint(real / output.scale[0]) + output.zero_point[0]
        return np.clip(codes, low, high).astype(np.int8)[None, :]

    def rescaled(self, layer: Layer, source: Buffer, output: Buffer, clip: tuple[int, int] | None = None, part: str = "") -> None:
        """Append the step from codes to codes of another scale or type, or within a clip."""
        low, high = clip or CODE_RANGES[output.dtype]
        quantization = rescaling(source.scale, output.scale, (output.zero_point, low, high), self.where(layer))
        step = Rescale(self.step_name(layer, part), (source.name,), output.name, quantization)
        if part:
            self.steps.append(step)
        else:
            self.add(layer, step)

    def with_clips(self, layer: Layer, low: float = -np.inf, high: float = np.inf) -> tuple[str, int, int]:
        """Return (value, qmin, qmax): where the result goes and its clip, the clips that alone read it included.

        Those clip layers are done with. `low` and `high` are the layer's own clip.
        """
        value = layer.output
        qmin, qmax = self.clip_codes(value, low, high)
        while value not in self.graph.outputs and len(self.readers.get(value, [])) == 1:
            clip = self.readers[value][0]
            if not isinstance(clip, Activation) or clip.function != "clip" or not self.same(value, clip.output):
                break
            lower, upper = self.clip_codes(value, clip.low, clip.high)
            qmin, qmax = min(max(qmin, lower), upper), min(max(qmax, lower), upper)
            self.note(clip, layer.name, f"folded into {layer.name}")
            value = clip.output
        return value, qmin, qmax

    def clip_codes(self, value: str, low: float, high: float) -> tuple[int, int]:
        """Return the codes of a clip's bounds: in float32 with ties away from zero as TensorFlow Lite, or ties to even."""
        quantization = self.quantizations[value]
        least, most = CODE_RANGES[quantization.dtype]
        if not self.double:
            return clip_codes(
                Buffer(value, (1, 1, 1), quantization.dtype, float(quantization.scale[0]), int(quantization.zero_point[0])),
                (low, high),
            )
        codes = []
        for bound in (low, high):
            steps = float(np.clip(np.float32(bound) / np.float32(quantization.scale[0]), 8.0 * least, 8.0 * most))
            rounded = np.copysign(np.floor(abs(steps) + 0.5), steps)
            codes.append(min(max(int(quantization.zero_point[0]) + int(rounded), least), most))
        return codes[0], codes[1]

    def finish(self) -> Program:
        """Return the program; its inputs and outputs have the file's names."""
        final = self._final_names()
        buffers = {final.get(name, name): replace(buffer, name=final.get(name, name)) for name, buffer in self.buffers.items()}
        for name in self.graph.outputs:  # held in the buffer of a value that may have the other type of codes in the file
            if name in self.quantizations and name not in self.graph.inputs:
                buffers[name] = replace(buffers[name], unsigned=self.quantizations[name].unsigned or None)
        steps = tuple(
            replace(step, inputs=tuple(final.get(name, name) for name in step.inputs), output=final.get(step.output, step.output))
            for step in self.steps
        )
        graph = self.graph
        return Program(
            name=graph.name,
            source=graph.source,
            format=graph.format,
            channels_first=graph.channels_first,
            buffers=buffers,
            constants=self.constants,
            steps=steps,
            inputs=graph.inputs,
            outputs=graph.outputs,
            shapes={name: graph.tensors[name].shape for name in (*graph.inputs, *graph.outputs)},
            records=tuple(self._record(layer) for layer in graph.layers if layer.kind != "Constant"),
        )

    def _final_names(self) -> dict[str, str]:
        """Return which buffers take the name of the network output they hold; outputs that share a buffer get a copy."""
        final: dict[str, str] = {}
        for name in self.graph.outputs:
            layer = self.graph.producer(name)
            if name not in self.names and layer is not None:
                self.names[name] = self.names[layer.inputs[0]]
            held = self.names[name]
            if held in self.constants:
                raise UnsupportedLayerError(f"{self.graph.source}: the output '{name}' does not depend on the network's input")
            if held == name:
                continue
            if held in final or held in self.graph.inputs or held in self.graph.outputs:
                self.buffers[name] = replace(self.buffers[held], name=name)
                self.steps.append(Reshape(f"{name}/copy", (held,), name))
            else:
                final[held] = name
        return final

    def _record(self, layer: Layer) -> LayerRecord:
        step, words = self.outcomes[layer.name]
        return LayerRecord(layer.name, layer.kind, self.graph.tensors[layer.output].shape, layer.parameters(), 0, step, words)
