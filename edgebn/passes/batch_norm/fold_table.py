"""The fold table: for every place a batch norm can stand, one row that says whether it is folded, kept or refused, and why.

`decide` finds the row of a batch norm in a canonical channels-last network; `moves.py` and `lower_float.py` do what the row
says and nothing else. docs/fold-table.md prints the rows. Weights are never touched: a batch norm folds backwards, into
the epilogue of the layer that makes its input, and never forwards into the weights of the layer that reads it.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.layers import BatchNorm, Convolution, Pool
from edgebn.passes.batch_norm.placement import CARRIERS, Place, place_of
from edgebn.passes.graph.network import Network
from edgebn.quick_dataclass import dataclass

FOLDED, KEPT, REFUSED = "folded", "kept", "refused"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    place : str
        Where the batch norm stands.
    outcome : {'folded', 'kept', 'refused'}
    into : str
        The epilogue that takes it, or the step it becomes; '' when refused.
    reason : str
        Why; of a refusal also what the user can do.
    applies : function of Place, or None
        None where the graph cannot say it any more (the layout is settled, or the reader refused the layer).
    """

    place: str
    outcome: str
    into: str
    reason: str
    applies: Callable[[Place], bool] | None


def _takes(place: Place) -> bool:
    """Whether the producer's epilogue is open for this batch norm."""
    return place.producer is not None and place.producer.kind in CARRIERS and not place.shared and not place.closed


def _convolution(place: Place) -> Convolution | None:
    return place.producer if isinstance(place.producer, Convolution) and _takes(place) else None


def _depthwise(place: Place) -> bool:
    layer = _convolution(place)
    return layer is not None and layer.groups > 1 and layer.weight.shape[3] == 1


def _grouped(place: Place) -> bool:
    layer = _convolution(place)
    return layer is not None and layer.groups > 1


def _pooled(function: str, movable: bool) -> Callable[[Place], bool]:
    def applies(place: Place) -> bool:
        return isinstance(place.producer, Pool) and place.producer.function == function and place.movable is movable

    return applies


def _before_convolution(padded: bool) -> Callable[[Place], bool]:
    def applies(place: Place) -> bool:
        reader = place.reader
        return reader is not None and reader.kind in CARRIERS and any(getattr(reader, "padding", ())) is padded

    return applies


def _moved(kind: str) -> Callable[[Place], bool]:
    return lambda place: place.after(kind) and place.movable


def _kept(kind: str) -> Callable[[Place], bool]:
    return lambda place: place.after(kind)


AFFINE = "an Affine step of its own"
BEHIND = "the epilogue of the layer before it"

