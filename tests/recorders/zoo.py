"""What the modules of the zoo share: small random Keras models, one function each, that cover every layer edgebn reads.

For the recorder scripts only: needs Keras, knows nothing of edgebn. A function's name is its model's name in the zoo.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import Model, Sequential, layers

Builder = Callable[[], Model]


def registry() -> tuple[dict[str, Builder], Callable[[Builder], Builder]]:
    """Return an empty zoo and the decorator that enters a builder in it under its own name."""
    models: dict[str, Builder] = {}

    def enter(builder: Builder) -> Builder:
        models[builder.__name__] = builder
        return builder

    return models, enter


def chain(shape: tuple[int, ...], *stack: layers.Layer) -> Sequential:
    """Make a Sequential with an explicit input."""
    return Sequential([keras.Input(shape), *stack])
