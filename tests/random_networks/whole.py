"""Drawers of whole numbers, truth and codes of the moment.

What jumps is drawn so that a last digit decides nothing: a choice between two values that meet where the comparison turns over, or
whole numbers made of the network's input itself, which everybody has to the bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.random_networks.drawing import Drawing


def _number(net: Drawing, value: float, base: str = "k") -> str:
    return net.constant(np.float32(value).reshape(net.pick(((), (1,)))), base)


def comparison(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of a comparison with a number, and a choice by it: a slope that changes there."""

    def draw(net: Drawing, x: str) -> str:
        bound = round(float(net.uniform(-0.5, 0.5)), 2)
        turned = net.node("Mul", net.node("Sub", x, _number(net, bound)), _number(net, net.pick((0.25, -0.5, 2.0))))
        other = net.node("Add", turned, _number(net, bound))
        pair = (x, _number(net, bound))
        (truth,) = net.inner(op, *(pair if net.chance(0.7) else pair[::-1]))
        choice = net.node("Where", truth, *((x, other) if net.chance(0.5) else (other, x)))
        net.hide(truth)
        return choice

    return draw


def logic(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of And, Or or Xor of two comparisons: whether a value is between two bounds; a clip where it is not."""

    def draw(net: Drawing, x: str) -> str:
        low, high = round(float(net.uniform(-1.0, 0.0)), 2), round(float(net.uniform(0.2, 1.0)), 2)
        clipped = net.node("Min", net.node("Max", x, _number(net, low)), _number(net, high))
        inside = {"And": ("Greater", "Less"), "Or": ("Less", "Greater"), "Xor": ("Greater", "Greater")}[op]
        sides = [net.inner(one, x, _number(net, bound))[0] for one, bound in zip(inside, (low, high), strict=True)]
        (truth,) = net.inner(op, *sides)
        made = net.node("Where", truth, *((clipped, x) if op == "Or" else (x, clipped)))
        net.hide(*sides, truth)
        return made

    return draw


def extreme(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of ArgMax or ArgMin: the value at the place that it finds, through a mask or by GatherND."""

    def draw(net: Drawing, x: str) -> str:
        shape = net.shape(x)
        net.need(len(shape) > 1)
        if len(shape) == 2 and net.batch == 1 and net.chance(0.5):
            (column,) = net.inner("Transpose", x, perm=[1, 0])
            (place,) = net.inner(op, column, axis=0)
            (found,) = net.inner("GatherND", column, place)
            made = net.node("Sub", x, found)
            net.hide(column, place, found)
            return made
        axis = net.size(1, len(shape) - 1)
        net.need(shape[axis] > 1)
        keeps = net.chance(0.5)
        named = axis - len(shape) if net.chance(0.3) else axis
        inner = net.inner(op, x, axis=named, keepdims=int(keeps))
        if not keeps:
            axes = (net.ints([axis]),) if net.opset >= 13 else ()
            inner += net.inner("Unsqueeze", inner[-1], *axes, **({} if axes else {"axes": [axis]}))
        along = np.arange(shape[axis], dtype=np.int64).reshape(-1, *(1,) * (len(shape) - 1 - axis))
        inner += net.inner("Equal", inner[-1], net.constant(along, "places"))
        made = net.node("Where", inner[-1], x, _number(net, 0.0))
        net.hide(*inner)
        return made

    return draw


def gather_nd(net: Drawing, x: str) -> str:
    """GatherND of a batch of one, by constants that name places along one axis behind it, or along several."""
    shape = net.shape(x)
    net.need(net.batch == 1 and net.opset >= 11 and len(shape) > 1)
    count, depth = net.size(1, 5), net.size(1, len(shape) - 1)
    places = [np.zeros(count, np.int64), *(net.rng.integers(0, length, count) for length in shape[1 : depth + 1])]
    return net.node("GatherND", x, net.constant(np.stack(places, axis=-1)[np.newaxis], "places"))


def _scaled_input(net: Drawing, x: str, factor: float) -> tuple[str, str]:
    """Return an input of the network times a number, and that as whole numbers: no rounding before turns their cut over."""
    net.need(net.computes)  # where codes become whole numbers, one step is many last digits
    (scaled,) = net.inner("Mul", x, net.constant(np.float32(factor), "factor"))
    return scaled, *net.inner("Cast", scaled, to=net.pick((6, 7)))


def modulo(net: Drawing, x: str) -> str:  # of an input, whatever the last value is
    """Mod of whole numbers."""
    scaled, whole = _scaled_input(net, net.pick(net.inputs), 8.0)
    divisor = np.array(net.pick((3, 5, 7, -4)), net.values[whole].dtype)
    (rest,) = net.inner("Mod", whole, net.constant(divisor, "divisor"))
    made = net.node("Cast", rest, to=1)
    net.hide(scaled, whole, rest)
    return made


def dynamic(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of ConvInteger or MatMulInteger behind DynamicQuantizeLinear, as quantize_dynamic writes them.

    What is quantised are whole numbers from -128 to 127 with both ends among them: the scale of the moment is 1, and the rounding
    loses nothing. edgebn computes such layers without it.
    """

    def draw(net: Drawing, x: str) -> str:
        x = net.pick(net.inputs)
        net.need(net.values[x].size >= 48 and len(net.shape(x)) >= (2 if op == "MatMulInteger" else 3) and net.opset >= 11)
        net.need(op == "MatMulInteger" or len(net.shape(x)) <= 4)
        scaled, whole = _scaled_input(net, x, 1000.0)
        (real,) = net.inner("Cast", whole, to=1)
        (clipped,) = net.inner("Clip", real, net.constant(np.float32(-128), "low"), net.constant(np.float32(127), "high"))
        codes, scale, zero = net.inner("DynamicQuantizeLinear", clipped, outputs=3)
        channels = net.shape(x)[-1 if op == "MatMulInteger" else 1]
        outputs, kind = net.size(1, 8), net.pick((np.int8, np.uint8))
        shape, settings = (channels, outputs), {}
        if op == "ConvInteger":
            kernel = [net.size(1, min(3, length)) for length in net.shape(x)[2:]]
            shape, settings = (outputs, channels, *kernel), {"kernel_shape": kernel}
        weight = net.rng.integers(-20, 20, shape) + (100 if kind is np.uint8 else 0)
        parts = [net.initializer(weight.astype(kind)), zero, net.initializer(np.array(100 if kind is np.uint8 else 0, kind))]
        (sums,) = net.inner(op, codes, *parts, **settings)
        (back,) = net.inner("Cast", sums, to=1)
        terms = weight.size / outputs
        (worth,) = net.inner("Mul", scale, net.initializer(np.array([1 / (1200 * np.sqrt(terms))], np.float32)))
        made = net.node("Mul", back, worth)
        net.hide(scaled, whole, real, clipped, codes, scale, zero, sums, back, worth)
        return made

    return draw
