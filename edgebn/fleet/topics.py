"""The names under which a fleet speaks: edgebn/v1/<model>/<group>/<device>/<kind>. Knows no broker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgebn.errors import FleetError

ROOT = "edgebn/v1"
STATE, REPORT, COMMAND = KINDS = ("state", "report", "command")
PRIOR = "_group"  # the device under which a group's prior and report stand; no device may be called so
MERGER = "_merger"  # the device to whose command a merger speaks to itself
EVERY = "+"
MODEL_LETTERS = 32  # the first 16 bytes of the program's hash, in hexadecimal
PART = "~"  # between a group and a part of it that was found by itself
MAX_LETTERS = 64

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_LETTERS - 1}}}")
_GROUP = re.compile(rf"{_NAME.pattern}(?:{PART}{_NAME.pattern})?")
_MODEL = re.compile(rf"[0-9a-f]{{{MODEL_LETTERS}}}")


@dataclass(frozen=True)
class Address:
    """Who speaks.

    Attributes
    ----------
    model : str
        32 hexadecimal digits.
    group, device : str
    """

    model: str
    group: str
    device: str

    def topic(self, kind: str) -> str:
        """Return the topic of one of `KINDS`."""
        return f"{ROOT}/{self.model}/{self.group}/{self.device}/{kind}"

    @property
    def prior(self) -> Address:
        """The address of the group's prior."""
        return Address(self.model, self.group, PRIOR)


def parse(topic: str) -> tuple[Address, str] | None:
    """Return the address and the kind in a topic; None where it is none of a fleet's."""
    if len(topic) > 4 * (MAX_LETTERS + MODEL_LETTERS) or not topic.startswith(f"{ROOT}/"):
        return None
    parts = topic[len(ROOT) + 1 :].split("/")
    if len(parts) != 4 or parts[3] not in KINDS or not _MODEL.fullmatch(parts[0]) or not _GROUP.fullmatch(parts[1]):
        return None
    if parts[2] != PRIOR and not _NAME.fullmatch(parts[2]):
        return None
    return Address(*parts[:3]), parts[3]


def model_topic(model: str) -> str:
    """Return the topic under which a model's file lies."""
    return f"{ROOT}/{model}/model"


def model_in(topic: str) -> str | None:
    """Return whose file a topic is for; None where it is for none."""
    root, _, kind = topic.rpartition("/")
    model = root.removeprefix(f"{ROOT}/")
    return model if kind == "model" and topic == model_topic(model) and _MODEL.fullmatch(model) else None


def is_group(name: str) -> bool:
    """Whether a name is a group's, or that of a part of one."""
    return _GROUP.fullmatch(name) is not None


def whole(group: str) -> str:
    """Return the group that a part is of; of a group, itself."""
    return group.partition(PART)[0]


def checked_name(name: str, what: str) -> str:
    """Return the name of a group or a device.

    Raises
    ------
    FleetError
        It has letters that topics and files cannot have, or is too long. `what` says whose it is.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FleetError(
            f"{what} '{name}': 1 to {MAX_LETTERS} of the letters A-Z a-z 0-9 . _ - are needed, the first a letter or a digit"
        )
    return name
