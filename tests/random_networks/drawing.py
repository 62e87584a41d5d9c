"""An ONNX network under construction: every draw comes from one seed, every node is computed by onnxruntime when it is added.

So shapes are onnxruntime's, and what would make a network ill-conditioned (values that explode, vanish or stop depending on the
input) is not added in the first place. Knows no operator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.random_networks.constants import WAYS
from tests.random_networks.running import session

MAX_ELEMENTS = 1500  # of a value, without the batch
MAX_LENGTH = 48  # of one axis
MAX_SIZE = 60.0  # of a number in the network
MIN_SPREAD = 0.02  # standard deviation of a value
IR_VERSIONS = {9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12}


class NotDrawnError(Exception):
    """What was drawn does not fit the values there are; another draw may."""


class Drawing:
    """The network so far.

    Attributes
    ----------
    rng : Generator
    opset : int
    computes : bool
        Whether constants may be computed by nodes; onnxruntime's quantiser leaves such weights alone.
    batch : int or None
        The first axis of every input; None leaves it open.
    nodes : list of NodeProto
    values : dict of str to ndarray
        What depends on an input, with its value for a few samples; batch axis first.
    arrays : dict of str to ndarray
        What does not.
    """

    def __init__(self, rng: np.random.Generator, opset: int, batch: int | None, *, computes: bool = True) -> None:
        self.rng = rng
        self.computes = computes
        self.opset = opset
        self.batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[str] = []
        self.values: dict[str, np.ndarray] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.initializers: list[str] = []
        self.count = 0

    # Draws

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def size(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, choices: Sequence):
        return choices[int(self.rng.integers(len(choices)))]

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        return self.rng.uniform(low, high, shape).astype(np.float32)

    # Values

    def name(self, base: str) -> str:
        self.count += 1
        return f"{base.lower()}{self.count}"

    def shape(self, x: str) -> tuple[int, ...]:
        return self.values[x].shape

    def sample(self, x: str) -> tuple[int, ...]:
        """Return a value's shape without the batch axis."""
        return self.values[x].shape[1:]

    def need(self, holds: object) -> None:
        """Give this draw up unless a condition holds."""
        if not holds:
            raise NotDrawnError

    def add_input(self, sample: tuple[int, ...]) -> str:
        name = self.name("x")
        self.inputs.append(name)
        self.values[name] = self.normal(self.batch or 2, *sample)
        return name

    # Constants

    def initializer(self, array: np.ndarray, base: str = "w") -> str:
        name = self.name(base)
        self.arrays[name] = np.asarray(array)
        self.initializers.append(name)
        return name

    def constant(self, array: np.ndarray, base: str = "w") -> str:
        """Add an array as a file may hold it: an initializer, the output of a Constant, computed by other operators."""
        array = np.asarray(array)
        if self.computes and array.dtype == np.float32 and array.size > 1 and self.chance(0.1):
            mark = self.mark()
            try:
                return WAYS[self.pick(sorted(WAYS))](self, array)
            except NotDrawnError:
                self.rollback(mark)
        if self.chance(0.85):
            return self.initializer(array, base)
        name = self.name(base)
        self.arrays[name] = array
        value = numpy_helper.from_array(array, name)
        self.nodes.append(helper.make_node("Constant", [], [name], name=f"{name}/node", value=value))
        return name

    def ints(self, numbers: Sequence[int], base: str = "i") -> str:
        return self.constant(np.array(numbers, np.int64), base)

    # Nodes

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes) -> str:
        """Add a node with one output that depends on an input, and return its name."""
        return self.nodes_outputs(op, *inputs, outputs=outputs, domain=domain, **attributes)[0]

    def inner(self, op: str, *inputs: str, outputs: int = 1, **attributes) -> list[str]:
        """Add a node inside a layer, whose values (codes, whole numbers, truth, few numbers) no layer reads: `hide` them."""
        return self.nodes_outputs(op, *inputs, outputs=outputs, tame=False, **attributes)

    def nodes_outputs(
        self, op: str, *inputs: str, outputs: int = 1, domain: str = "", tame: bool = True, **attributes
    ) -> list[str]:
        """Add a node with any number of outputs; give up where onnxruntime does not run it or its values are not tame."""
        names = [self.name(op) for _ in range(outputs)]
        node = helper.make_node(op, list(inputs), names, name=self.name(f"{op}_"), domain=domain, **attributes)
        results = self._compute(node)
        for result in results:
            self.need(
                result.size and result.size // (*result.shape, 1)[0] <= MAX_ELEMENTS and max(result.shape, default=1) <= MAX_LENGTH
            )
            if not tame:
                continue
            self.need(np.isfinite(result).all() and np.abs(result).max() <= MAX_SIZE and result.std() >= MIN_SPREAD)
        self.nodes.append(node)
        self.values.update(zip(names, results, strict=True))
        return names

    def static_node(self, op: str, *inputs: str, **attributes) -> str:
        """Add a node that depends on no input's numbers (shape arithmetic, arithmetic on weights)."""
        name = self.name(op)
        node = helper.make_node(op, list(inputs), [name], name=self.name(f"{op}_"), **attributes)
        self.arrays[name] = self._compute(node)[0]
        self.nodes.append(node)
        return name

    def _compute(self, node: onnx.NodeProto) -> list[np.ndarray]:
        given = {name: self.values[name] for name in node.input if name in self.values}
        constants = {name: self.arrays[name] for name in node.input if name in self.arrays}
        graph = helper.make_graph(
            [node],
            "node",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in given.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in node.output],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        try:
            return session(finished(graph, self.opset), optimised=False).run(None, given)
        except Exception as error:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own
            raise NotDrawnError(str(error)) from None

    def mark(self) -> tuple:
        """Return what `rollback` needs to forget everything that is added from here on."""
        return len(self.nodes), dict(self.values), dict(self.arrays), list(self.initializers), list(self.inputs)

    def hide(self, *names: str) -> None:
        """Let no later layer read these values: their first axis is not the batch."""
        for name in names:
            del self.values[name]

    def rollback(self, mark: tuple) -> None:
        count, self.values, self.arrays, self.initializers, self.inputs = mark
        del self.nodes[count:]

    # The whole

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """Return the network with these outputs, without the nodes and constants that they do not need."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                nodes.insert(0, node)
        batch: list = ["N"] if self.batch is None else [self.batch]
        graph = helper.make_graph(
            nodes,
            "random",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, batch + list(self.sample(name)))
                for name in self.inputs
                if name in needed
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, batch + list(self.sample(name))) for name in outputs],
            [numpy_helper.from_array(self.arrays[name], name) for name in self.initializers if name in needed],
        )
        return finished(graph, self.opset)


def finished(graph: onnx.GraphProto, opset: int) -> onnx.ModelProto:
    """Return a file's model of a graph."""
    versions = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSIONS[opset])
