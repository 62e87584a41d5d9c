"""Where the batch is in the values of a network, while formats that have a batch axis are read: the graph's shapes leave it out.

Networks move it: a channel shuffle that is written through the batch axis folds it into another axis and back. Two kinds of network
are told apart.

- The batch is of any size. Then the batch is followed from axis to axis; nothing may work along it, for samples run alone.
- The network is that of one sample: its batch is fixed at 1, or it has none. Then all axes are the sample's, and it may do with
  them what it likes; an axis of size 1 in front is left out, so that values look alike in both kinds.

Knows shapes only: neither layers nor formats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from edgebn.errors import UnsupportedLayerError
from edgebn.graph import Shape


class BatchAxisError(UnsupportedLayerError):
    """What a network does with the batch axis that a network of samples that run alone cannot do."""


class Place(NamedTuple):
    """Where the batch is in a value.

    Attributes
    ----------
    axis : int or None
        The axis of the file's shape that holds the batch, in front of what else that axis may hold; None where no axis does.
    leading : int
        How many axes of the file's shape the graph's shape leaves out: 1 where axis 0 is the batch and nothing else, or 0.
    """

    axis: int | None = 0
    leading: int = 1


@dataclass(frozen=True)
class Batch:
    """The batch of a network.

    Attributes
    ----------
    size : int
        What it has in the file's shapes; 1 where the file leaves it open.
    single : bool
        Whether the network is that of one sample.
    """

    size: int = 1
    single: bool = False

    def usual(self, shape: Shape, axis: int | None) -> Place:
        """Return the place in which a node's output is held: its axis 0 is left out where it is the batch alone.

        Parameters
        ----------
        shape : tuple of int
            As the file has it, with the batch.
        axis : int or None
            Where the batch is, in a network that follows it.
        """
        if self.single:
            axis = 0 if shape and shape[0] == 1 else None
        return Place(axis, int(axis == 0 and shape[0] == self.size))

    def sample(self, shape: Shape, place: Place) -> Shape:
        """Return the graph's shape of a value."""
        if place.leading:
            return shape[1:]
        return tuple(size // self.size if axis == place.axis else size for axis, size in enumerate(shape))

    def full(self, sample: Shape, place: Place) -> Shape:
        """Return the file's shape of a value from the graph's."""
        if place.leading:
            return (self.size, *sample)
        return tuple(size * self.size if axis == place.axis else size for axis, size in enumerate(sample))

    def after_reshape(self, before: Shape, axis: int | None, after: Shape) -> int | None:
        """Return where the batch is after a reshape, row by row; None where it is in the middle of an axis.

        Of several axes the first is taken: they differ by axes of size 1.
        """
        if axis is None:
            return None
        in_front = math.prod(before[:axis])
        for place, size in enumerate(after):
            if math.prod(after[:place]) == in_front and size % self.size == 0:
                return place
        return None
