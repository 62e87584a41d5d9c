"""Spectrograms inside TensorFlow Lite files, as `tf.signal.stft` becomes: RFFT2D and what reads it, beside LiteRT."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

import edgebn
from edgebn.errors import UnsupportedLayerError
from tests.conftest import TEST_ALL
from tests.emitted import check
from tests.formats.tflite.tflite_models import TYPES, FileBuilder

SEEDS = range(100 if TEST_ALL else 12)


def litert(content, sample):
    """Return LiteRT's outputs in the file's order."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]).copy() for detail in interpreter.get_output_details()]


def compare(content, sample, tmp_path):
    """Run both; every output within 1e-5 of its range. Returns the program."""
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    program = edgebn.load(path)
    found = edgebn.Session(program).run(sample.reshape(1, *program.shapes[program.inputs[0]]))
    found = list(found.values()) if isinstance(found, dict) else [found]
    for one, other in zip(found, litert(content, sample), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1e-5 * np.ptp(other)
    return program


def transform(size, lengths, leading=(1,), *, kinds=("COMPLEX_ABS", "REAL", "IMAG", "CAST")):
    """A file of RFFT2D and functions of its result."""
    file = FileBuilder()
    x = file.value((*leading, *size), np.float32)
    shape = (*leading, lengths[0], lengths[1] // 2 + 1)
    spectrum = file.value(shape, np.complex64)
    file.operator("RFFT2D", [x, file.constant(np.array(lengths, np.int32))], [spectrum], "Rfft2dOptions")
    outputs = []
    for kind in kinds:
        outputs.append(file.value(shape, np.float32))
        types = {"inDataType": TYPES[np.dtype(np.complex64)], "outDataType": TYPES[np.dtype(np.float32)]}
        file.operator(
            kind, [spectrum], outputs[-1:], *(["CastOptions"] if kind == "CAST" else []), **(types if kind == "CAST" else {})
        )
    return file.bytes([x], outputs)


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_and_images_cut_or_filled(seed, tmp_path):
    rng = np.random.default_rng(seed)
    lengths = (1 if seed % 3 else int(2 ** rng.integers(0, 4)), int(2 ** rng.integers(1, 10)))
    size = tuple(int(rng.integers(max(1, n - 3), n + 4)) for n in lengths)
    leading = ((1,), (1, 3), (1, 2, 3))[seed % 3]
    x = rng.normal(0, 1, (*leading, *size)).astype(np.float32)
    compare(transform(size, lengths, leading), x, tmp_path)


def test_known_tones(tmp_path):
    """A cosine of k turns has size / 2 at k and nothing elsewhere."""
    size, turns = 512, 37
    path = tmp_path / "file.tflite"
    path.write_bytes(transform((1, size), (1, size)))
    x = np.cos(2 * np.pi * turns * np.arange(size) / size).astype(np.float32)[None, None]
    magnitude, real, imaginary, _ = edgebn.Session(edgebn.load(path)).run(x).values()
    wanted = np.zeros(size // 2 + 1)
    wanted[turns] = size / 2
    assert np.allclose(magnitude.ravel(), wanted, atol=2e-3)
    assert np.allclose(real.ravel(), wanted, atol=2e-3)
    assert np.allclose(imaginary, 0, atol=2e-3)


def spectrogram(rng, *, batched=True):
    """Frames of a sound by GATHER, a window, magnitudes, 20 bands, a logarithm, a convolution; a sound may have no batch axis."""
    length, frame, hop, bands = 2000, 256, 160, 20
    file, constant = FileBuilder(), lambda array: file.constant(np.asarray(array))
    frames = (length - frame) // hop + 1
    bins = frame // 2 + 1
    x, framed = file.value((1, length) if batched else (length,), np.float32), file.value((1, frames, frame), np.float32)
    places = (hop * np.arange(frames)[:, None] + np.arange(frame)).astype(np.int32)
    places = constant(places if batched else places[None])
    file.operator("GATHER", [x, places], [framed], "GatherOptions", axis=int(batched), batchDims=0)

    def then(kind, inputs, shape, options=None, dtype=np.float32, **settings):
        output = file.value(shape, dtype)
        file.operator(kind, inputs, [output], options, **settings)
        return output

    windowed = then("MUL", [framed, constant(np.hanning(frame).astype(np.float32))], (1, frames, frame), "MulOptions")
    four = (1, frames, 1, frame)
    deep = then("RESHAPE", [windowed, constant(np.array(four, np.int32))], four, "ReshapeOptions", newShape=list(four))
    lengths = constant(np.array([1, frame], np.int32))
    spectrum = then("RFFT2D", [deep, lengths], (1, frames, 1, bins), "Rfft2dOptions", np.complex64)
    flat = then("SQUEEZE", [spectrum], (1, frames, bins), "SqueezeOptions", np.complex64, squeezeDims=[2])
    magnitude = then("COMPLEX_ABS", [flat], (1, frames, bins))
    filters = constant(rng.uniform(0, 1, (bands, bins)).astype(np.float32))
    mel = then("FULLY_CONNECTED", [magnitude, filters], (1, frames, bands), "FullyConnectedOptions", keepNumDims=True)
    raised = then("ADD", [mel, constant(np.float32(0.01))], (1, frames, bands), "AddOptions")
    logarithm = then("LOG", [raised], (1, frames, bands))
    image = (1, frames, bands, 1)
    picture = then("RESHAPE", [logarithm, constant(np.array(image, np.int32))], image, "ReshapeOptions", newShape=list(image))
    w, b = (constant(rng.normal(0, 1, shape).astype(np.float32)) for shape in ((4, 3, 3, 1), (4,)))
    settings = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "padding": 1}
    y = then("CONV_2D", [picture, w, b], (1, frames - 2, bands - 2, 4), "Conv2DOptions", **settings)
    return file.bytes([x], [y]), (1, length) if batched else (length,)


@pytest.mark.parametrize("batched", [True, False])
def test_a_spectrogram_before_a_convolution_in_python_and_in_c(batched, tmp_path):
    rng = np.random.default_rng(5)
    content, shape = spectrogram(rng, batched=batched)
    time = np.arange(shape[-1]) / 16000
    x = (np.sin(2 * np.pi * (300 + 2000 * time) * time) + rng.normal(0, 0.1, shape[-1])).astype(np.float32).reshape(shape)
    program = compare(content, x, tmp_path)
    check(program, tmp_path / "c", "host", x.reshape(1, -1))


def test_what_multiplies_complex_numbers_is_refused(tmp_path):
    file = FileBuilder()
    x = file.value((1, 1, 8), np.float32)
    spectrum, product = (file.value((1, 1, 5), np.complex64) for _ in range(2))
    y = file.value((1, 1, 5), np.float32)
    file.operator("RFFT2D", [x, file.constant(np.array([1, 8], np.int32))], [spectrum], "Rfft2dOptions")
    file.operator("MUL", [spectrum, spectrum], [product], "MulOptions")
    file.operator("REAL", [product], [y])
    path = tmp_path / "file.tflite"
    path.write_bytes(file.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match="MUL works on complex numbers"):
        edgebn.load(path)
    path.write_bytes(file.bytes([x], [spectrum]))
    with pytest.raises(UnsupportedLayerError, match="complex; export magnitudes"):
        edgebn.load(path)