# The first row that applies decides. Rows without a predicate stand here for people: other rows decide them once the
# layout is settled.
TABLE: tuple[Row, ...] = (
    Row(
        "a batch norm without stored statistics (training mode, track_running_stats=False)",
        REFUSED,
        "",
        "there is no mean and variance to normalise with; export the model in inference mode with its moving statistics",
        None,
    ),
    Row(
        "a batch norm whose scale or shift overflows float32",
        REFUSED,
        "",
        "gamma / sqrt(variance + epsilon) or its shift is no float32 number; raise epsilon, or train the layer again",
        lambda place: not place.finite,
    ),
    Row(
        "a channels-first model", FOLDED, BEHIND, "the layout is made channels-last first; then the row of its place decides", None
    ),
    Row("center=False or scale=False", FOLDED, BEHIND, "beta is 0 or gamma is 1; then the row of its place decides", None),
    Row(
        "along an axis other than the channels",
        KEPT,
        "an Affine step between transposes",
        "epilogues have one number a channel, so the value is turned until the axis is last",
        _kept("Transpose"),
    ),
    Row(
        "after a value that others read too (one convolution with two batch norms)",
        KEPT,
        AFFINE,
        "the value without the batch norm is needed as well",
        lambda place: place.shared and place.producer is not None,
    ),
    Row(
        "two in a row",
        FOLDED,
        "the epilogue that holds the first",
        "two affine maps per channel are one",
        lambda place: place.normed and not place.closed,
    ),
    Row(
        "after an activation that follows another batch norm (conv - BN - ReLU - BN)",
        KEPT,
        AFFINE,
        "an epilogue clips once before and once after its batch norms, and the clip after them is taken",
        lambda place: place.closed,
    ),
    Row(
        "after the activation (conv - ReLU - BN)",
        FOLDED,
        "the epilogue of the layer before the activation",
        "the clip stands before the batch norm in the epilogue",
        lambda place: _takes(place) and place.clipped,
    ),
    Row(
        "after a dense layer",
        FOLDED,
        BEHIND,
        "a dense layer is a 1 x 1 convolution, or one as large as the value that was flattened for it",
        lambda place: _takes(place) and (place.after("Dense") or place.whole),
    ),
    Row("after a depthwise convolution", FOLDED, BEHIND, "one scale and shift an output channel", _depthwise),
    Row("after a grouped convolution", FOLDED, BEHIND, "one scale and shift an output channel", _grouped),
    Row(
        "after a 1-D convolution",
        FOLDED,
        BEHIND,
        "a 1-D convolution is one of height 1",
        lambda place: _convolution(place) is not None and place.one_dimensional,
    ),
    Row(
        "after a convolution",
        FOLDED,
        BEHIND,
        "one scale and shift an output channel",
        lambda place: _convolution(place) is not None,
    ),
    Row(
        "after a transposed convolution",
        FOLDED,
        BEHIND,
        "one scale and shift an output channel",
        lambda place: place.after("TransposedConvolution"),
    ),
    Row(
        "after max pooling, no scale negative",
        FOLDED,
        "the epilogue of the layer before the pool",
        "a rising function of the maximum is the maximum of the function",
        _pooled("max", movable=True),
    ),
    Row(
        "after average pooling that counts no padding",
        FOLDED,
        "the epilogue of the layer before the pool",
        "the mean of an affine map is the affine map of the mean",
        _pooled("average", movable=True),
    ),
    Row(
        "after a flatten or reshape that keeps the channels last",
        FOLDED,
        "the epilogue of the layer before the reshape",
        "every element keeps its channel",
        _moved("Reshape"),
    ),
    Row(
        "after upsampling",
        FOLDED,
        "the epilogue of the layer before the upsampling",
        "the weights of each output pixel sum to one, so the batch norm may come first",
        _moved("Resize"),
    ),
    Row(
        "after cropping",
        FOLDED,
        "the epilogue of the layer before the crop",
        "every element keeps its channel",
        _moved("Crop"),
    ),
    Row(
        "after concatenation of values that only it reads",
        FOLDED,
        "the epilogues of the layers that make the parts",
        "each part takes its own channels of the batch norm",
        _moved("Concat"),
    ),
    Row(
        "on the network's input",
        KEPT,
        AFFINE,
        "no layer before it has an epilogue",
        lambda place: place.producer is None,
    ),
    Row(
        "before a convolution with padding, where the layer before cannot take it",
        KEPT,
        AFFINE,
        "the padding's zeros come after the batch norm, so a fold into the weights is not exact at the border",
        _before_convolution(padded=True),
    ),
    Row(
        "before a convolution without padding or a dense layer, where the layer before cannot take it",
        KEPT,
        AFFINE,
        "a scale per input channel would have to go into the weights, which never change",
        _before_convolution(padded=False),
    ),
    Row(
        "after max pooling, a scale negative or nothing before that can take it",
        KEPT,
        AFFINE,
        "with a negative scale the maximum would become the minimum",
        _pooled("max", movable=False),
    ),
    Row(
        "after average pooling that counts padding, or with nothing before that can take it",
        KEPT,
        AFFINE,
        "the padding's zeros count in the mean and come after the layer before",
        _pooled("average", movable=False),
    ),
    Row("after an addition", KEPT, AFFINE, "the sum has no epilogue of its own, and two layers make it", _kept("Add")),
    Row(
        "after concatenation of values that others read too",
        KEPT,
        AFFINE,
        "a part without the batch norm is needed as well, or nothing that makes it can take it",
        _kept("Concat"),
    ),
    Row(
        "after a flatten or reshape that moves elements between channels",
        KEPT,
        AFFINE,
        "one channel before the reshape is several after it",
        _kept("Reshape"),
    ),
    Row(
        "after an activation that is a step of its own (sigmoid, leaky ReLU, ...)",
        KEPT,
        AFFINE,
        "the activation runs as a step between the layer before and the batch norm",
        _kept("Activation"),
    ),
    Row("anywhere else", KEPT, AFFINE, "the layer before it has no epilogue", lambda _: True),
)


def row_of(words: str) -> Row:
    """Return the row whose place begins with `words`."""
    return next(row for row in TABLE if row.place.startswith(words))


def decide(network: Network, norm: BatchNorm) -> Row:
    """Return the row of the table for `norm`, a layer of a canonical channels-last network."""
    place = place_of(network, norm)
    return next(row for row in TABLE if row.applies is not None and row.applies(place))
