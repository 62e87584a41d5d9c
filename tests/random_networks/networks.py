"""Whole networks, drawn by a seed alone: the same seed is the same network and the same samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from tests.random_networks.drawing import Drawing, NotDrawnError
from tests.random_networks.operators import TABLE
from tests.random_networks.remembering import remembering

MAX_LAYERS = 14
ATTEMPTS = 40  # draws per layer before a network is left as long as it is
SAMPLES = 4  # that networks are compared on; a multiple of every batch
CALIBRATION = 12  # samples for the quantiser
OPSETS = {"float": (*range(9, 22), 24), "quantized": tuple(range(13, 22)), "stateful": (*range(9, 22), 24)}


@dataclass
class Network:
    """A network and samples for it.

    Attributes
    ----------
    seed : int
    model : ModelProto
    samples, calibration : dict of input name to ndarray
        (samples, ...): what is compared, and what the quantiser sees.
    states : dict of str to str
        Inputs that are states, each with the output that the next run reads there; they have no samples.
    """

    seed: int
    model: onnx.ModelProto
    samples: dict[str, np.ndarray]
    calibration: dict[str, np.ndarray]
    states: dict[str, str] = field(default_factory=dict)


def draw(seed: int, kind: str = "float") -> Network:
    """Return network `seed` of a kind: 'float', 'stateful', or 'quantized' and 'int16' (operator sets that the quantiser takes)."""
    kind = "quantized" if kind == "int16" else kind
    rng = np.random.default_rng([seed, sorted(OPSETS).index(kind)])
    opset, batch = int(rng.choice(OPSETS[kind])), (None, None, 1, 1, 2)[rng.integers(5)]
    net = Drawing(rng, opset, 1 if kind == "stateful" else batch, computes=kind == "float")
    ends = _draw_inputs(net)
    rows = [row for row in TABLE if row.since <= net.opset <= row.until]
    weights = np.array([row.weight for row in rows])
    weights /= weights.sum()
    wanted = net.size(2, MAX_LAYERS)
    layers = 0
    for _ in range(wanted * ATTEMPTS):
        if layers == wanted:
            break
        row = rows[int(rng.choice(len(rows), p=weights))]
        x = ends[-1] if net.chance(0.75) else net.pick(list(net.values))
        mark = net.mark()
        try:
            ends.append(row.draw(net, x))
            layers += 1
        except NotDrawnError:
            net.rollback(mark)
    model = net.model(_outputs(net, ends[-1]))
    shapes = {entry.name: net.sample(entry.name) for entry in model.graph.input}
    drawn = [{name: net.normal(count, *shape) for name, shape in shapes.items()} for count in (SAMPLES, CALIBRATION)]
    if kind != "stateful":
        return Network(seed, model, *drawn)
    model, states = remembering(model, rng)
    return Network(seed, model, *drawn, states)


def _draw_inputs(net: Drawing) -> list[str]:
    def sample() -> tuple[int, ...]:
        rank = net.pick((1, 2, 2, 3, 3, 3, 3, 3, 3, 4))
        if rank == 1:
            return (net.size(2, 24),)
        return (net.size(1, 8), *(net.size(3 if rank == 4 else 4, {2: 16, 3: 12, 4: 5}[rank]) for _ in range(rank - 1)))

    first = sample()
    ends = [net.add_input(first)]
    if net.chance(0.2):
        narrow = tuple(length if net.chance(0.5) else 1 for length in first)
        ends.insert(0, net.add_input(net.pick((first, first, narrow, sample()))))
    return ends


def _outputs(net: Drawing, last: str) -> list[str]:
    """Return the last value, most values that nothing reads, and now and then one from inside."""
    read = {name for node in net.nodes for name in node.input}
    made = [name for name in net.values if name not in net.inputs]
    outputs = [name for name in made if name != last and name not in read and net.chance(0.7)]
    if net.chance(0.15):
        outputs.append(net.pick(made))
    return list(dict.fromkeys([*outputs, last] if net.chance(0.5) else [last, *outputs]))
