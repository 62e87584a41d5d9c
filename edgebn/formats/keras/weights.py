"""Finds a layer's stored weights in either of Keras' two layouts. Knows names and groups, nothing of what a layer computes.

Legacy .h5: one group a top-level layer, its attribute `weight_names` in order; the layers of a nested model share its list, in
the order that `weight_order.py` works out.
Archive: groups `layers/<class name in snake case>[_n]/vars/<index>`, nested models within.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

from edgebn.formats.keras.hdf5 import Dataset, File

# Keras 2.12 to 2.15 named the same container differently.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# The archive name of the layer in a wrapper, in no container.
WRAPPED = "layer"
_MAX_WEIGHTS_A_LAYER = 16
# Keras' names of weights; a depthwise kernel has had two.
_KINDS = {
    name: name
    for name in (
        "kernel",
        "recurrent_kernel",
        "pointwise_kernel",
        "bias",
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "alpha",
        "scale",
    )
}
_KINDS |= {"depthwise_kernel": "kernel", "mean": "mean", "variance": "variance", "count": "count"}


@dataclass(frozen=True)
class Address:
    """Where a layer stands: its name and its archive name, after those of the models around it (the outermost left out)."""

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def below(self, name: str, key: str) -> Address:
        """Return the address of a layer inside the model at this address."""
        return Address((*self.names, name), (*self.keys, key))


class Spot(NamedTuple):
    """Where one weight stands in a list of weights, and of what kind it should be."""

    position: int
    kind: str  # behind the name of the layer within the layer that holds it, where one does


@dataclass(frozen=True)
class Arrangement:
    """The order of a nested model's weights.

    Attributes
    ----------
    total : int
        How many weights the list should have.
    spots : dict of names to list of Spot
        Of each layer with weights, by its name after those of the models around it.
    """

    total: int
    spots: dict[tuple[str, ...], list[Spot]]


class Weights(ABC):
    """The weights of a file, by layer."""

    @abstractmethod
    def arrange(self, arrangements: dict[str, Arrangement]) -> None:
        """Take the order of the weights of models within the model."""

    @abstractmethod
    def of(self, address: Address, inside: tuple[str, ...] = ()) -> list[Dataset]:
        """Return a layer's weights in Keras' order, unread; none where the file has none.

        `inside` names the layers within it that hold them, where it holds none itself.
        """


@dataclass(frozen=True)
class LegacyWeights(Weights):
    """Weights of a .h5 file."""

    file: File
    group: str
    _names: dict[str, list[str]] = field(default_factory=dict)
    _arrangements: dict[str, Arrangement] = field(default_factory=dict)

    def arrange(self, arrangements: dict[str, Arrangement]) -> None:  # noqa: D102
        self._arrangements.update(arrangements)

    def of(self, address: Address, inside: tuple[str, ...] = ()) -> list[Dataset]:  # noqa: ARG002, D102 (one list holds them all)
        top, *inner = address.names
        group = f"{self.group}/{top}"
        if top not in self._names:
            self._names[top] = self._listed("weight_names", group)
        names = self._names[top]
        if inner:
            names = self._of_inner_layer(names, address.names)
        found = [self.file.dataset(f"{group}/{name}") for name in names[:_MAX_WEIGHTS_A_LAYER]]
        return [dataset for dataset in found if dataset is not None]

    def _of_inner_layer(self, names: list[str], chain: tuple[str, ...]) -> list[str]:
        """Pick the weights of the layer at the end of `chain` from those of the nested model at its start, by their order.

        Where the list is not as long as the network makes it, or lists other kinds of weights, the names decide.
        """
        arrangement = self._arrangements[chain[0]]
        spots = arrangement.spots.get(chain, [])
        if len(names) == arrangement.total and all(_may_be(names[spot.position], spot.kind) for spot in spots):
            return [names[spot.position] for spot in spots]
        named = _by_name(names, chain)
        return named if len(named) == len(spots) else []

    def _listed(self, attribute: str, group: str) -> list[str]:
        """Read a list of names, which Keras splits into numbered attributes where it is long."""
        names = self.file.attribute(attribute, group)
        if names is not None:
            return names
        parts: list[list[str]] = []
        while (part := self.file.attribute(f"{attribute}{len(parts)}", group)) is not None:
            parts.append(part)
        return [name for part in parts for name in part]


def _may_be(name: str, kind: str) -> bool:
    """Whether a weight of that name can be of that kind: names are free, but Keras' own say what they are."""
    said = re.sub(r"(_\d+)?(:\d+)?$", "", name.rsplit("/", 1)[-1])
    return said not in _KINDS or _KINDS[said] == _KINDS[kind.rsplit("/", 1)[-1]]


def _by_name(names: list[str], chain: tuple[str, ...]) -> list[str]:
    """Return the weights whose names end in as much of `chain` as any does."""
    best: list[str] = []
    for length in range(len(chain), 0, -1):
        tail = "/".join(chain[-length:])
        best = best or [name for name in names if f"/{name.rpartition('/')[0]}".endswith(f"/{tail}")]
    return best


@dataclass(frozen=True)
class ArchiveWeights(Weights):
    """Weights of a .keras archive."""

    file: File

    def arrange(self, arrangements: dict[str, Arrangement]) -> None:
        """Need no order: every layer has a place of its own."""

    def of(self, address: Address, inside: tuple[str, ...] = ()) -> list[Dataset]:  # noqa: D102
        place = ""
        for key in address.keys:
            candidates = [f"{place}/{container}/{key}" for container in _CONTAINERS] if key != WRAPPED else [f"{place}/{key}"]
            place = next((candidate for candidate in candidates if self.file.has(candidate)), "")
            if not place:
                return []
        if not inside:
            return self._variables(place)
        # The attribute of the layer around it, which some layers keep for themselves.
        return [dataset for name in inside for key in (name, f"_{name}") for dataset in self._variables(f"{place}/{key}")]

    def _variables(self, place: str) -> list[Dataset]:
        stored: list[Dataset] = []
        while len(stored) < _MAX_WEIGHTS_A_LAYER and (dataset := self.file.dataset(f"{place}/vars/{len(stored)}")) is not None:
            stored.append(dataset)
        return stored


def snake_case(class_name: str) -> str:
    """Return the archive's name for a class: Conv2D is conv2d, PReLU is p_re_lu."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
