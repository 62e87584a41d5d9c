"""The float32 layers of a graph that is quantised in part, lowered into the same program as its integer layers."""

from __future__ import annotations

from edgebn.layers import Layer
from edgebn.passes.graph.network import refuse
from edgebn.passes.lowering.float_lowering import FloatLowering
from edgebn.passes.lowering.float_steps import HANDLERS
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import Dequantize, Quantize, Step
from edgebn.quick_dataclass import replace


class FloatPart(FloatLowering):
    """A float32 lowering that shares buffers, constants and steps with an integer one.

    Parameters
    ----------
    state : Lowering
        Begun: it has made the buffers of those inputs that are codes, and says which values are.
    """

    def __init__(self, state: Lowering) -> None:
        self.state = state
        super().__init__(state.graph)
        state.buffers.update({name: buffer for name, buffer in self.buffers.items() if name not in state.buffers})
        state.names.update({name: buffer for name, buffer in self.names.items() if name not in state.names})
        self.buffers, self.names = state.buffers, state.names
        self.constants, self.steps = state.constants, state.steps

    def step_name(self, layer: Layer) -> str:
        """Return a step name nobody has, beginning with the layer's."""
        return self.state.step_name(layer)

    def define(self, value: str) -> None:
        """Make the buffer of `value`, which may be codes where a layer of either type chooses among them."""
        if self.state.is_codes(value) and value not in self.state.names:
            self.state.make(value)
        else:
            super().define(value)

    def add(self, step: Step, layer: Layer, outcome: str = "a step of its own") -> None:
        """Append a step, its output under the name that the buffer got; one that chooses among codes keeps their meaning."""
        super().add(step, layer, outcome)
        made = self.names[step.output]
        self.steps[-1] = replace(step, output=made)
        source = [self.buffers[name] for name in step.inputs if self.buffers[name].dtype == "int8"]
        output = self.buffers[made]
        if output.dtype == "int8" and any((one.scale, one.zero_point) != (output.scale, output.zero_point) for one in source):
            raise refuse(self.state.graph.source, layer, "its inputs and its output have different scales; convert the model again")

    def lower(self, layer: Layer) -> None:
        """Append the steps of a layer between float32 values, with what folds into them."""
        if layer.kind not in HANDLERS:
            raise refuse(
                self.state.graph.source, layer, "edgebn has no float32 step for this type of layer; quantise it, or leave it out"
            )
        if layer.output not in self.absorbed:
            HANDLERS[layer.kind](self, layer)
        self.state.outcomes.update({name: (place.step, place.outcome) for name, place in self.outcomes.items()})

    def quantize(self, layer: Layer) -> None:
        """Append the step from float32 numbers to codes."""
        source, output = self.names[layer.inputs[0]], self.state.make(layer.output)
        self.state.add(layer, Quantize(self.state.step_name(layer), (source,), output.name))

    def dequantize(self, layer: Layer) -> None:
        """Append the step from codes to float32 numbers."""
        source = self.state.buffer(layer.inputs[0])
        self.define(layer.output)
        self.state.add(layer, Dequantize(self.state.step_name(layer), (source.name,), self.names[layer.output]))
