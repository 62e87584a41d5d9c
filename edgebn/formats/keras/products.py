"""Sums of products: Dot, EinsumDense and einsum, each as one product of matrices with axes moved around it.

Letters name the axes of a sample; the batch axis, which every value has in front, has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.activations import fused
from edgebn.formats.keras.operands import Operand, operand
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import Place
from edgebn.formats.keras.settings import as_integer, resolved_axis
from edgebn.layers import Activation, Add, Dense, Identity, MatMul, Multiply, Reduce

MIN_SQUARES = 1e-14  # the square of the least length that Keras divides by


def multiplied(parts: Parts, operands: Sequence[Operand], terms: Sequence[str], result: str) -> str:
    """Add the sum of products of two operands over the letters that the result lacks.

    Parameters
    ----------
    parts : Parts
    operands : two values or arrays, one value at least
    terms : two str
        A letter for each axis of each.
    result : str
        The letters of what comes out, in order.
    """
    sizes: dict[str, int] = {}
    for value, term in zip(operands, terms, strict=True):
        for letter, size in zip(term, parts.shape(value), strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ModelError(f"it multiplies along axes of {sizes[letter]} and {size} elements")
    both = [_summed(parts, value, term, {*other, *result}, f"sum{number}") for number, (value, term, other) in enumerate(
        zip(operands, terms, reversed(terms), strict=True))]  # fmt: skip
    if isinstance(both[0][0], np.ndarray):
        both.reverse()
    (left, first), (right, second) = both
    stack = [letter for letter in result if letter in first and letter in second]
    inner = [letter for letter in first if letter in second and letter not in result]
    rows = [letter for letter in result if letter not in second]
    columns = [letter for letter in result if letter not in first]

    def shape(*letters: list[str]) -> list[int]:
        return [math.prod(sizes[letter] for letter in some) for some in letters]

    kept = [sizes[letter] for letter in stack]
    left = parts.moved(left, [first.index(letter) for letter in (*stack, *rows, *inner)], "left_moved")
    right = parts.moved(right, [second.index(letter) for letter in (*stack, *inner, *columns)], "right_moved")
    left = parts.reshaped(left, [*kept, *shape(rows, inner)], "left")
    right = parts.reshaped(right, [*kept, *shape(inner, columns)], "right")
    assert isinstance(left, str)
    if isinstance(right, np.ndarray) and not stack:
        product = parts.add(Dense, [left], "product", weight=np.ascontiguousarray(right.T, np.float32))
    else:
        product = parts.add(MatMul, [left, parts.named(right, "matrices")], "product")
    made = [*stack, *rows, *columns]
    apart = parts.reshaped(product, [sizes[letter] for letter in made] or [1], "apart")
    if not made:
        return str(apart)
    return str(parts.moved(apart, [made.index(letter) for letter in result], "ordered"))


def _summed(parts: Parts, value: Operand, term: str, kept: set[str], part: str) -> tuple[Operand, str]:
    """Return an operand without the axes that are its own alone and not the result's, and its letters."""
    if len(set(term)) != len(term):
        raise parts.place.unsupported(f"it takes a diagonal ('{term}'); edgebn takes each letter once in each operand")
    axes = tuple(axis for axis, letter in enumerate(term) if letter not in kept)
    if not axes:
        return value, term
    left = "".join(letter for letter in term if letter in kept)
    if isinstance(value, np.ndarray):
        return value.sum(axes), left
    return parts.add(Reduce, [value], part, function="sum", axes=axes, keepdims=False), left


def dot(place: Place) -> str:
    """Dot: products of two values summed over one axis of each, of unit length if `normalize`."""
    if len(place.inputs) != 2:
        raise ModelError(f"it multiplies {len(place.inputs)} values; it should be two")
    given = place.settings.get("axes")
    listed = given if isinstance(given, list) else [given, given]
    shapes = [place.shape_of(value) for value in place.inputs]
    if len(listed) != 2 or not all(shapes):
        raise ModelError(f"its axes {str(given)[:60]} should be one axis of each of its two inputs")
    axes = [resolved_axis(as_integer(axis, "axes"), len(shape), "axes") for axis, shape in zip(listed, shapes, strict=True)]
    values = list(place.inputs)
    parts = Parts(place)
    if place.settings.flag("normalize", False):
        values = [
            unit(parts.below(side), value, (axis,)) for side, value, axis in zip(("left", "right"), values, axes, strict=True)
        ]
    letters = iter(ascii_letters[1:])
    terms = [
        "".join("a" if axis == at else next(letters) for at in range(len(shape))) for shape, axis in zip(shapes, axes, strict=True)
    ]
    result = "".join(letter for term in terms for letter in term if letter != "a")
    return place.add(Identity, [multiplied(parts, values, terms, result)])


def unit(parts: Parts, value: str, axes: tuple[int, ...], least: float = MIN_SQUARES) -> str:
    """Return a value times 1 / sqrt(max(sum of squares, a tiny number))."""
    squares = parts.add(Activation, [value], "squares", function="square")
    total = parts.add(Reduce, [squares], "total", function="sum", axes=axes, keepdims=True)
    bounded = parts.add(Activation, [total], "bounded", function="clip", low=least)
    return parts.add(Multiply, [value, parts.add(Activation, [bounded], "length", function="rsqrt")], "unit")


