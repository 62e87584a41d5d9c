"""Where a batch norm stands: what the fold table asks about the layers around it. It decides nothing."""

from __future__ import annotations

import numpy as np

from edgebn.layers import Activation, BatchNorm, Convolution, Layer, Pool, split_spatial
from edgebn.passes.graph.network import Network
from edgebn.quick_dataclass import dataclass

# Layers whose step ends in an epilogue that can hold batch norms.
CARRIERS = ("Convolution", "TransposedConvolution", "Dense")


@dataclass(frozen=True)
class Place:
    """What stands around one batch norm.

    Attributes
    ----------
    producer : Layer or None
        The layer that makes the batch norm's input, clips left out; None for an input of the network.
    reader : Layer or None
        The only layer that reads its output, clips left out.
    shared : bool
        Whether its input is read by others too, or leaves the network.
    clipped : bool
        Whether a clip (ReLU, ReLU6) stands between the producer and it.
    normed : bool
        Whether the epilogue that would take it holds another batch norm already.
    closed : bool
        Whether that epilogue already has a clip after a batch norm: it can hold no more.
    one_dimensional : bool
        Whether its input is a sequence (length, channels).
    whole : bool
        Whether the producer is a convolution whose kernel is its whole input: what flatten + dense became.
    movable : bool
        Whether it commutes with the producer (a pool, a reshape, ...) and what comes before that can take it.
    finite : bool
        Whether its scale and shift are finite float32 numbers.
    """

    producer: Layer | None
    reader: Layer | None
    shared: bool
    clipped: bool
    normed: bool
    closed: bool
    one_dimensional: bool
    whole: bool
    movable: bool
    finite: bool

    def after(self, kind: str) -> bool:
        """Whether the producer is of this kind."""
        return self.producer is not None and self.producer.kind == kind


def scale_and_shift(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Return a = gamma / sqrt(variance + epsilon) and d = beta - mean * a, float64, shape (channels,)."""
    gamma, beta, mean, variance = (array.astype(np.float64) for array in (norm.gamma, norm.beta, norm.mean, norm.variance))
    a = gamma / np.sqrt(variance + norm.epsilon)
    return a, beta - mean * a


def fits_float32(*arrays: np.ndarray) -> bool:
    """Whether every number is finite in float32."""
    return all(bool((np.abs(array) <= np.finfo(np.float32).max).all()) for array in arrays)


def place_of(network: Network, norm: BatchNorm) -> Place:
    """Describe what stands around `norm`."""
    value = norm.inputs[0]
    shared = network.only_reader(value) is not norm
    epilogue = Epilogue.ending_at(network, value)
    a, d = scale_and_shift(norm)
    source = network.maker.get(value)
    return Place(
        producer=epilogue.root,
        reader=_reader(network, norm.output),
        shared=shared,
        clipped=epilogue.clipped,
        normed=epilogue.normed and not shared,
        closed=epilogue.closed,
        one_dimensional=len(network.shapes[value]) == 2,
        whole=_spans_input(network, epilogue.root),
        movable=not shared and source is not None and commutes(network, source, a),
        finite=fits_float32(a, d),
    )


def _spans_input(network: Network, layer: Layer | None) -> bool:
    if not isinstance(layer, Convolution) or any(layer.padding):
        return False
    height, width, _ = split_spatial(network.shapes[layer.inputs[0]], channels_first=False)
    return layer.groups == 1 and layer.weight.shape[1:3] == (height, width)


def _reader(network: Network, value: str) -> Layer | None:
    reader = network.only_reader(value)
    while reader is not None and is_clip(reader):
        reader = network.only_reader(reader.output)
    return reader


def is_clip(layer: Layer | None) -> bool:
    """Whether the layer is a ReLU, a ReLU6 or another clip, which epilogues hold."""
    return isinstance(layer, Activation) and layer.function == "clip"


@dataclass(frozen=True)
class Epilogue:
    """The clips and batch norms between a value and the last layer before it that is neither.

    Attributes
    ----------
    root : Layer or None
        That layer; None for an input of the network.
    clipped, normed, closed : bool
        As in `Place`. A batch norm that is kept opens an epilogue of its own.
    """

    root: Layer | None
    clipped: bool = False
    normed: bool = False
    closed: bool = False

    @classmethod
    def ending_at(cls, network: Network, value: str) -> Epilogue:
        """Walk back from `value`."""
        between: list[Layer] = []
        layer = network.maker.get(value)
        while layer is not None and (is_clip(layer) or isinstance(layer, BatchNorm)):
            between.insert(0, layer)
            source = layer.inputs[0]
            if network.only_reader(source) is not layer:
                break
            layer = network.maker.get(source)
        else:
            return cls._through(layer, between)
        # A value that others read cuts the chain: what reads it starts an epilogue of its own.
        first = between.pop(0)
        return cls._through(first, between, normed=isinstance(first, BatchNorm))

    @classmethod
    def _through(cls, root: Layer | None, between: list[Layer], *, normed: bool = False) -> Epilogue:
        clipped = closed = False
        for layer in between:
            if is_clip(layer):
                clipped, closed = clipped or not normed, normed
            else:  # a batch norm: behind a closed epilogue it opens the next one
                normed, closed = True, False
        return cls(root, clipped, normed, closed)

    @property
    def is_open(self) -> bool:
        """Whether it belongs to a layer with an epilogue that can take another batch norm."""
        return self.root is not None and self.root.kind in CARRIERS and not self.closed


def commutes(network: Network, layer: Layer, a: np.ndarray) -> bool:
    """Whether a batch norm of scale `a` behind `layer` may stand before it, and what makes its inputs can take it there."""
    if isinstance(layer, Pool):
        uncounted = not layer.count_padding or layer.padding == (0, 0, 0, 0)
        fine = bool((a >= 0).all()) if layer.function == "max" else uncounted
    elif layer.kind == "Reshape":
        fine = network.shapes[layer.inputs[0]][-1:] == network.shapes[layer.output][-1:]
    elif layer.kind == "Crop":
        fine = network.shapes[layer.inputs[0]][-1] == network.shapes[layer.output][-1]
    elif layer.kind == "Concat":
        fine = getattr(layer, "axis", -1) == len(network.shapes[layer.output]) - 1
    else:
        fine = layer.kind == "Resize"
    return fine and all(_can_take(network, value, layer, part) for value, part in _parts(network, layer, a))


def _parts(network: Network, layer: Layer, a: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return each input of `layer` with its channels of `a`."""
    if layer.kind != "Concat":
        return [(layer.inputs[0], a)]
    ends = np.cumsum([network.shapes[name][-1] for name in layer.inputs])[:-1]
    return list(zip(layer.inputs, np.split(a, ends), strict=True))


def _can_take(network: Network, value: str, reader: Layer, a: np.ndarray) -> bool:
    """Whether an epilogue that ends at `value`, which only `reader` reads, can take a batch norm of scale `a`."""
    if network.only_reader(value) is not reader or reader.inputs.count(value) > 1:
        return False
    if Epilogue.ending_at(network, value).is_open:
        return True
    source = network.maker.get(value)
    return source is not None and commutes(network, source, a)
