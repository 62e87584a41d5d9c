"""The graph under construction from a file whose values have a batch axis: what every operator's reader of ONNX and PyTorch uses.

Operators speak of the axes of the file; layers get those of a sample. `batch_axis.py` says where the batch is; this appends the
layers. Knows neither format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.batch_axis import Batch, BatchAxisError, Place
from edgebn.graph import GraphBuilder, Shape
from edgebn.layers import MAX_EXTENT, Crop, Gather, Layer, Pad, Pair, Quantization, Reshape, Transpose

# How `pad_copies` names what it puts around a value, and what NumPy calls it.
PAD_MODES = {
    "reflect": "reflect",
    "edge": "edge",
    "symmetric": "symmetric",
    "wrap": "wrap",
    "replicate": "edge",
    "circular": "wrap",
}
ALONE = "edgebn runs each sample by itself"


class Node(Protocol):
    """What is asked of a node of the file."""

    @property
    def name(self) -> str:
        """What layers are called after."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that it makes."""

    def refuse(self, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses it."""

    def damaged(self, reason: str) -> ModelError:
        """Return the error that says the file contradicts itself there."""


@dataclass(frozen=True)
class Placed:
    """A value that exists when the network runs.

    Attributes
    ----------
    tensor : str
        Its name in the graph.
    shape : tuple of int
        As the file has it, with the batch.
    place : Place
        Where the batch is in it.
    """

    tensor: str
    shape: Shape
    place: Place


Value = TypeVar("Value", bound=Placed)


@dataclass
class SampleContext(ABC, Generic[Value]):
    """The graph under construction.

    Attributes
    ----------
    builder : GraphBuilder
    batch : Batch
    """

    builder: GraphBuilder
    batch: Batch
    _spread: int = field(default=0, init=False)

    @abstractmethod
    def moved(
        self,
        node: Any,
        kind: type[Layer],
        /,
        *values: Value,
        part: str = "",
        output: int = 0,
        place: Place | None = None,
        **fields: Any,
    ) -> Value:
        """Append a layer that moves, selects or joins elements and changes none; see `append`."""

    @abstractmethod
    def whole_numbers(
        self, node: Any, kind: type[Layer], /, *values: Value, part: str, place: Place, function: str, **fields: Any
    ) -> Value:
        """Append a helper layer that makes whole numbers."""

    def append(
        self,
        node: Node,
        kind: type[Layer],
        inputs: Sequence[Placed],
        *,
        part: str,
        output: int,
        place: Place | None,
        quantization: Quantization | None,
        fields: dict[str, Any],
    ) -> Placed:
        """Append a layer and return its output, as a node's output is held: its axis 0 left out where it is the batch alone.

        Parameters
        ----------
        part : str
            Names a helper layer of a node that becomes several, whose output is left as it is; empty for the layer that makes the
            node's output.
        output : int
            Which of the node's outputs it makes.
        place : Place, optional
            Where the batch is in the output; where it is in the first input unless said.
        """
        if output >= len(node.outputs) or not (node.outputs[output] or part):
            raise node.damaged("it makes no output")
        made, name = node.outputs[output], node.name if output == 0 else f"{node.name}:{output}"
        if part:
            name, made = f"{name}/{part}", f"{made}/{part}"
        place = place or (inputs[0].place if inputs else Place())
        layer = kind(name=name, inputs=tuple(value.tensor for value in inputs), output=made, **fields)
        if part or place.leading:
            self.builder.add(layer, quantization)
            return Placed(made, self.batch.full(self.builder.tensors[made].shape, place), place)
        sample = self.builder.infer(layer)
        shape = self.batch.full(sample, place)
        usual = self.batch.usual(shape, place.axis)
        if usual.leading:
            self.builder.add(replace(layer, output=f"{made}/every_axis"), quantization)
            layer = Reshape(f"{name}/sample", (f"{made}/every_axis",), made, self.batch.sample(shape, usual))
        self.builder.add(layer, quantization)
        return Placed(made, shape, usual)

    def apart(self, node: Node, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses what a node does with the batch, in a network whose samples run alone."""
        return BatchAxisError(str(node.refuse(f"{reason}; {ALONE}")))

    def along_batch(self, node: Node, does: str = "works along") -> UnsupportedLayerError:
        """Return the error that refuses a node that works along the batch axis."""
        return self.apart(node, f"it {does} the batch axis")

    def check_output(self, name: str, value: Value) -> None:
        """Refuse an output of the network whose batch is not in front."""
        if not self.batch.single and value.place.axis != 0:
            raise BatchAxisError(
                f"{self.builder.source}: the output '{name}' of shape {value.shape} has the batch in axis {value.place.axis}; "
                "edgebn gives outputs with the batch in front"
            )

    def resolved(self, node: Node, axis: int, rank: int) -> int:
        """Return an axis counted from 0."""
        if not -rank <= axis < rank:
            raise node.damaged(f"its axis {axis} is outside a value of {rank} axes")
        return axis % rank

    def spread(self, node: Node, x: Value) -> Value:
        """Return a value with all axes of its shape in the graph's, the batch divided out."""
        if not x.place.leading:
            return x
        self._spread += 1
        place = Place(x.place.axis, 0)
        return self.moved(node, Reshape, x, part=f"axes{self._spread}", place=place, shape=self.batch.sample(x.shape, place))

    def along(self, node: Node, x: Value, axes: Iterable[int], does: str = "works along") -> tuple[Value, tuple[int, ...]]:
        """Return a value and axes of its shape, negative ones resolved, as axes of the value's tensor; or refuse the batch axis."""
        wanted = tuple(self.resolved(node, axis, len(x.shape)) for axis in axes)
        if x.place.axis in wanted:
            if not self.batch.single:
                raise self.along_batch(node, does)
            x = self.spread(node, x)
        return x, tuple(axis - x.place.leading for axis in wanted)

    def reshape(self, node: Node, x: Value, shape: Shape, *, axis: int | None = None, part: str = "", output: int = 0) -> Value:
        """Append a reshape; `axis` is where the batch is then, worked out unless said."""
        if not self.batch.single and axis is None:
            axis = self.batch.after_reshape(x.shape, x.place.axis, shape)
            if axis is None:
                raise self.apart(node, f"it turns a value of shape {x.shape} into {shape}, which mixes the batch axis with others")
        place = self.batch.usual(shape, axis)
        return self.moved(node, Reshape, x, part=part, output=output, place=place, shape=self.batch.sample(shape, place))

    def transpose(self, node: Node, x: Value, permutation: Sequence[int], part: str = "") -> Value:
        """Append a transpose."""
        if x.place.leading and permutation[0] == 0:
            return self.moved(node, Transpose, x, part=part, permutation=tuple(axis - 1 for axis in permutation[1:]))
        x = self.spread(node, x)
        axis = None if x.place.axis is None else permutation.index(x.place.axis)
        return self.moved(node, Transpose, x, part=part, place=Place(axis, 0), permutation=tuple(permutation))

    def crop(self, node: Node, x: Value, starts: Sequence[int], sizes: Sequence[int], part: str = "", output: int = 0) -> Value:
        """Append a crop, `starts` and `sizes` of all axes of the file's shape."""
        if min(sizes, default=1) < 1:
            raise node.refuse(f"it makes an empty value of shape {tuple(sizes)}")
        x, axes = self.along(node, x, (axis for axis, size in enumerate(sizes) if size != x.shape[axis]), "cuts")
        begins, lengths = [0] * (len(x.shape) - x.place.leading), list(self.batch.sample(x.shape, x.place))
        for axis in axes:
            begins[axis], lengths[axis] = starts[axis + x.place.leading], sizes[axis + x.place.leading]
        return self.moved(node, Crop, x, part=part, output=output, starts=tuple(begins), sizes=tuple(lengths))

    def pad(self, node: Node, x: Value, sides: Sequence[Pair], value: float) -> Value:
        """Append a padding of (before, after) of every axis of the file's shape; negative amounts crop."""
        x, axes = self.along(node, x, (axis for axis, side in enumerate(sides) if side != (0, 0)), "pads")
        sample = self.batch.sample(x.shape, x.place)
        own: list[Pair] = [(0, 0)] * len(sample)
        for axis in axes:
            own[axis] = sides[axis + x.place.leading]
        grows = any(amount > 0 for side in own for amount in side)
        if any(amount < 0 for side in own for amount in side):
            starts = tuple(max(-before, 0) for before, _ in own)
            sizes = tuple(length + min(before, 0) + min(after, 0) for length, (before, after) in zip(sample, own, strict=True))
            x = self.moved(node, Crop, x, part="crop" if grows else "", starts=starts, sizes=sizes)
            if not grows:
                return x
        return self.moved(node, Pad, x, pads=tuple((max(before, 0), max(after, 0)) for before, after in own), value=value)

    def without_axis(self, node: Node, x: Value, axis: int, part: str = "", output: int = 0) -> Value:
        """Append a reshape that leaves out an axis of size 1 which is not the batch's."""
        shape = (*x.shape[:axis], *x.shape[axis + 1 :])
        batch = x.place.axis
        if batch == axis and not self.batch.single:
            raise self.along_batch(node, "leaves out")
        return self.reshape(node, x, shape, axis=None if batch is None else batch - (batch > axis), part=part, output=output)

    def gather(self, node: Node, x: Value, axis: int, indices: np.ndarray, output: int = 0) -> Value:
        """Append what selects indices, which all exist, of an axis; their own axes, none to many, take its place."""
        if axis == x.place.axis and not self.batch.single:
            raise self.along_batch(node, "picks from")
        flat = [int(index) for index in indices.ravel()]
        if indices.ndim == 1:
            return self._pick(node, x, axis, flat, output=output)
        if indices.ndim == 0 and x.shape[axis] == 1:
            return self.without_axis(node, x, axis, output=output)
        picked = self._pick(node, x, axis, flat, part="picked", output=output)
        if indices.ndim == 0:
            return self.without_axis(node, picked, axis, output=output)
        batch = x.place.axis
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        moved = batch if batch is None or batch < axis else batch + indices.ndim - 1
        return self.reshape(node, picked, shape, axis=moved, output=output)

    def _pick(self, node: Node, x: Value, axis: int, indices: Sequence[int], part: str = "", output: int = 0) -> Value:
        """Append what selects `indices` of an axis, in their order: a crop of neighbours, or a gather."""
        picked = np.array(indices, np.int64)
        if (np.diff(picked) == 1).all():
            starts, sizes = [0] * len(x.shape), list(x.shape)
            starts[axis], sizes[axis] = int(picked[0]), len(picked)
            return self.crop(node, x, starts, sizes, part=part, output=output)
        return self.select(node, x, {axis: picked}, "picks from", part=part, output=output)

    def select(
        self, node: Node, x: Value, indices: Mapping[int, np.ndarray], does: str = "works along", part: str = "", output: int = 0
    ) -> Value:
        """Append a gather of the elements `indices` of some axes of the file's shape; axes kept as they are may be among them."""
        changed = {axis: np.asarray(picked, np.int64) for axis, picked in indices.items()
                   if not np.array_equal(picked, np.arange(x.shape[axis]))}  # fmt: skip
        if any(len(picked) == 0 for picked in changed.values()):
            raise node.refuse("it makes an empty value")
        x, axes = self.along(node, x, changed, does)
        own: list[np.ndarray | None] = [None] * (len(x.shape) - x.place.leading)
        for axis, picked in zip(axes, changed.values(), strict=True):
            own[axis] = picked
        return self.moved(node, Gather, x, part=part, output=output, indices=tuple(own))

    def slice(self, node: Node, x: Value, ranges: Mapping[int, range], output: int = 0) -> Value:
        """Append what takes ranges of some axes of the file's shape: a crop where all steps are 1."""
        if any(len(picked) == 0 for picked in ranges.values()):
            raise node.refuse("it makes an empty value")
        if all(picked.step == 1 or len(picked) == 1 for picked in ranges.values()):
            starts, sizes = [0] * len(x.shape), list(x.shape)
            for axis, picked in ranges.items():
                starts[axis], sizes[axis] = picked[0], len(picked)
            return self.crop(node, x, starts, sizes, output=output)
        return self.select(node, x, {axis: np.array(picked) for axis, picked in ranges.items()}, "cuts", output=output)

    def pad_copies(self, node: Node, x: Value, sides: Sequence[Pair], mode: str) -> Value:
        """Append a padding of (before, after) with the value's own elements; `mode` is in `PAD_MODES`; negative amounts crop."""
        indices = {}
        for axis, (before, after) in enumerate(sides):
            kept = np.arange(max(-before, 0), x.shape[axis] - max(-after, 0))
            most = len(kept) - 1 if mode == "reflect" else len(kept) if mode in ("symmetric", "wrap", "circular") else MAX_EXTENT
            if len(kept) < 1 or max(before, after) > most:
                raise node.refuse(f"it pads an axis of {x.shape[axis]} by {(before, after)}, more than its elements ('{mode}')")
            indices[axis] = np.pad(kept, (max(before, 0), max(after, 0)), mode=PAD_MODES[mode])  # type: ignore[call-overload]
        return self.select(node, x, indices, "pads")

    def tile(self, node: Node, x: Value, repeats: Sequence[int]) -> Value:
        """Append a value repeated as a whole, `repeats` times along each axis of the file's shape."""
        if min(repeats, default=1) < 1:
            raise node.refuse("it makes an empty value")
        self._check_copies(node, x, repeats)
        return self.select(node, x, {axis: np.tile(np.arange(x.shape[axis]), count) for axis, count in enumerate(repeats)})

    def expand(self, node: Node, x: Value, shape: Shape) -> Value:
        """Append a value broadcast to `shape`, as NumPy does; the result may have more axes."""
        rank = max(len(shape), len(x.shape))
        try:
            full = np.broadcast_shapes(x.shape, shape)
        except ValueError:
            raise node.damaged(f"it expands a value of shape {x.shape} to {tuple(shape)}, which does not fit") from None
        if rank > len(x.shape):
            more, batch = rank - len(x.shape), x.place.axis
            x = self.reshape(node, x, (1,) * more + x.shape, axis=None if batch is None else batch + more, part="raised")
        counts = [new // old for old, new in zip(x.shape, full, strict=True)]
        self._check_copies(node, x, counts)
        return self.select(node, x, {axis: np.zeros(count, np.int64) for axis, count in enumerate(counts) if count > 1})

    def _check_copies(self, node: Node, x: Value, counts: Sequence[int]) -> None:
        for axis, count in enumerate(counts):
            if count * x.shape[axis] > MAX_EXTENT:
                raise node.refuse(
                    f"it makes an axis of {count * x.shape[axis]}; edgebn copies up to {MAX_EXTENT} elements of an axis"
                )

    def reduction(self, node: Node, x: Value, axes: Iterable[int], *, keepdims: bool) -> dict[str, Any]:
        """Return the fields and the place of a `Reduce` of a value over axes of its shape; of none, for the batch of one alone."""
        wanted = {self.resolved(node, axis, len(x.shape)) for axis in axes}
        if x.place.axis in wanted and not self.batch.single:
            raise self.along_batch(node)
        own = tuple(sorted(axis - x.place.leading for axis in wanted if axis >= x.place.leading))
        batch = x.place.axis
        if keepdims:
            place = x.place
        elif batch is None or batch in wanted:
            place = Place(None, 0)
        else:
            place = Place(batch - sum(axis < batch for axis in wanted), x.place.leading)
        return {"axes": own, "keepdims": keepdims, "place": place}

    def share(self, node: Node, array: np.ndarray, rank: int, place: Place) -> np.ndarray:
        """Return a constant that meets a value of `rank` axes with the batch at `place`, without the batch."""
        if place.axis is None or array.ndim < rank - place.axis:
            return array
        axis = place.axis - (rank - array.ndim)
        length = array.shape[axis]
        if length > 1 and not self.batch.single:
            fits = length == self.batch.size if place.leading else length % self.batch.size == 0
            blocks = np.split(array, self.batch.size, axis) if fits else []
            if not blocks or any(not np.array_equal(block, blocks[0]) for block in blocks):
                raise self.apart(node, f"its constant of shape {array.shape} differs along the batch axis")
            array = blocks[0]
        return array.reshape(array.shape[1:]) if place.leading and axis == 0 else array

    def broadcast(self, node: Node, operands: Sequence[Value | np.ndarray]) -> tuple[list[Value | np.ndarray], Place]:
        """Return values and constants as they broadcast against each other sample by sample, and the place of the result."""
        try:
            shape = tuple(int(size) for size in np.broadcast_shapes(*(operand.shape for operand in operands)))
        except ValueError:
            shapes = tuple(tuple(operand.shape) for operand in operands)
            raise node.damaged(f"its inputs of shapes {shapes} cannot be broadcast together") from None
        values = [operand for operand in operands if isinstance(operand, Placed)]
        rank = len(shape)
        if self.batch.single:  # an axis of size 1 in front is no matter to broadcasting
            place = self.batch.usual(shape, None)
            return [self.share(node, item, rank, place) if isinstance(item, np.ndarray) else item for item in operands], place
        axes = {None if value.place.axis is None else value.place.axis + rank - len(value.shape) for value in values}
        if len(axes) > 1:
            shapes = tuple(value.shape for value in values)
            raise self.apart(node, f"its inputs of shapes {shapes} have the batch in different axes, so that one's meets another")
        place = Place(axes.pop(), int(all(value.place.leading and len(value.shape) == rank for value in values)))
        placed: list[Value | np.ndarray] = []
        for item in operands:
            if isinstance(item, np.ndarray):
                placed.append(self.share(node, item, rank, place))
            else:
                placed.append(item if place.leading else self.spread(node, item))
        return placed, place

    def joined(self, node: Node, parts: Sequence[Value | np.ndarray], axis: int) -> tuple[list[Value | np.ndarray], int, Place]:
        """Return values and constants as they are joined along an axis of the file's shape, that axis, and the result's place."""
        values = [part for part in parts if isinstance(part, Placed)]
        rank = len(values[0].shape)
        if any(part.ndim != rank if isinstance(part, np.ndarray) else len(part.shape) != rank for part in parts):
            raise node.damaged(f"its inputs of shapes {tuple(tuple(part.shape) for part in parts)} cannot be joined")
        axis = self.resolved(node, axis, rank)
        places = {value.place.axis for value in values}
        if not self.batch.single and axis in places:
            raise self.along_batch(node)
        if not self.batch.single and len(places) > 1:
            raise self.apart(
                node, f"its inputs of shapes {tuple(value.shape for value in values)} have the batch in different axes"
            )
        leading = int(all(value.place.leading for value in values) and axis > 0)
        if self.batch.single and any(part.shape[0] != 1 for part in parts):
            leading = 0
        place = Place(values[0].place.axis, leading)
        placed: list[Value | np.ndarray] = []
        for part in parts:
            if isinstance(part, np.ndarray):
                placed.append(self.share(node, part, rank, place))
            else:
                placed.append(part if leading else self.spread(node, part))
        return placed, axis - leading, place

    def multiplied(self, node: Node, a: Value, b: Value) -> tuple[Value, Value, Place]:
        """Return two values as they are multiplied as matrices, over their last two axes, and the place of the result."""
        if min(len(a.shape), len(b.shape)) < 2:
            raise node.refuse(
                f"it multiplies values of shapes {a.shape} and {b.shape}; edgebn multiplies matrices: give both two axes"
            )
        a, b = self._of_equal_stacks(node, a, b)
        if len(a.shape) == len(b.shape) > 2 and a.place.leading and b.place.leading:
            return a, b, a.place
        stacked = a.place.axis if len(a.shape) == len(b.shape) and a.place.axis == b.place.axis else None
        if not self.batch.single and stacked is not None and stacked < len(a.shape) - 2 and a.shape[stacked] == b.shape[stacked]:
            return self.spread(node, a), self.spread(node, b), Place(stacked, 0)  # windows of all samples, one behind the other
        if not self.batch.single:
            raise self.apart(
                node, f"it multiplies values of shapes {a.shape} and {b.shape}, of which one's batch meets another axis"
            )
        a, b = self.spread(node, a), self.spread(node, b)
        return a, b, Place(None, 0)

    def _of_equal_stacks(self, node: Node, a: Value, b: Value) -> tuple[Value, Value]:
        """Return two stacks of matrices, repeated where each is one along an axis that the other has more of."""
        first, second = a.shape[:-2], b.shape[:-2]
        if len(first) != len(second) or first == second or not self.batch.single:
            return a, b
        if set(first) == {1} or set(second) == {1}:  # one matrix for all
            return a, b
        stack = tuple(np.broadcast_shapes(first, second))
        repeated = []
        for value, part in ((a, "first_repeated"), (b, "second_repeated")):
            more = {axis: np.zeros(size, np.int64) for axis, size in enumerate(stack) if value.shape[axis] < size}
            repeated.append(self.select(node, value, more, part=part) if more else value)
        return repeated[0], repeated[1]

    def image(self, node: Node, x: Value) -> Value:
        """Return a value (N, C, H, W) or (N, C, L) whose batch is where spatial layers have it, or refuse it."""
        if not x.place.leading:
            raise self._no_image(node, x)
        return x

    def _no_image(self, node: Node, x: Value) -> UnsupportedLayerError:
        return self.apart(node, f"its input of shape {x.shape} does not have the batch alone in its first axis")

    def on_images(self, node: Node, x: Value, build: Callable[[Value, str, int], Value]) -> Value:
        """Return what a spatial layer makes of a value (N, C, H, W) or (N, C, L).

        Where a sample holds a stack of images, they become one image of all their channels.

        Parameters
        ----------
        build : function of (value, part, copies)
            Appends the layer, which runs on `copies` images side by side, each a group of the channels.
        """
        if x.place.leading:
            return build(x, "", 1)
        if x.place.axis not in (0, None) or len(x.shape) not in (3, 4):
            raise self._no_image(node, x)
        copies, channels, *spatial = self.batch.sample(x.shape, x.place)
        side_by_side = self.moved(node, Reshape, x, part="stack", place=Place(0, 1), shape=(copies * channels, *spatial))
        y = build(side_by_side, "images", copies)
        shape = (copies, y.shape[1] // copies, *y.shape[2:])
        return self.moved(node, Reshape, y, place=x.place, shape=shape)