def einsum_dense(place: Place) -> str:
    """EinsumDense: a sum of products with a trained kernel, then a trained bias along some axes."""
    settings = place.settings
    if settings.get("quantization_config") is not None or settings.get("lora_rank") is not None:
        raise place.unsupported("Keras quantised its weights or added LoRA to them; save the plain float model")
    terms, result = _terms(place, settings.text("equation", ""), [len(place.shape) + 1, None])
    rest = list(settings.get("output_shape") if isinstance(settings.get("output_shape"), list) else [settings.get("output_shape")])
    sizes = dict(zip(terms[0][1:], place.shape, strict=True))
    stated = dict(zip(result[1:], rest, strict=False))
    if settings.text("equation", "").startswith("..."):  # sizes of the last axes
        stated = dict(zip(reversed(result[1:]), reversed(rest), strict=False))
    for letter in terms[1]:
        if letter not in sizes:
            sizes[letter] = as_integer(stated.get(letter), "output_shape")
    kernel = place.weight(0, "kernel", tuple(sizes[letter] for letter in terms[1]))
    value = multiplied(Parts(place), [place.input, kernel], [terms[0][1:], terms[1]], result[1:])
    axes = settings.text("bias_axes", "")
    if axes:
        if not set(axes) <= set(result[1:]):
            raise ModelError(f"its bias_axes '{axes[:40]}' are not all axes of its output behind the batch's")
        along = result[min(result.index(letter) for letter in axes) :]
        shape = tuple(sizes[letter] if letter in axes else 1 for letter in along)
        value = place.add(Add, [value, place.constant(place.weight(1, "bias", shape), "bias")], "biased", "biased")
    return fused(replace(place, inputs=[value]), Identity)


def einsum(place: Place) -> str:
    """Einsum of one or two operands, of which the batch axis is the first and stays it."""
    operands = [operand(argument, f"operand {number}") for number, argument in enumerate(place.args, 1)]
    ranks: list[int | None] = [len(place.shape_of(one)) + 1 if isinstance(one, str) else one.ndim for one in operands]
    equation = place.settings.text("subscripts", "")
    terms, result = _terms(place, equation, ranks)
    batch = {term[:1] for term, one in zip(terms, operands, strict=True) if isinstance(one, str)}
    letter = result[:1]
    if batch != {letter} or any(letter in term[isinstance(one, str) :] for term, one in zip(terms, operands, strict=True)):
        raise place.unsupported(
            f"its equation '{equation[:60]}' does not keep the batch axis first in every operand and in the result"
        )
    terms = [term[1:] if isinstance(one, str) else term for term, one in zip(terms, operands, strict=True)]
    if len(operands) == 2:
        return place.add(Identity, [multiplied(Parts(place), operands, terms, result[1:])])
    if len(operands) != 1 or not set(result[1:]) <= set(terms[0]):
        raise place.unsupported(f"its equation '{equation[:60]}' has {len(operands)} operands; edgebn sums products of two")
    parts = Parts(place)
    value, left = _summed(parts, operands[0], terms[0], set(result[1:]), "sum")
    return place.add(Identity, [str(parts.moved(value, [left.index(one) for one in result[1:]], "ordered"))])


def _terms(place: Place, equation: str, ranks: list[int | None]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, the batch's among them, dots spelled out.

    `ranks` count the batch axis; None is that of an operand without dots.
    """
    written, arrow, result = equation.replace(" ", "").partition("->")
    terms = written.split(",")
    if len(terms) != len(ranks):
        raise ModelError(f"its equation '{equation[:60]}' should have {len(ranks)} operands")
    free = [letter for letter in ascii_letters if letter not in equation]
    dots = [(rank or 0) - len(term.replace("...", "")) if "..." in term else 0 for term, rank in zip(terms, ranks, strict=True)]
    longest = max(dots)
    if min(dots) < 0 or longest > len(free):
        raise ModelError(f"its equation '{equation[:60]}' does not fit operands of {ranks} axes with the batch's")
    spelled = [term.replace("...", "".join(free[longest - many : longest])) for term, many in zip(terms, dots, strict=True)]
    if any(rank not in (None, len(term)) for term, rank in zip(spelled, ranks, strict=True)):
        raise ModelError(f"its equation '{equation[:60]}' does not fit operands of {ranks} axes with the batch's")
    if not arrow:  # the letters that stand once, in the alphabet's order, behind what the dots stand for
        once = sorted(letter for letter in set(written) if letter.isalpha() and written.count(letter) == 1)
        result = "..." * ("..." in written) + "".join(once)
    result = result.replace("...", "".join(free[:longest]))
    letters = "".join([*spelled, result])
    if not (letters.isascii() and letters.isalpha()) or len(set(result)) != len(result) or not set(result) <= set("".join(spelled)):
        raise place.unsupported(f"its equation '{equation[:60]}' is not of letters, each once in the result")
    return spelled, result
