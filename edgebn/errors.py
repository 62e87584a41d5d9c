"""Every error a user can cause, one class per audience; a message names the file, the layer and the remedy."""

import re

_BREAKS = r"[\x00-\x1f\x7f\x85\u2028\u2029]+"  # compiled when there is an error: every start reads this file
_LONG_NAME = r"'([^']{61})[^']{41,}([^']{19})'"
_LONGEST, _END = 300, 120  # letters behind the file's name, and how many of them are the end: the remedy stands there


class EdgebnError(Exception):
    """Base of all errors that edgebn raises on purpose.

    Parameters
    ----------
    message : str
        A sentence, which may quote what a file holds, or another library's error: line breaks become spaces, names in quotation
        marks lose their middle where they are longer than 120 letters, and so does what is longer than 300 behind the file's name.

    Attributes
    ----------
    layer : str
        The layer that it is about, where a pass can do something else for it; otherwise ''.
    """

    layer = ""

    def __init__(self, message: str = "") -> None:
        said = re.sub(_LONG_NAME, r"'\1...\2'", re.sub(_BREAKS, " ", str(message)))
        file, separator, rest = said.partition(": ")
        if len(rest) > _LONGEST:
            rest = f"{rest[: _LONGEST - _END - 5]} ... {rest[-_END:]}"
        super().__init__(f"{file}{separator}{rest}")


class ModelError(EdgebnError):
    """A model file, a network or an input array that cannot be used as it stands."""


class UnsupportedLayerError(ModelError):
    """A layer that edgebn understands well enough to name, but cannot run."""


class UsageError(ModelError):
    """A name or an option that cannot be used as it was given, whatever the model is: the command ends with code 2."""


class InputRangeWarning(UserWarning):
    """Inputs that look as if they were scaled otherwise than in training."""


class BatchWarning(UserWarning):
    """A network that works along its open batch axis, which sessions run sample by sample."""


class QuantizationError(EdgebnError):
    """Calibration data or ranges from which no int8 program can be made, or a proof of no overflow that fails."""


class BoardError(EdgebnError):
    """A board that is unknown, or that a program does not fit."""


class LinkError(EdgebnError):
    """A device that does not answer, or answers wrongly."""


class FleetError(EdgebnError):
    """A broker that cannot be reached or refuses, or a message of a fleet that cannot be used."""
