"""Attention: a softmax over products of queries and keys weighs values. One head or several, with trained projections or without.

Masks are constant (causal, sliding windows, arrays in the call); those that a network computes are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.operands import as_array
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import Place, Value
from edgebn.formats.keras.products import multiplied
from edgebn.formats.keras.settings import as_flag, as_integer, as_number
from edgebn.formats.products import HIDDEN
from edgebn.layers import Activation, Add, Gather, Identity, Multiply, Reduce, Softmax

Shape = tuple[int, ...]


def _tensor(place: Place, position: int, name: str) -> str | None:
    """Return a value that the layer is called with."""
    given = place.args[position] if position < len(place.args) else place.kwargs.get(name)
    if given is None:
        return None
    if not isinstance(given, Value):
        raise place.unsupported(f"its {name} is a constant; edgebn takes values of the network there")
    return str(given)


def _mask(place: Place, shape: Shape, window: Any, *, causal: bool) -> np.ndarray | None:
    """Return what is added to scores of `shape`, (..., queries, keys): nothing where a key is seen, else a number far below all."""
    for name in ("query_mask", "value_mask", "key_mask", "mask"):
        if place.kwargs.get(name) is not None:
            raise place.unsupported(f"it is called with a {name}; edgebn runs attention with constant masks")
    seen = np.ones(shape[-2:], bool)
    if causal:
        seen &= np.tri(shape[-2], shape[-1]) > 0
    if window is not None:
        apart = np.arange(shape[-2])[:, None] - np.arange(shape[-1])[None, :]
        seen &= np.abs(apart) < as_integer(window, "sliding_window")
    given = place.kwargs.get("attention_mask")
    if given is not None:
        if isinstance(given, Value):
            raise place.unsupported("its attention_mask is what the network computes; edgebn runs attention with constant masks")
        array = as_array(given, "attention_mask") != 0
        if array.ndim < 2 or array.shape[-2:] != shape[-2:] or any(size != 1 for size in array.shape[:-2]):
            raise place.unsupported(f"its attention_mask of shape {array.shape} is not one for all samples and heads, {shape[-2:]}")
        seen = seen & array.reshape(shape[-2:])
    if not seen.any(-1).all():
        raise place.unsupported("its mask leaves a query without keys")
    return None if seen.all() else np.where(seen, np.float32(0), np.float32(HIDDEN))


def _softmax(parts: Parts, scores: str, mask: np.ndarray | None) -> str:
    if mask is not None:
        scores = parts.add(Add, [scores, parts.constant(mask, "mask")], "masked")
    return parts.add(Softmax, [scores], "shares", axis=len(parts.shape(scores)) - 1)


class _Projections:
    """The dense layers in an attention layer: their weights in Keras' order, and where an archive keeps them."""

    def __init__(self, place: Place, gated: bool) -> None:
        self.place, self.biased = place, place.settings.flag("use_bias", True)
        self.names = ["query", "key", *(("gate",) if gated else ()), "value", "output"]

    def apply(self, name: str, value: str, inner: Shape, outer: Shape) -> str:
        """Add a product of a value's last axes, of sizes `inner`, and its bias; return axes `outer` in their place."""
        place, parts = self.place, Parts(self.place, f"{name}_")
        first = self.names.index(name) * (1 + self.biased)
        inside = tuple(f"{one}_dense" for one in self.names)
        shape = place.shape_of(value)
        letters, sums, made = "".join(ascii_lowercase[: len(shape) - len(inner)]), "xyz"[: len(inner)], "uvw"[: len(outer)]
        if len(outer) > len("uvw") or len(letters) > ascii_lowercase.index("u"):
            raise place.unsupported(f"its {name} goes from {inner} to {outer}; edgebn projects to three axes at most")
        kernel = place.weight(first, f"{name} kernel", (*inner, *outer), inside=inside)
        value = multiplied(parts, [value, kernel], [letters + sums, sums + made], letters + made)
        if self.biased:
            bias = place.weight(first + 1, f"{name} bias", outer, inside=inside)
            value = parts.add(Add, [value, parts.constant(bias, "bias")], "biased")
        return value


def multi_head(place: Place) -> str | list[str]:
    """MultiHeadAttention, along any axes of the values."""
    settings = place.settings
    heads, size = settings.integer("num_heads"), settings.integer("key_dim")
    width = settings.integer("value_dim", size)
    return _heads(place, heads, heads, size, width, settings.get("attention_axes"), settings.get("output_shape"))


def group_query(place: Place) -> str | list[str]:
    """GroupQueryAttention: several heads of queries share a head of keys and values."""
    settings = place.settings
    heads, shared, size = (settings.integer(name) for name in ("num_query_heads", "num_key_value_heads", "head_dim"))
    if shared < 1 or heads % shared:
        raise ModelError(f"its {shared} heads of keys do not divide its {heads} heads of queries")
    return _heads(place, heads, shared, size, size, [1], None)


