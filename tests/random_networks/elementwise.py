"""Drawers of what works number by number: activations, arithmetic with constants and between values; and Softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.random_networks.drawing import Drawing, NotDrawnError


def plain(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of an operator of one value without settings."""
    return lambda net, x: net.node(op, x)


def clip(net: Drawing, x: str) -> str:
    """Clip with either bound, both or none."""
    low, high = round(float(net.uniform(-1.5, 0.0)), 2), round(float(net.uniform(0.3, 3.0)), 2)
    low = net.pick((low, 0.0, 0.0))
    which = net.pick(("both", "both", "low", "high", "none"))
    if net.opset < 11:
        attributes = {"min": low} if which in ("both", "low") else {}
        return net.node("Clip", x, **attributes, **({"max": high} if which in ("both", "high") else {}))
    bounds = [
        net.constant(np.float32(bound), "bound") if which in ("both", side) else ""
        for side, bound in (("low", low), ("high", high))
    ]
    while bounds and not bounds[-1]:
        bounds.pop()
    return net.node("Clip", x, *bounds)


def limit(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of Max or Min with one constant number."""

    def draw(net: Drawing, x: str) -> str:
        bound = net.constant(
            np.float32(net.uniform(-1.0, 0.3) if op == "Max" else net.uniform(-0.3, 1.0)).reshape(net.pick(((), (1,))))
        )
        return net.node(op, *((x, bound) if net.chance(0.7) else (bound, x)))

    return draw


def leaky_relu(net: Drawing, x: str) -> str:
    """LeakyRelu."""
    return net.node("LeakyRelu", x, **({"alpha": net.pick((0.1, 0.2, 0.05))} if net.chance(0.8) else {}))


def prelu(net: Drawing, x: str) -> str:
    """PRelu with a slope of every shape that broadcasts to its input."""
    return net.node("PRelu", x, net.constant(net.uniform(-0.3, 0.6, *narrow_shape(net, x)), "slope"))


def hard_sigmoid(net: Drawing, x: str) -> str:
    """HardSigmoid."""
    return net.node("HardSigmoid", x, **({"alpha": 1 / 6, "beta": 0.5} if net.chance(0.5) else {}))


def swish(net: Drawing, x: str) -> str:
    """Swish."""
    return net.node("Swish", x, **({"alpha": 1.702} if net.chance(0.5) else {}))


def softmax(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of Softmax or LogSoftmax along any axis of the sample."""

    def draw(net: Drawing, x: str) -> str:
        rank = len(net.shape(x))
        net.need(rank > 1)
        axis = net.size(1, rank - 1)
        axis -= rank if net.chance(0.5) else 0
        return net.node(op, x, **({} if net.chance(0.2) else {"axis": axis}))

    return draw


def dropout(net: Drawing, x: str) -> str:
    """Dropout, its ratio an attribute or an input."""
    if net.opset < 12:
        return net.node("Dropout", x, **({"ratio": 0.3} if net.chance(0.5) else {}))
    return net.node("Dropout", x, *((net.constant(np.float32(0.3), "ratio"),) if net.chance(0.5) else ()))


def cast(net: Drawing, x: str) -> str:
    """Cast to what it is."""
    return net.node("Cast", x, to=1)


def narrow_shape(net: Drawing, x: str) -> tuple[int, ...]:
    """Draw a shape that broadcasts to the value's, the batch axis 1 or missing: a number, a channel, rows, columns, all."""
    sample = net.sample(x)
    kind = net.pick(("number", "channel", "any", "any", "all"))
    if kind == "number":
        return net.pick(((), (1,), (1,) * (len(sample) + 1)))
    if kind == "channel" and sample:
        kept = (sample[0], *(1,) * (len(sample) - 1))
    else:
        kept = tuple(length if kind == "all" or net.chance(0.5) else 1 for length in sample)
    leading = net.size(0, len(kept) + 1)
    if leading == len(kept) + 1:
        return (1, *kept)
    while leading and kept and kept[0] == 1:
        kept = kept[1:]
        leading -= 1
    return kept


def _operand(net: Drawing, x: str, factor: bool) -> str:
    """Add a constant that broadcasts against the value; a factor is away from 0."""
    shape = narrow_shape(net, x)
    if net.chance(0.1) and 1 in net.sample(x):  # one that widens the value
        sample = tuple(net.size(2, 4) if length == 1 and net.chance(0.5) else length for length in net.sample(x))
        shape = sample[net.size(0, 1) :]
    array = net.uniform(0.4, 1.6, *shape) * net.rng.choice([-1.0, 1.0], shape) if factor else net.normal(*shape)
    return net.constant(np.asarray(array, np.float32), "k")


def other_value(net: Drawing, x: str) -> str:
    """Pick a value that broadcasts with this one, of the same rank; or make one of it."""
    fitting = [
        name for name, value in net.values.items() if value.ndim == net.values[x].ndim and _broadcasts(value.shape, net.shape(x))
    ]
    if len(fitting) > 1 and net.chance(0.7):
        return net.pick(fitting)
    op = net.pick(("Tanh", "Relu", "Sigmoid", "ReduceMean", "GlobalAveragePool", "ReduceMax"))
    if op.startswith("Reduce"):
        net.need(net.sample(x))
        axis = net.size(1, len(net.sample(x)))
        return net.node(op, x, net.ints([axis])) if net.opset >= 18 else net.node(op, x, axes=[axis])
    if op == "GlobalAveragePool":
        net.need(len(net.sample(x)) in (2, 3))
    return net.node(op, x)


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(p == q or 1 in (p, q) for p, q in zip(a, b, strict=True))


def binary(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of Add, Sub, Mul or Div: with a constant on either side, or of two values."""

    def draw(net: Drawing, x: str) -> str:
        of_values = op != "Div" and net.chance(0.5)
        pair = (x, other_value(net, x) if of_values else _operand(net, x, factor=op in ("Mul", "Div")))
        if net.chance(0.03 if op == "Div" else 0.3):
            pair = pair[::-1]
        return net.node(op, *pair)

    return draw


def several(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of Sum or Mean: one to four values and constants."""

    def draw(net: Drawing, x: str) -> str:
        parts = [x]
        for _ in range(net.pick((0, 1, 1, 2, 3))):
            parts.append(other_value(net, x) if net.chance(0.7) else _operand(net, x, factor=False))
            if parts[-1] in net.values and not _broadcasts(net.shape(parts[-1]), net.shape(x)):
                raise NotDrawnError
        return net.node(op, *(parts[place] for place in net.rng.permutation(len(parts))))

    return draw


def gated(net: Drawing, x: str) -> str:
    """A gate as exporters spell Swish and squeeze-and-excitation: x times a function of x."""
    gate = net.node(net.pick(("Sigmoid", "HardSigmoid", "Tanh")), x)
    return net.node("Mul", *((x, gate) if net.chance(0.5) else (gate, x)))


def bounded(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a function that grows without bounds, of numbers that do not."""
    return lambda net, x: net.node(op, net.node("Tanh", x))


def of_positive(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a function of positive numbers, kept away from zero."""
    return lambda net, x: net.node(op, net.node("Add", net.node("Sigmoid", x), net.constant(np.float32(0.25), "away")))


def power(net: Drawing, x: str) -> str:
    """Pow by one number: whole powers of anything, roots of what is positive."""
    exponent = net.pick((1.0, 2.0, 3.0, 4.0, 0.5, -0.5, -1.0))
    base = net.node("Tanh", x) if exponent >= 1 else net.node("Add", net.node("Sigmoid", x), net.constant(np.float32(0.25), "away"))
    return net.node("Pow", base, net.constant(np.float32(exponent), "exponent"))


def elu(net: Drawing, x: str) -> str:
    """Elu."""
    return net.node("Elu", x, **({"alpha": 0.7} if net.chance(0.5) else {}))


def selu(net: Drawing, x: str) -> str:
    """Selu."""
    return net.node("Selu", x, **({"alpha": 1.2, "gamma": 0.9} if net.chance(0.3) else {}))


def gelu(net: Drawing, x: str) -> str:
    """Gelu, exact or by tanh."""
    return net.node("Gelu", x, **({"approximate": "tanh"} if net.chance(0.4) else {}))
