"""Drawers of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.random_networks.drawing import MAX_LENGTH, Drawing

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a recurrent layer along the first axis of samples of two, or of the last states alone."""

    def draw(net: Drawing, x: str) -> str:
        net.need(len(net.sample(x)) == 2)
        length, inputs = net.sample(x)
        net.need(length <= MAX_LENGTH)
        units, direction = net.size(1, 9), net.pick(("forward", "reverse", "bidirectional"))
        directions, gates = 1 + (direction == "bidirectional"), GATES[op] * units
        weights = [
            net.constant(net.normal(directions, gates, inputs) / np.float32(np.sqrt(inputs))),
            net.constant(net.normal(directions, gates, units) / np.float32(np.sqrt(units))),
        ]
        biases = [net.constant(0.5 * net.normal(directions, 2 * gates), "b")] if net.chance(0.7) else []
        attributes = {"linear_before_reset": net.size(0, 1)} if op == "GRU" else {}
        turned = net.node("Transpose", x, perm=[1, 0, 2])
        settings = {"hidden_size": units, "direction": direction, **attributes}
        every, last = net.nodes_outputs(op, turned, *weights, *biases, outputs=2, **settings)
        if net.chance(0.3):
            made = net.node("Transpose", last, perm=[1, 0, 2])
        else:
            made = net.node("Reshape", net.node("Transpose", every, perm=[2, 0, 1, 3]), net.ints([0, 0, -1]))
        net.hide(turned, every, last)
        return made

    return draw
