"""Products of matrices that ONNX and PyTorch have alike: by constants from either side, sums over letters, attention.

`node` and `context` are those of either reader; of a node only `refuse` and `damaged` are asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebn.formats.batch_axis import Place
from edgebn.layers import Add, Dense, MatMul, Multiply, Softmax

MAX_SUMMED = 1 << 12  # elements of an axis, whose square is a matrix of constants
HIDDEN = -1e30  # added to a score, it leaves nothing of it behind a softmax


def multiplied(node: Any, context: Any, a: Any, b: Any, part: str = "") -> Any:
    """Append the product of two matrices, or stacks of them, of which one at least is a value of the network."""
    if isinstance(a, np.ndarray) and a.ndim == 2 and not isinstance(b, np.ndarray) and len(b.shape) >= 2:
        return _from_the_left(node, context, a, b, part)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _by_stack(node, context, a, b, part)
    first, second, place = context.multiplied(node, a, b)
    return context.emit(node, MatMul, first, second, part=part, place=place)


def _turned(node: Any, context: Any, x: Any, part: str) -> Any:
    """Return a value with its last two axes changed."""
    order = list(range(len(x.shape)))
    order[-2:] = order[-1], order[-2]
    return context.transpose(node, x, order, part=part)


def _from_the_left(node: Any, context: Any, matrix: np.ndarray, x: Any, part: str) -> Any:
    """A x = (x' A')'."""
    turned = _turned(node, context, x, f"{part}turned")
    turned, _ = context.along(node, turned, (-1,), "multiplies along")
    product = context.emit(node, Dense, turned, part=f"{part}product", weight=np.ascontiguousarray(matrix, np.float32))
    return _turned(node, context, product, part)


def _by_stack(node: Any, context: Any, a: Any, b: Any, part: str) -> Any:
    """Append a product whose one side is a constant stack of matrices."""
    x, array = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if array.ndim < 2 or len(x.shape) < 2:
        raise node.refuse(f"it multiplies values of shapes {tuple(a.shape)} and {tuple(b.shape)}; give both two axes")
    x, _ = context.along(node, x, (-1, -2), "multiplies along")
    place = x.place
    if context.batch.single and array.ndim >= len(x.shape) and array.shape[0] != 1:
        x, place = context.spread(node, x), Place(None, 0)
    elif array.ndim > len(x.shape):
        raise node.refuse(f"it multiplies values of shapes {tuple(a.shape)} and {tuple(b.shape)}; edgebn follows one batch axis")
    constant = context.array(node, context.share(node, array, len(x.shape), place), f"{part}matrices")
    return context.emit(node, MatMul, *((constant, x) if isinstance(a, np.ndarray) else (x, constant)), part=part, place=place)


def cumulative(node: Any, context: Any, x: Any, axis: int, *, exclusive: bool = False, backwards: bool = False) -> Any:
    """Append the sums so far along an axis, `exclusive` of the own element or from behind: a product with a triangle of ones."""
    length = x.shape[axis]
    if length > MAX_SUMMED:
        raise node.refuse(f"it sums up along an axis of {length}; edgebn does so along {MAX_SUMMED} at most")
    ones = np.triu(np.ones((length, length), np.float32), int(exclusive))
    triangle = np.ascontiguousarray(ones[::-1, ::-1]) if backwards else ones
    if axis == len(x.shape) - 1 and len(x.shape) > 1:
        return multiplied(node, context, x, triangle)
    order = [place for place in range(len(x.shape)) if place != axis] + [axis]
    sums = multiplied(node, context, context.transpose(node, x, order, part="in_turn"), triangle, part="sums")
    return context.transpose(node, sums, [int(place) for place in np.argsort(order)])


