"""Functions of numbers that ONNX and PyTorch have and that are several layers: said once for both readers.

`node` and `context` are those of either reader; of a node only `refuse` and `damaged` are asked. Knows neither format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.layers import Activation, Add, Binary, IntegerBinary, Layer, Multiply, Select

# atan(t) / t as a polynomial of t^2 for t between 0 and 1, the least first: fitted at Chebyshev nodes, off by 1e-7 in float32.
ATAN = (
    1.0,
    -0.33333324,
    0.19999596,
    -0.14279048,
    0.11053785,
    -0.08796118,
    0.06710114,
    -0.04427367,
    0.02220345,
    -0.00716616,
    0.00108449,
)
SPLIT = 4097.0  # 2^12 + 1


@dataclass(frozen=True)
class Layers:
    """The layers of one node, each named after what it makes; the last has no name of its own.

    Attributes
    ----------
    node, context : of a reader
    part : str
        Stands before the names, where the function is a part of another.
    """

    node: Any
    context: Any
    part: str = ""

    def _name(self, part: str) -> str:
        return f"{self.part}{part}" if part or not self.part else self.part.rstrip("_")

    def apply(self, function: str, x: Any, part: str = "", **fields: Any) -> Any:
        """Append a function of one number."""
        return self.context.emit(self.node, Activation, x, part=self._name(part), function=function, **fields)

    def _met(self, kind: type[Layer], operands: Sequence[Any], part: str, **fields: Any) -> Any:
        """Append a layer of values, arrays and numbers that broadcast, of which one at least is a value."""
        arrays = [np.asarray(x, np.float32) if isinstance(x, float | np.ndarray) else x for x in operands]
        met, place = self.context.broadcast(self.node, arrays)
        values = [
            self.context.array(self.node, x, self._name(f"{part or kind.__name__.lower()}_constant{number}"))
            if isinstance(x, np.ndarray)
            else x
            for number, x in enumerate(met)
        ]
        if kind is IntegerBinary:
            return self.context.whole_numbers(self.node, kind, *values, part=self._name(part), place=place, **fields)
        return self.context.emit(self.node, kind, *values, part=self._name(part), place=place, **fields)

    def add(self, a: Any, b: Any, part: str = "") -> Any:
        """Append a sum of two values, arrays or numbers."""
        return self._met(Add, (a, b), part)

    def times(self, a: Any, b: Any, part: str = "") -> Any:
        """Append a product."""
        return self._met(Multiply, (a, b), part)

    def less(self, a: Any, b: Any, part: str = "") -> Any:
        """Append a difference."""
        return self._met(Binary, (a, b), part, function="subtract")

    def over(self, a: Any, b: Any, part: str = "") -> Any:
        """Append a quotient."""
        return self._met(Binary, (a, b), part, function="divide")

    def power(self, a: Any, b: Any, part: str = "") -> Any:
        """Append a^b."""
        return self._met(Binary, (a, b), part, function="power")

    def extreme(self, function: str, a: Any, b: Any, part: str = "") -> Any:
        """Append the larger ('maximum') or smaller ('minimum') of two."""
        return self._met(Binary, (a, b), part, function=function)

    def where(self, condition: str, a: Any, b: Any, first: Any, second: Any, part: str = "") -> Any:
        """Append `first` where a comparison of a and b holds, `second` elsewhere."""
        truth = self._met(IntegerBinary, (a, b), f"{part}_holds", function=condition)
        return self._met(Select, (truth, first, second), part)


def _tan(of: Layers, x: Any) -> Any:
    return of.over(of.apply("sin", x, "sin"), of.apply("cos", x, "cos"))


def _both(of: Layers, x: Any) -> tuple[Any, Any]:
    """exp(x) and exp(-x)."""
    return of.apply("exp", x, "grown"), of.apply("exp", of.times(x, -1.0, "opposite"), "shrunk")


def _sinh(of: Layers, x: Any) -> Any:
    """Half of expm1(x) - expm1(-x), which loses nothing near 0."""
    opposite = of.times(x, -1.0, "opposite")
    above = _expm1(Layers(of.node, of.context, f"{of.part}above_"), x)
    below = _expm1(Layers(of.node, of.context, f"{of.part}below_"), opposite)
    return of.times(of.less(above, below, "twice"), 0.5)


def _cosh(of: Layers, x: Any) -> Any:
    return of.times(of.add(*_both(of, x), "twice"), 0.5)


def _log1p(of: Layers, x: Any) -> Any:
    """log(u) x / (u - 1) of u = 1 + x, whose roundings undo each other (Goldberg, 1991)."""
    above = of.add(x, 1.0, "above")
    quotient = of.over(x, of.less(above, 1.0, "kept"), "share")
    return of.where("equal", above, 1.0, x, of.times(of.apply("log", above, "logarithm"), quotient, "product"))


def _expm1(of: Layers, x: Any) -> Any:
    """Below 0 what ELU is; above, -expm1(-x) exp(x)."""
    below = of.apply("elu", x, "below", alpha=1.0)
    opposite = of.apply("elu", of.times(x, -1.0, "opposite"), "at_opposite", alpha=1.0)
    above = of.times(of.times(opposite, -1.0, "share"), of.apply("exp", x, "grown"), "above")
    return of.where("less", x, 0.0, below, above)


def _asinh(of: Layers, x: Any) -> Any:
    """log1p(|x| + x^2 / (1 + sqrt(x^2 + 1))), with the sign of x."""
    size = of.apply("abs", x, "size")
    square = of.apply("square", size, "square")
    root = of.add(of.apply("sqrt", of.add(square, 1.0, "more"), "root"), 1.0, "divisor")
    total = of.add(size, of.over(square, root, "quotient"), "total")
    value = _log1p(Layers(of.node, of.context, f"{of.part}of_total_"), total)
    return of.where("less", x, 0.0, of.times(value, -1.0, "negative"), value)


def _acosh(of: Layers, x: Any) -> Any:
    root = of.apply("sqrt", of.less(of.apply("square", x, "square"), 1.0, "below"), "root")
    return of.apply("log", of.add(x, root, "total"))


def _atanh(of: Layers, x: Any) -> Any:
    """Half of log1p(2 x / (1 - x))."""
    twice = of.over(of.times(x, 2.0, "twice"), of.less(1.0, x, "below"), "quotient")
    return of.times(_log1p(Layers(of.node, of.context, f"{of.part}log1p_"), twice), 0.5)


def _atan(of: Layers, x: Any) -> Any:
    size = of.apply("abs", x, "size")
    inverse = of.apply("reciprocal", size, "inverse")
    near = of.where("greater", size, 1.0, inverse, size, "near")
    square = of.apply("square", near, "square")
    value: Any = ATAN[-1]
    for degree in range(len(ATAN) - 2, -1, -1):
        value = of.add(of.times(square, value, f"times{degree}"), ATAN[degree], f"plus{degree}")
    bent = of.times(near, value, "bent")
    whole = of.where("greater", size, 1.0, of.less(math.pi / 2, bent, "other"), bent, "whole")
    return of.where("less", x, 0.0, of.times(whole, -1.0, "negative"), whole)


def _asin(of: Layers, x: Any) -> Any:
    """atan(x / sqrt((1 - x)(1 + x)))."""
    product = of.times(of.less(1.0, x, "below"), of.add(x, 1.0, "above"), "product")
    quotient = of.over(x, of.apply("sqrt", product, "root"), "quotient")
    return _atan(of, quotient)


def _acos(of: Layers, x: Any) -> Any:
    return of.less(math.pi / 2, _asin(Layers(of.node, of.context, f"{of.part}asin_"), x))


def _trunc(of: Layers, x: Any) -> Any:
    return of.where("less", x, 0.0, of.apply("ceil", x, "upper"), of.apply("floor", x, "lower"))


def _frac(of: Layers, x: Any) -> Any:
    return of.less(x, _trunc(Layers(of.node, of.context, f"{of.part}whole_"), x))


def _log_sigmoid(of: Layers, x: Any) -> Any:
    return of.times(of.apply("softplus", of.times(x, -1.0, "opposite"), "bent"), -1.0)


def _erfc(of: Layers, x: Any) -> Any:
    return of.less(1.0, of.apply("erf", x, "erf"))


# Functions of one value by the name that both formats give them, or one of them.
COMPOSED: dict[str, Callable[[Layers, Any], Any]] = {
    "acos": _acos,
    "acosh": _acosh,
    "asin": _asin,
    "asinh": _asinh,
    "atan": _atan,
    "atanh": _atanh,
    "cosh": _cosh,
    "erfc": _erfc,
    "exp2": lambda of, x: of.apply("exp_base", x, alpha=2.0),
    "expm1": _expm1,
    "frac": _frac,
    "log10": lambda of, x: of.times(of.apply("log", x, "logarithm"), 1 / math.log(10)),
    "log1p": _log1p,
    "log2": lambda of, x: of.times(of.apply("log", x, "logarithm"), 1 / math.log(2)),
    "log_sigmoid": _log_sigmoid,
    "sinh": _sinh,
    "tan": _tan,
    "trunc": _trunc,
}


def shrink(node: Any, context: Any, x: Any, threshold: float, bias: float) -> Any:
    """Append x + bias below -threshold, x - bias above threshold, and 0 between."""
    of = Layers(node, context)
    lower, upper = (x, x) if not bias else (of.add(x, bias, "lower"), of.less(x, bias, "upper"))
    return of.where("less", x, -threshold, lower, of.where("greater", x, threshold, upper, 0.0, "above"))


def rest(node: Any, context: Any, a: Any, b: Any, *, floored: bool) -> Any:
    """Append what a division of real numbers leaves: of the quotient towards zero, or `floored`; a or b may be an array.

    Exact while the quotient has 24 bits: the product is taken in two parts (Dekker, 1971), and a quotient that was rounded up to a
    whole number leaves something of the wrong sign, to which the divisor is added.
    """
    of = Layers(node, context)
    quotient = of.over(a, b, "quotient")
    whole = of.apply("floor", quotient, "whole") if floored else _trunc(Layers(node, context, "whole_"), quotient)
    product = of.times(b, whole, "product")
    (b_high, b_low), (w_high, w_low) = _halves(of, b, "divisor"), _halves(of, whole, "count")
    first = of.less(of.times(b_high, w_high, "high"), product, "off_high")
    second = of.add(of.add(first, of.times(b_high, w_low, "mixed"), "off_mixed"), of.times(b_low, w_high, "other"), "off_other")
    off = of.add(second, of.times(b_low, w_low, "low"), "off")
    left = of.less(of.less(a, product, "near"), off, "left")
    if floored:
        return of.where("less", of.times(left, b, "side"), 0.0, of.add(left, b, "again"), left)
    size = np.asarray(np.abs(b)) if isinstance(b, np.ndarray) else of.apply("abs", b, "size")
    again = of.where("less", left, 0.0, of.add(left, size, "up"), of.less(left, size, "down"), "again")
    return of.where("less", of.times(left, a, "side"), 0.0, again, left)


def _halves(of: Layers, x: Any, part: str) -> tuple[Any, Any]:
    """Return a number as the sum of two of 12 bits (Veltkamp, 1968)."""
    if isinstance(x, np.ndarray):
        wide = np.float32(SPLIT) * x.astype(np.float32)
        high = wide - (wide - x)
        return np.asarray(high), np.asarray(x - high)
    wide = of.times(x, SPLIT, f"{part}_wide")
    high = of.less(wide, of.less(wide, x, f"{part}_rest"), f"{part}_high")
    return high, of.less(x, high, f"{part}_low")


def power(node: Any, context: Any, x: Any, y: Any) -> Any:
    """Append x^y element by element."""
    return Layers(node, context).power(x, y)
