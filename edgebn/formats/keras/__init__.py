"""Reads Keras models, .h5 and .keras, without Keras: h5py for the weights, JSON for the network.

Files of Keras 2 and 3; Sequential and Functional, models within models, layers called more than once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebn.errors import ModelError
from edgebn.formats.keras.archive import opened
from edgebn.formats.keras.definitions import parse_model
from edgebn.formats.keras.network import add_model, entered_channels_first
from edgebn.formats.keras.place import Reading
from edgebn.formats.keras.table import LAYERS
from edgebn.formats.keras.weight_order import arrangements
from edgebn.graph import Graph, GraphBuilder

Shape = tuple[int, ...]


def read(
    path: Path,
    *,
    custom_layers: Mapping[str, str] | None = None,
    input_shape: Shape | Mapping[str, Shape] | None = None,
) -> Graph:
    """Read a Keras file into a graph.

    Parameters
    ----------
    path : Path
        A whole model in HDF5 (.h5) or as an archive (.keras); the content decides, not the suffix.
    custom_layers : mapping of str to str, optional
        Your own layer classes and the Keras classes they work like: {"BNLayer": "BatchNormalization"}.
    input_shape : tuple of int, or mapping of str to tuple of int, optional
        Shape of the input without the batch axis, or one an input's name, where the file leaves sizes open.

    Returns
    -------
    Graph
        In the file's own layout: `channels_first` says which.

    Raises
    ------
    ModelError
        A file that is damaged, or does not hold a whole model.
    UnsupportedLayerError
        A layer that edgebn does not run, by name and class, with what to do.
    """
    try:
        import h5py  # noqa: F401  # only to say how to get it
    except ImportError:
        raise ModelError(f"{path}: reading Keras files needs h5py; install it with: pip install 'edgebn[keras]'") from None
    custom = dict(custom_layers or {})
    for class_name, standard in custom.items():
        if standard not in LAYERS:
            raise ModelError(f"{path}: custom_layers maps '{class_name}' to '{standard}', which is no Keras layer that edgebn runs")
    if isinstance(input_shape, Mapping):
        shapes = {name: tuple(shape) for name, shape in input_shape.items()}
    else:
        shapes = {} if input_shape is None else {"": tuple(input_shape)}
    try:
        with opened(path) as contents:
            model = parse_model(contents.model, custom)
            contents.weights.arrange(arrangements(model, keras2=contents.version[0] < 3))
            reading = Reading(GraphBuilder(model.name, str(path), "keras"), contents.version, contents.weights, shapes)
            outputs = add_model(model, reading)
            reading.builder.channels_first = entered_channels_first(reading)
            return reading.builder.finish(outputs)
    except ModelError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise type(error)(f"{path}: {error}") from None