def einsum(node: Any, context: Any, equation: str, a: Any, b: Any) -> Any:
    """Append a sum of products over letters, of two operands: axes moved so that it is one product of matrices."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    inputs = terms.split(",")
    if isinstance(a, np.ndarray) and len(inputs) == 2:  # the constant second
        a, b, inputs = b, a, inputs[::-1]
    letters = [set(term) for term in inputs]
    plain = len(inputs) == 2 and arrow and all(term.isalpha() and len(set(term)) == len(term) for term in inputs)
    if not plain or len(set(result)) != len(result) or not (result.isalpha() or not result):
        raise node.refuse(f"its equation '{equation}' is not of two operands and a result, each letter once in each")
    if any(len(term) != len(operand.shape) for term, operand in zip(inputs, (a, b), strict=True)):
        raise node.damaged(f"its equation '{equation}' does not fit shapes {tuple(a.shape)} and {tuple(b.shape)}")
    sizes = dict(zip(inputs[0] + inputs[1], (*a.shape, *b.shape), strict=True))
    if any(sizes[letter] != size for letter, size in zip(inputs[0] + inputs[1], (*a.shape, *b.shape), strict=True)):
        raise node.damaged(f"its equation '{equation}' gives one letter two sizes")
    if not set(result) <= letters[0] | letters[1] or (letters[0] ^ letters[1]) - set(result):
        raise node.refuse(f"its equation '{equation}' sums over a letter of one operand alone; sum before it")
    stack = [letter for letter in result if letter in letters[0] & letters[1]]
    summed = [letter for letter in inputs[0] if letter in letters[1] and letter not in result]
    rows = [letter for letter in result if letter not in letters[1]]
    # An axis in front that a constant lacks may be the batch: it stays in front of the stack.
    outer = [rows.pop(0)] if isinstance(b, np.ndarray) and rows and inputs[0][0] == rows[0] else []
    columns = [letter for letter in result if letter not in letters[0]]
    lengths = [math.prod(sizes[letter] for letter in part) for part in (rows, summed, columns)]
    shape = tuple(sizes[letter] for letter in stack)
    front = tuple(sizes[letter] for letter in outer)
    left = _arranged(node, context, a, [inputs[0].index(letter) for letter in (*outer, *stack, *rows, *summed)],
                     (*front, *shape, *lengths[:2]), "first")  # fmt: skip
    right = _arranged(node, context, b, [inputs[1].index(letter) for letter in (*stack, *summed, *columns)],
                      (*shape, *lengths[1:]), "second")  # fmt: skip
    if isinstance(right, np.ndarray) and right.ndim == 2:
        left, _ = context.along(node, left, (-1,), "multiplies along")
        product = context.emit(node, Dense, left, part="product", weight=np.ascontiguousarray(right.T, np.float32))
    else:
        product = multiplied(node, context, left, right, "product")
    made = [*outer, *stack, *rows, *columns]
    apart = context.reshape(node, product, tuple(sizes[letter] for letter in made), part="apart")
    return context.transpose(node, apart, [made.index(letter) for letter in result])


def _arranged(node: Any, context: Any, operand: Any, order: Sequence[int], shape: tuple[int, ...], part: str) -> Any:
    """Return an operand with its axes in another order, under another shape."""
    if isinstance(operand, np.ndarray):
        return operand.transpose(order).reshape(shape)
    moved = context.transpose(node, operand, order, part=f"{part}_moved")
    return context.reshape(node, moved, shape, part=part)


def attention(node: Any, context: Any, query: Any, key: Any, value: Any, mask: Any, scale: float, *, causal: bool = False) -> Any:
    """Append softmax(scale * query key' + mask) value.

    `mask` is a value, an array of numbers to be added, one of truth values that say which scores stay, or None.
    """
    factor = context.number(node, scale, "scale")
    scaled = context.emit(node, Multiply, query, factor, part="scaled")
    scores = multiplied(node, context, scaled, _turned(node, context, key, "turned"), "scores")
    if causal:
        if mask is not None:
            raise node.damaged("it is causal and has a mask")
        mask = np.tril(np.ones(scores.shape[-2:], bool))
    if isinstance(mask, np.ndarray):
        mask = np.where(mask, 0.0, HIDDEN) if mask.dtype == bool else np.maximum(mask, HIDDEN)
        mask = np.asarray(mask, np.float32)
    if mask is not None:
        met, place = context.broadcast(node, (scores, mask))
        met = [context.array(node, item, "mask") if isinstance(item, np.ndarray) else item for item in met]
        scores = context.emit(node, Add, *met, part="masked", place=place)
    scores, (axis,) = context.along(node, scores, (-1,))
    shares = context.emit(node, Softmax, scores, part="shares", axis=axis)
    return multiplied(node, context, shares, value)
