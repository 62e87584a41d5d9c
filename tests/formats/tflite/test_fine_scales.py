"""Scales of codes as the converter writes them for networks that nobody trained, and for functions that it takes apart."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

import edgebn
from tests.formats.tflite.test_litert import litert_runs
from tests.formats.tflite.tflite_models import FileBuilder


@pytest.mark.parametrize("scale", [7.8e-9, 1e-12, 2.0**-26, 3e-8])
@pytest.mark.parametrize("channels", [4, 10])
def test_softmax_of_nearly_equal_numbers(scale, channels, tmp_path):
    files = FileBuilder()
    x, y = files.value((1, channels), np.int8, scale, 3), files.value((1, channels), np.int8, 1 / 256, -128)
    files.operator("SOFTMAX", [x], [y], "SoftmaxOptions", beta=1.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y]))
    codes = np.random.default_rng(0).integers(-128, 128, (3, channels)).astype(np.int8)
    found = edgebn.Session(edgebn.load(path)).run(codes)
    np.testing.assert_array_equal(found, litert_runs(path.read_bytes(), codes))


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_a_choice_between_codes_of_two_scales_is_refused(dtype, tmp_path):
    """As the converter writes SELU in 16x8 files; LiteRT takes the codes of one scale for those of the other."""
    files = FileBuilder()
    x, other, y = (files.value((1, 6), dtype, scale, 0) for scale in (0.02, 0.01, 0.02))
    mask = files.value((1, 6), np.bool_)
    files.operator("SELECT_V2", [mask, x, other], [y], "SelectV2Options")
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([mask, x, other], [y]))
    with pytest.raises(edgebn.UnsupportedLayerError, match="codes of several quantisations"):
        edgebn.load(path)