def _heads(place: Place, heads: int, shared: int, size: int, width: int, along: Any, output: Any) -> str | list[str]:
    query, value = _tensor(place, 0, "query"), _tensor(place, 1, "value")
    if query is None or value is None:
        raise ModelError("it is called without a query or a value")
    key = _tensor(place, 2, "key") or value
    if min(heads, size, width) < 1:
        raise ModelError(f"its {heads} heads of {size} and {width} numbers are none")
    causal = as_flag(place.kwargs.get("use_causal_mask"), "use_causal_mask")
    shapes = [place.shape_of(one) for one in (query, value, key)]
    rank = len(shapes[1]) - 1  # axes beside the batch's and the channels'
    if any(len(shape) != rank + 1 for shape in shapes) or rank < 1:
        raise place.unsupported(f"its values have shapes {shapes} without the batch; edgebn takes as many axes in each")
    listed = list(range(1, rank + 1)) if along is None else along if isinstance(along, list) else [along]
    axes = {(axis + rank + 1 if axis < 0 else axis) - 1 for axis in (as_integer(one, "attention_axes") for one in listed)}
    if not axes <= set(range(rank)):
        raise ModelError(f"its attention_axes {listed} are outside values of {rank + 2} axes")
    gated = place.settings.flag("use_gate", False)
    projections = _Projections(place, gated)
    q = projections.apply("query", query, shapes[0][-1:], (heads, size))
    k = projections.apply("key", key, shapes[2][-1:], (shared, size))
    v = projections.apply("value", value, shapes[1][-1:], (shared, width))
    parts = Parts(place)
    if heads != shared:
        repeated = (*(None for _ in range(rank)), np.repeat(np.arange(shared), heads // shared), None)
        k, v = (parts.add(Gather, [one], f"{part}_heads", indices=repeated) for one, part in ((k, "key"), (v, "value")))
    q = parts.add(Multiply, [q, parts.constant(1 / math.sqrt(size), "scale")], "scaled")
    # Axes beside those of the attention are the same in all; n counts heads, d numbers of a head.
    queries = "".join(ascii_lowercase[axis] for axis in range(rank))
    keys = "".join(ascii_lowercase[axis].upper() if axis in axes else ascii_lowercase[axis] for axis in range(rank))
    beside = "".join(letter for letter in keys if letter.islower())
    asked, met = (
        letters for letters in ("".join(queries[axis] for axis in sorted(axes)), "".join(keys[axis] for axis in sorted(axes)))
    )
    if rank > ascii_lowercase.index("n"):
        raise place.unsupported(f"its values have {rank + 2} axes")
    scores = multiplied(parts.below("scores"), [q, k], [f"{queries}yz", f"{keys}yz"], f"{beside}y{asked}{met}")
    shape = place.shape_of(scores)
    counts = [math.prod(shape[len(shape) - 2 * len(axes) : len(shape) - len(axes)]), math.prod(shape[len(shape) - len(axes) :])]
    flat = str(parts.reshaped(scores, [*shape[: len(beside) + 1], *counts], "flat"))
    mask = _mask(place, place.shape_of(flat), place.settings.get("sliding_window"), causal=causal)
    shares = str(parts.reshaped(_softmax(parts, flat, mask), shape, "shares_apart"))
    mixed = multiplied(parts.below("mixed"), [shares, v], [f"{beside}y{asked}{met}", f"{keys}yz"], f"{queries}yz")
    if gated:
        opened = parts.add(
            Activation, [projections.apply("gate", query, shapes[0][-1:], (heads, width))], "opened", function="sigmoid"
        )
        mixed = parts.add(Multiply, [mixed, opened], "gated")
    sizes = output if isinstance(output, list) else [output] if output is not None else list(shapes[0][-1:])
    outer = tuple(as_integer(one, "output_shape") for one in sizes)
    made = place.add(Identity, [projections.apply("output", mixed, (heads, width), outer)])
    if as_flag(place.kwargs.get("return_attention_scores"), "return_attention_scores"):
        return [made, shares]
    return made


def _listed(place: Place) -> tuple[str, str, str]:
    """Return query, value and key of a layer that is called on a list of them."""
    given = place.args[0] if place.args else place.kwargs.get("inputs")
    if not isinstance(given, list) or len(given) not in (2, 3) or not all(isinstance(one, Value) for one in given):
        raise ModelError("it is called on other than a query, a value and perhaps a key")
    values = [str(one) for one in given]
    return values[0], values[1], values[2] if len(values) > 2 else values[1]


def attention(place: Place) -> str | list[str]:
    """Attention: by products of queries and keys, or by the tanh of their sums."""
    scaled = place.settings.flag("use_scale", False)
    scale = place.weight(0, "scale", ()) if scaled else None
    mode = place.settings.text("score_mode", "dot")
    query, value, key = _listed(place)
    parts = Parts(place)
    if mode == "dot":
        scores = multiplied(parts.below("scores"), [query, key], ["tx", "sx"], "ts")
        if scale is not None:
            scores = parts.add(Multiply, [scores, parts.constant(scale, "scale")], "scaled")
    elif mode == "concat":
        scores = _sum_of_tanh(parts, query, key, scale, None)
        scores = parts.add(Multiply, [scores, parts.constant(place.weight(int(scaled), "score weight", ()), "weight")], "weighed")
    else:
        raise ModelError(f"its score_mode '{mode[:40]}' is not dot or concat")
    return _applied(place, parts, scores, value)


def additive_attention(place: Place) -> str | list[str]:
    """AdditiveAttention: by sums of tanh(query + key) over the channels, each with a trained weight."""
    query, value, key = _listed(place)
    parts = Parts(place)
    weight = place.weight(0, "scale", place.shape_of(query)[-1:]) if place.settings.flag("use_scale", True) else None
    return _applied(place, parts, _sum_of_tanh(parts, query, key, None, weight), value)


def _sum_of_tanh(parts: Parts, query: str, key: str, scale: np.ndarray | None, weight: np.ndarray | None) -> str:
    """Return the sum over channels of weight * tanh(scale * (query + key)), of every query and key."""
    (queries, channels), (keys, _) = (parts.shape(value) for value in (query, key))
    rows = str(parts.reshaped(query, (queries, 1, channels), "query_rows"))
    columns = str(parts.reshaped(key, (1, keys, channels), "key_columns"))
    met = parts.add(Add, [rows, columns], "met")
    if scale is not None:
        met = parts.add(Multiply, [met, parts.constant(scale, "scale")], "met_scaled")
    bent = parts.add(Activation, [met], "bent", function="tanh")
    if weight is not None:
        bent = parts.add(Multiply, [bent, parts.constant(weight, "weight")], "weighed")
    return parts.add(Reduce, [bent], "summed", function="sum", axes=(2,), keepdims=False)


def _applied(place: Place, parts: Parts, scores: str, value: str) -> str | list[str]:
    causal = as_flag(place.kwargs.get("use_causal_mask"), "use_causal_mask")
    shares = _softmax(parts, scores, _mask(place, place.shape_of(scores), None, causal=causal))
    made = place.add(Identity, [multiplied(parts.below("mixed"), [shares, value], ["ts", "sx"], "tx")])
    if as_flag(place.kwargs.get("return_attention_scores"), "return_attention_scores"):
        return [made, shares]
    return made


def dot_product(place: Place) -> str:
    """dot_product_attention of values (length, heads, channels), with a constant mask and bias or none."""
    names = ("query", "key", "value")
    query, key, value = (_tensor(place, position, name) for position, name in enumerate(names))
    if query is None or key is None or value is None:
        raise ModelError("it is called without a query, a key or a value")
    parts = Parts(place)
    (_, heads, size), (_, shared, _) = place.shape_of(query), place.shape_of(key)
    if heads != shared:
        if shared < 1 or heads % shared:
            raise ModelError(f"its {shared} heads of keys do not divide its {heads} heads of queries")
        repeated = (None, np.repeat(np.arange(shared), heads // shared), None)
        key, value = (parts.add(Gather, [one], f"{part}_heads", indices=repeated) for one, part in ((key, "key"), (value, "value")))
    if place.settings.get("attn_logits_soft_cap") is not None:
        raise place.unsupported("it caps its scores; edgebn runs attention without attn_logits_soft_cap")
    arguments = _arguments(place, ("bias", "mask", "scale"))
    factor = 1 / math.sqrt(size) if arguments["scale"] is None else as_number(arguments["scale"], "scale")
    query = parts.add(Multiply, [query, parts.constant(factor, "scale")], "scaled")
    scores = multiplied(parts.below("scores"), [query, key], ["tnx", "snx"], "nts")
    if arguments["bias"] is not None:
        if isinstance(arguments["bias"], Value):
            raise place.unsupported("its bias is what the network computes; edgebn takes constant ones")
        bias = as_array(arguments["bias"], "bias")
        bias = bias[0] if bias.ndim == len("bnts") and bias.shape[0] == 1 else bias
        scores = parts.add(Add, [scores, parts.constant(bias, "bias")], "biased")
    inner = Place(
        place.reading, place.definition, place.name, place.inputs, [], {"attention_mask": arguments["mask"]}, place.settings
    )
    causal = place.settings.flag("is_causal", False)
    shares = _softmax(parts, scores, _mask(inner, place.shape_of(scores), None, causal=causal))
    return place.add(Identity, [multiplied(parts.below("mixed"), [shares, value], ["nts", "snx"], "tnx")])


def _arguments(place: Place, names: Sequence[str]) -> dict[str, Any]:
    """Return the call's further arguments, which follow query, key and value."""
    given = place.args[3:]
    return {name: given[at] if at < len(given) else place.kwargs.get(name) for at, name in enumerate(names)}
