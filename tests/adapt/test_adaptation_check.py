"""Adaptation records from a file that do not fit their program are refused before any engine sees them."""

from dataclasses import replace

import numpy as np
import pytest

from edgebn.errors import ModelError
from edgebn.formats import native
from tests.adaptations import with_adaptation
from tests.test_contract import GEOMETRIES, convolution_program

INT8 = with_adaptation(convolution_program(GEOMETRIES[0], "int8", 1), 1)
FLOAT32 = with_adaptation(convolution_program(GEOMETRIES[0], "float32", 1), 1)


def changed(program, layer=None, observation=None, **adaptation):
    first = program.adaptation.layers[0]
    first = replace(first, **(layer or {}), observation=replace(first.observation, **(observation or {})))
    layers = adaptation.pop("layers", (first,))
    return replace(program, adaptation=replace(program.adaptation, layers=layers, **adaptation))


@pytest.mark.parametrize("program", [INT8, FLOAT32])
def test_what_fits_comes_back(program):
    back = native.from_bytes(native.to_bytes(program), "here")
    assert native.program_hash(back) == native.program_hash(program)


LAYER = INT8.adaptation.layers[0]
SOME = len(LAYER.sigma)


@pytest.mark.parametrize(
    "change",
    [
        {"layer": {"sigma": LAYER.sigma[:-1]}},
        {"layer": {"sigma": -LAYER.sigma}},
        {"layer": {"sigma": np.full(SOME, np.nan, np.float32)}},
        {"layer": {"home": LAYER.home + 1}},
        {"observation": {"step": "nowhere"}},
        {"observation": {"first_row": -1}},
        {"observation": {"first_row": 99}},
        {"observation": {"row_step": 0}},
        {"observation": {"center": LAYER.observation.center.astype(np.int64)}},
        {"observation": {"center": LAYER.observation.center[:0]}},
        {"observation": {"shift": None}},
        {"observation": {"shift": np.full(SOME, 25, np.uint8)}},
        {"layers": (LAYER, LAYER)},
        {"layers": ()},
        {"classes": 10},
        {"classes": 3, "logits": "v0"},
        {"logits": "nowhere"},
        {"margin": 0.0},
        {"noise": np.zeros(2, np.float32)},
        {"strength": 1.5},
    ],
)
def test_what_does_not_fit_is_refused(change):
    with pytest.raises(ModelError, match="adaptation"):
        native.from_bytes(native.to_bytes(changed(INT8, **change)), "here")
