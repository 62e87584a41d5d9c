"""Every error a user can cause, one class per audience; a message names the file, the layer and the remedy."""


class EdgebnError(Exception):
    """Base of all errors that edgebn raises on purpose.

    Attributes
    ----------
    layer : str
        The layer that it is about, where a pass can do something else for it; otherwise ''.
    """

    layer = ""


class ModelError(EdgebnError):
    """A model file, a network or an input array that cannot be used as it stands."""


class UnsupportedLayerError(ModelError):
    """A layer that edgebn understands well enough to name, but cannot run."""


class UsageError(ModelError):
    """A name or an option that cannot be used as it was given, whatever the model is: the command ends with code 2."""


class InputRangeWarning(UserWarning):
    """Inputs that look as if they were scaled otherwise than in training."""


class QuantizationError(EdgebnError):
    """Calibration data or ranges from which no int8 program can be made, or a proof of no overflow that fails."""


class BoardError(EdgebnError):
    """A board that is unknown, or that a program does not fit."""


class LinkError(EdgebnError):
    """A device that does not answer, or answers wrongly."""
