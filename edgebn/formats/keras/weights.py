"""Finds a layer's stored weights in either of Keras' two layouts. Knows names and groups, nothing of what a layer computes.

Legacy .h5: one group a top-level layer, its attribute `weight_names` in order; the layers of a nested model share its group.
Archive: groups `layers/<class name in snake case>[_n]/vars/<index>`, nested models within.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from edgebn.formats.keras.hdf5 import Dataset, File

# Keras 2.12 to 2.15 named the same container differently.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_MAX_WEIGHTS_A_LAYER = 16


@dataclass(frozen=True)
class Address:
    """Where a layer stands: its name and its archive name, after those of the models around it (the outermost left out)."""

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def below(self, name: str, key: str) -> Address:
        """Return the address of a layer inside the model at this address."""
        return Address((*self.names, name), (*self.keys, key))


class Weights(ABC):
    """The weights of a file, by layer."""

    @abstractmethod
    def of(self, address: Address) -> list[Dataset]:
        """Return a layer's weights in Keras' order, unread; none where the file has none."""


@dataclass(frozen=True)
class LegacyWeights(Weights):
    """Weights of a .h5 file."""

    file: File
    group: str
    _names: dict[str, list[str]] = field(default_factory=dict)

    def of(self, address: Address) -> list[Dataset]:  # noqa: D102
        top, *inner = address.names
        group = f"{self.group}/{top}"
        if top not in self._names:
            self._names[top] = self._listed("weight_names", group)
        names = self._names[top]
        if inner:
            names = _of_inner_layer(names, address.names)
        found = [self.file.dataset(f"{group}/{name}") for name in names[:_MAX_WEIGHTS_A_LAYER]]
        return [dataset for dataset in found if dataset is not None]

    def _listed(self, attribute: str, group: str) -> list[str]:
        """Read a list of names, which Keras splits into numbered attributes where it is long."""
        names = self.file.attribute(attribute, group)
        if names is not None:
            return names
        parts: list[list[str]] = []
        while (part := self.file.attribute(f"{attribute}{len(parts)}", group)) is not None:
            parts.append(part)
        return [name for part in parts for name in part]


def _of_inner_layer(names: list[str], chain: tuple[str, ...]) -> list[str]:
    """Pick the weights of the layer at the end of `chain` from those of the nested model at its start."""
    own = [name for name in names if name.split("/")[-2:-1] == [chain[-1]]]
    exact = [name for name in own if name.split("/")[:-1][-len(chain) :] == list(chain)]
    within = [name for name in own if name.split("/")[:-1][-len(chain) + 1 :] == list(chain[1:])]
    return exact or within or own


@dataclass(frozen=True)
class ArchiveWeights(Weights):
    """Weights of a .keras archive."""

    file: File

    def of(self, address: Address) -> list[Dataset]:  # noqa: D102
        place = ""
        for key in address.keys:
            inside = [f"{place}/{container}/{key}" for container in _CONTAINERS]
            place = next((candidate for candidate in inside if self.file.has(candidate)), "")
            if not place:
                return []
        stored: list[Dataset] = []
        while len(stored) < _MAX_WEIGHTS_A_LAYER and (dataset := self.file.dataset(f"{place}/vars/{len(stored)}")) is not None:
            stored.append(dataset)
        return stored


def snake_case(class_name: str) -> str:
    """Return the archive's name for a class: Conv2D is conv2d, PReLU is p_re_lu."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
