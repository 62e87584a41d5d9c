"""The order of the weights of models within models in a .h5 file, where Keras writes one list a top-level layer.

Keras matches that list by position alone: all trainable weights of the layers in order, then all others. Names do not count; they
may hold slashes of their own, or be the same twice. Knows which weights each class has, nothing of what they are for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edgebn.errors import ModelError
from edgebn.formats.keras.definitions import LayerDefinition, ModelDefinition
from edgebn.formats.keras.recurrent import around_cell, directions, kinds_of
from edgebn.formats.keras.settings import Settings
from edgebn.formats.keras.weights import Arrangement, Spot

Kinds = tuple[str, ...]
Chain = tuple[str, ...]


class Stored(NamedTuple):
    """The kinds of weights that a layer has: those that training changes by gradients, and the others."""

    trainable: Kinds
    fixed: Kinds = ()


def _with_bias(*kernels: str) -> Callable[[Settings], Stored]:
    return lambda settings: Stored((*kernels, *(("bias",) if settings.flag("use_bias", True) else ())))


def _norm(settings: Settings) -> Stored:
    gamma = ("gamma",) if settings.flag("scale", True) else ()
    beta = ("beta",) if settings.flag("center", True) else ()
    return Stored((*gamma, *beta), ("moving_mean", "moving_variance"))


def _own_statistics(settings: Settings) -> Stored:
    centred = settings.flag("center", True) and not settings.flag("rms_scaling", False)
    return Stored((*(("gamma",) if settings.flag("scale", True) else ()), *(("beta",) if centred else ())))


def _heads(settings: Settings) -> Stored:
    names = ("query", "key", *(("gate",) if settings.flag("use_gate", False) else ()), "value", "output")
    kinds = ("kernel", "bias") if settings.flag("use_bias", True) else ("kernel",)
    return Stored(tuple(f"{name}/{kind}" for name in names for kind in kinds))


def _scores(settings: Settings) -> Stored:
    scale = ("scale",) if settings.flag("use_scale", False) else ()
    return Stored((*scale, *(("concat_score_weight",) if settings.text("score_mode", "dot") == "concat" else ())))


def _statistics(settings: Settings) -> Stored:
    return Stored((), ("mean", "variance", "count") if settings.get("mean") is None else ())


def _recurrent(settings: Settings) -> Stored:
    return Stored(kinds_of(settings))


def _both_ways(settings: Settings) -> Stored:
    ways = zip(("forward", "backward"), directions(settings), strict=True)
    return Stored(tuple(f"{way}/{kind}" for way, direction in ways for kind in direction.kinds))


_CONVOLUTION = _with_bias("kernel")
_SEPARABLE = _with_bias("depthwise_kernel", "pointwise_kernel")

# All other classes that edgebn reads have none.
WEIGHTS: dict[str, Callable[[Settings], Stored]] = {
    "Conv1D": _CONVOLUTION,
    "Conv2D": _CONVOLUTION,
    "Convolution1D": _CONVOLUTION,
    "Convolution2D": _CONVOLUTION,
    "DepthwiseConv1D": _CONVOLUTION,
    "DepthwiseConv2D": _CONVOLUTION,
    "Conv1DTranspose": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "Convolution1DTranspose": _CONVOLUTION,
    "Convolution2DTranspose": _CONVOLUTION,
    "Dense": _CONVOLUTION,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "SeparableConvolution1D": _SEPARABLE,
    "SeparableConvolution2D": _SEPARABLE,
    "BatchNormalization": _norm,
    "BatchNormalizationV1": _norm,
    "BatchNormalizationV2": _norm,
    "SyncBatchNormalization": _norm,
    "LayerNormalization": _own_statistics,
    "GroupNormalization": _own_statistics,
    "RMSNormalization": lambda _: Stored(("scale",)),
    "LayerScale": lambda _: Stored(("gamma",)),
    "SpectralNormalization": lambda _: Stored((), ("vector_u",)),  # beside those of the layer in it
    "Normalization": _statistics,
    "EinsumDense": lambda settings: Stored(("kernel", *(("bias",) if settings.get("bias_axes") else ()))),
    "MultiHeadAttention": _heads,
    "GroupedQueryAttention": _heads,
    "Attention": _scores,
    "AdditiveAttention": lambda settings: Stored(("scale",) if settings.flag("use_scale", True) else ()),
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "RNN": lambda settings: Stored(around_cell(settings).kinds),
    "Bidirectional": _both_ways,
    "PReLU": lambda _settings: Stored(("alpha",)),
}


@dataclass(frozen=True)
class _Weight:
    """One weight: the layer it belongs to, under all names that share it, and its kind."""

    layer: int | Chain
    chain: Chain
    kind: str


class _Lists(NamedTuple):
    trainable: list[_Weight]
    fixed: list[_Weight]
    as_they_come: list[_Weight]


def arrangements(model: ModelDefinition, keras2: bool) -> dict[str, Arrangement]:
    """Return, for every model inside `model`, where the weights of its layers stand in its list."""
    found = {}
    for layer in model.layers.values():
        if layer.model is None:
            continue
        lists = _of(layer, (), keras2)
        listed: dict[tuple[int | Chain, str], int] = {}
        for weight in (*lists.trainable, *lists.fixed):
            listed.setdefault((weight.layer, weight.kind), len(listed))
        spots: dict[Chain, list[Spot]] = {}
        for weight in lists.as_they_come:
            spots.setdefault(weight.chain, []).append(Spot(listed[weight.layer, weight.kind], weight.kind))
        found[layer.name] = Arrangement(len(listed), spots)
    return found


def _kinds(layer: LayerDefinition) -> Stored:
    try:
        return WEIGHTS[layer.class_name](layer.settings) if layer.class_name in WEIGHTS else Stored(())
    except ModelError as error:
        raise ModelError(f"layer '{layer.name}' ({layer.class_name}): {error}") from None


def _of(layer: LayerDefinition, outer: Chain, keras2: bool) -> _Lists:
    chain = (*outer, layer.name)
    frozen = not layer.settings.flag("trainable", True)
    if layer.model is None:
        identity = chain if layer.shared_id is None else layer.shared_id
        trainable, fixed = ([_Weight(identity, chain, kind) for kind in part] for part in _kinds(layer))
        lists = _Lists(trainable, fixed, [*trainable, *fixed])
    else:
        parts = [_of(inner, chain, keras2) for inner in layer.model.layers.values()]
        own = [_Weight(chain, chain, kind) for kind in _kinds(layer).fixed]
        parts.insert(0, _Lists([], own, own))
        lists = _Lists(*([weight for part in parts for weight in part[index]] for index in range(3)))
        if frozen and not keras2:  # there every weight has the flag of its layer, and only the outermost model's counts beside it
            return lists if outer else _Lists([], lists.as_they_come, lists.as_they_come)
    return _Lists([], [*lists.trainable, *lists.fixed], lists.as_they_come) if frozen else lists
