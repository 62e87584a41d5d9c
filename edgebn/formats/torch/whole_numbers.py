"""Arithmetic and logic of whole numbers: what PyTorch says is int32, int64 or truth is int32 here, truth being 1 and 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.formats.torch.archive import INTEGERS, NARROW, TRUTH
from edgebn.formats.torch.choosing import Operand, held, met
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic
from edgebn.layers import IntegerBinary


def made_by(node: Node) -> bool:
    """Whether what a node makes is whole numbers or truth; those of fewer bits than 32 are refused."""
    if node.kind in NARROW:
        raise node.refuse("it computes with whole numbers of 8 or 16 bits; cast them to int32 first: x.int()")
    return node.kind in (*INTEGERS, TRUTH)


def two(node: Node, context: Context, function: str, of_truth: str) -> Dynamic:
    """A function of two values, and what it is of truth."""
    return _of(node, context, of_truth if node.kind == TRUTH else function, held(node, "self"), held(node, "other"))


def _of(node: Node, context: Context, function: str, first: Operand, second: Operand) -> Dynamic:
    for operand in (first, second):
        if operand.dtype != np.int32 if isinstance(operand, np.ndarray) else not operand.whole:
            raise node.damaged("it makes whole numbers of real ones")
    (a, b), place = met(node, context, (first, second), (True, True))
    return context.emit(node, IntegerBinary, a, b, place=place, function=function)


def total(node: Node, context: Context, first: str, second: str) -> Dynamic:
    """The sum of two values; of truth whether one is true."""
    if node.number("alpha", 1.0) != 1.0:
        raise node.refuse("it multiplies whole numbers by alpha before it adds them; multiply them in a step of their own")
    return _of(node, context, "maximum" if node.kind == TRUTH else "add", held(node, first), held(node, second))


def difference(node: Node, context: Context, first: str, second: str) -> Dynamic:
    """The difference of two values."""
    if node.number("alpha", 1.0) != 1.0:
        raise node.refuse("it multiplies whole numbers by alpha before it subtracts them; multiply them in a step of their own")
    return _of(node, context, "subtract", held(node, first), held(node, second))


def negative(node: Node, context: Context) -> Dynamic:
    """Minus a value."""
    return _of(node, context, "subtract", np.zeros((), np.int32), node.dynamic("self"))


def _divisor(node: Node) -> np.ndarray:
    divisor = held(node, "other")
    if not isinstance(divisor, np.ndarray) or (divisor <= 0).any():
        raise node.refuse("edgebn divides whole numbers by positive constants only")
    return divisor


def divide(node: Node, context: Context) -> Dynamic:
    """The quotient rounded down (div with rounding_mode='floor', floor_divide)."""
    if not made_by(node):
        raise node.refuse("it rounds a quotient of real numbers; edgebn rounds those of whole numbers")
    if node.has("rounding_mode") and node.arguments["rounding_mode"] != "floor":
        raise node.refuse("it rounds its quotient towards zero; edgebn knows the one that is rounded down (floor_divide)")
    return _of(node, context, "floor_divide", node.dynamic("self"), _divisor(node))


def remainder(node: Node, context: Context) -> Dynamic:
    """What a division that rounds down leaves."""
    if not made_by(node):
        raise node.refuse("it takes the rest of real numbers; edgebn takes that of whole numbers")
    return _of(node, context, "floor_mod", node.dynamic("self"), _divisor(node))


def bitwise(function: str) -> Callable[[Node, Context], Dynamic]:
    """Return the reader of a function of the bits of two values, which edgebn runs on truth."""

    def read(node: Node, context: Context) -> Dynamic:
        _check_truth(node)
        return two(node, context, function, function)

    return read


def bitwise_not(node: Node, context: Context) -> Dynamic:
    """Whether a truth value is 0."""
    _check_truth(node)
    return _of(node, context, "equal", node.dynamic("self"), np.zeros((), np.int32))


def _check_truth(node: Node) -> None:
    if node.kind != TRUTH:
        raise node.refuse("it works on the bits of whole numbers; edgebn combines truth values only")
